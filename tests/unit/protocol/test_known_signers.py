"""The memory of verified signers gives the same answers as verifying each time, and stays small."""

from datetime import timedelta

import pytest
from cryptography import x509
from kit.certificates import DAY, NOW, forge_ca
from kit.envelopes import B, C, agent_of, organisation

from protocol import envelope, jws
from protocol.envelope import KnownSigners, unseal
from protocol.errors import PathError

CLIENT_B, CLIENT_C = organisation(B), organisation(C)
UNSEALED = unseal(CLIENT_B.seal(C))
ANCHORS = (CLIENT_B.root.certificate,)


@pytest.fixture
def verified(monkeypatch):
    """The times at which a path was really verified."""
    times = []
    real = envelope.verify_path

    def verify(leaf, others, anchors, purpose, now):
        times.append(now)
        return real(leaf, others, anchors, purpose, now)

    monkeypatch.setattr(envelope, "verify_path", verify)
    return times


def test_a_known_signer_is_not_verified_again(verified):
    signers = KnownSigners()
    first = signers.signer(UNSEALED, ANCHORS, NOW)
    assert signers.signer(unseal(CLIENT_B.seal(C)), ANCHORS, NOW + DAY) is first
    assert verified == [NOW]


@pytest.mark.parametrize("now", [NOW - 2 * DAY, NOW + 31 * DAY])
def test_a_known_signer_is_not_served_outside_its_validity(verified, now):
    signers = KnownSigners()
    signers.signer(UNSEALED, ANCHORS, NOW)
    with pytest.raises(PathError):
        signers.signer(UNSEALED, ANCHORS, now)
    assert verified == [NOW, now]


def test_the_validity_of_a_signer_is_that_of_its_whole_path():
    root = forge_ca("root", end=NOW + 20 * DAY)
    issuing = forge_ca("issuing", root, start=NOW - DAY / 2, end=NOW + 10 * DAY)
    sender = type(CLIENT_B)(B, root, issuing, agent_of(B, issuing, end=NOW + 30 * DAY))
    signer = KnownSigners().signer(unseal(sender.seal(C)), (root.certificate,), NOW)
    assert (signer.valid_from, signer.valid_until) == (NOW - DAY / 2, NOW + 10 * DAY)


def test_a_known_signer_is_not_served_for_other_anchors(verified):
    signers = KnownSigners()
    signers.signer(UNSEALED, ANCHORS, NOW)
    with pytest.raises(PathError):
        signers.signer(UNSEALED, (CLIENT_C.root.certificate,), NOW)
    with pytest.raises(PathError):
        signers.signer(UNSEALED, (), NOW)


def test_a_stranger_that_was_seen_once_is_not_known_as_a_partner():
    signers = KnownSigners()
    usurper = organisation(B)
    data = usurper.seal(C)
    assert CLIENT_C.open(data, signers=signers).introduced
    assert CLIENT_C.open(data, CLIENT_B, signers=signers).introduced


def test_a_refused_path_is_not_remembered(verified):
    signers = KnownSigners()
    for _ in range(2):
        with pytest.raises(PathError):
            signers.signer(UNSEALED, (CLIENT_C.root.certificate,), NOW)
    assert len(verified) == 2


def test_the_memory_is_bounded_and_forgets_the_oldest(verified):
    signers = KnownSigners(limit=2)
    senders = [
        unseal(type(CLIENT_B)(B, CLIENT_B.root, CLIENT_B.issuing, agent_of(B, CLIENT_B.issuing)).seal(C))
        for _ in range(3)
    ]
    for number, one in enumerate(senders):
        signers.signer(one, ANCHORS, NOW + timedelta(seconds=number))
    signers.signer(senders[2], ANCHORS, NOW)
    signers.signer(senders[1], ANCHORS, NOW)
    assert len(verified) == 3
    signers.signer(senders[0], ANCHORS, NOW)
    assert len(verified) == 4
    assert len(signers._signers) == 2


def test_a_sender_with_a_huge_chain_is_opened_each_time_and_leaves_nothing_in_memory(verified):
    padding = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), bytes(15_000))
    root = forge_ca("root", extra=[(padding, False)])
    issuing = forge_ca("issuing", root, extra=[(padding, False)])
    sender = type(CLIENT_B)(B, root, issuing, agent_of(B, issuing))
    kept = jws._kept_header.cache_info().currsize, envelope._kept_claim.cache_info().currsize
    signers = KnownSigners()
    for _ in range(2):
        assert CLIENT_C.open(sender.seal(C), sender, signers=signers).message.sender == B
    assert (jws._kept_header.cache_info().currsize, envelope._kept_claim.cache_info().currsize) == kept
    assert len(verified) == 2
