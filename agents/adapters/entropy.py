"""Randomness from the operating system, shaped into the identifiers that we make."""

from __future__ import annotations

import secrets
import threading
from datetime import UTC, datetime, timedelta

from protocol.names import SERIAL_BITS, InvitationId, SerialNumber, TransactionId

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANDOM_BITS = 74
"""Bits of a version 7 UUID besides time, version and variant: 12 of rand_a, 62 of rand_b (RFC 9562 section 5.7)."""


class SystemEntropy:
    """The `Entropy` port over the operating system. Safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def serial_number(self) -> SerialNumber:
        """159 random bits, never zero (RFC 5280 section 4.1.2.2)."""
        return SerialNumber.from_int(secrets.randbelow((1 << SERIAL_BITS) - 1) + 1)

    def transaction_id(self, now: datetime) -> TransactionId:
        """A UUID of version 7 for `now`, greater than every one before it from this object (RFC 9562 section 6.2).

        Within a millisecond, or while the clock runs backwards, the random part grows by a random step (method 2);
        should it overflow, the time runs a millisecond ahead.
        """
        milliseconds = (now - _EPOCH) // timedelta(milliseconds=1)
        fresh = milliseconds << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
        with self._lock:
            if fresh >> _RANDOM_BITS <= self._last >> _RANDOM_BITS:
                fresh = self._last + 1 + secrets.randbits(32)
            self._last = fresh
        return _uuid7(fresh)

    def invitation_id(self) -> InvitationId:
        """128 random bits."""
        return InvitationId(secrets.token_hex(16))

    def secret(self) -> bytes:
        """256 random bits."""
        return secrets.token_bytes(32)


def _uuid7(value: int) -> TransactionId:
    """48 bits of time and 74 random ones, with version (7) and variant (binary 10) in between."""
    milliseconds, random = value >> _RANDOM_BITS, value & ((1 << _RANDOM_BITS) - 1)
    rand_a, rand_b = random >> 62, random & ((1 << 62) - 1)
    digits = f"{milliseconds << 80 | 7 << 76 | rand_a << 64 | 2 << 62 | rand_b:032x}"
    return TransactionId(f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}")
