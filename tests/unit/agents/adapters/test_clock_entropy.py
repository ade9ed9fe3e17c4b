"""The system's clock and randomness, as the ports promise them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest

from agents.adapters.clock import SystemClock
from agents.adapters.entropy import SystemEntropy
from protocol.names import InvitationId, SerialNumber, TransactionId

NOW = datetime(2026, 3, 1, 12, 0, 0, 123_000, tzinfo=UTC)


def test_the_time_is_aware_and_utc():
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_the_monotonic_clock_never_runs_backwards():
    clock = SystemClock()
    readings = [clock.monotonic() for _ in range(100)]
    assert readings == sorted(readings)


def test_serial_numbers_are_positive_and_use_all_159_bits():
    numbers = [SystemEntropy().serial_number().to_int() for _ in range(200)]
    assert all(0 < number < 1 << 159 for number in numbers)
    assert max(numbers).bit_length() == 159
    assert len(set(numbers)) == 200


def test_a_transaction_id_is_a_uuid_of_version_7_that_holds_the_time():
    text = SystemEntropy().transaction_id(NOW)
    uuid = UUID(text)
    assert isinstance(text, TransactionId)
    assert (uuid.version, uuid.variant) == (7, RFC_4122)
    assert uuid.int >> 80 == 1_772_366_400_123


@pytest.mark.parametrize(
    "step", [timedelta(0), timedelta(microseconds=1), timedelta(milliseconds=1), timedelta(hours=-1)]
)
def test_transaction_ids_grow_within_a_millisecond_and_when_the_clock_runs_backwards(step):
    entropy = SystemEntropy()
    ids = [entropy.transaction_id(NOW + number * step) for number in range(1000)]
    assert ids == sorted(set(ids))


def test_transaction_ids_of_several_threads_are_all_different():
    entropy = SystemEntropy()
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: entropy.transaction_id(NOW), range(4000)))
    assert len(set(ids)) == 4000


def test_two_agents_do_not_make_the_same_id_in_the_same_millisecond():
    assert SystemEntropy().transaction_id(NOW) != SystemEntropy().transaction_id(NOW)


def test_secrets_have_256_bits_and_invitation_ids_128():
    entropy = SystemEntropy()
    assert {len(entropy.secret()) for _ in range(10)} == {32}
    assert len({entropy.secret() for _ in range(10)}) == 10
    assert isinstance(entropy.invitation_id(), InvitationId)
    assert isinstance(entropy.serial_number(), SerialNumber)
