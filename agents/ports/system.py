"""Time, randomness, processes and what people read: what a service needs of its machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from protocol.names import InvitationId, SerialNumber, TransactionId


class Clock(Protocol):
    """The only source of the time."""

    def now(self) -> datetime:
        """The time: aware, UTC."""

    def monotonic(self) -> float:
        """Seconds that never run backwards, from an arbitrary start."""


class Entropy(Protocol):
    """The only source of randomness outside the cryptography library."""

    def serial_number(self) -> SerialNumber:
        """159 random bits, never zero (RFC 5280 section 4.1.2.2)."""

    def transaction_id(self, now: datetime) -> TransactionId:
        """A UUID of version 7 for `now` (RFC 9562 section 5.7): ids grow with time, so ledgers stay fast."""

    def invitation_id(self) -> InvitationId:
        """128 random bits."""

    def secret(self) -> bytes:
        """256 random bits."""


@dataclass(frozen=True, slots=True)
class Member:
    """An issuing process that runs: its id, and what was last said in its place, JSON values; None if nothing was."""

    pid: int
    said: Mapping[str, Any] | None


class Crew(Protocol):
    """Issuing processes beside the daemon's own."""

    wanted: int
    """How many there should be."""

    def tend(self) -> None:
        """Start whoever is missing, one that ended again and again more and more rarely. Raises `OSError`."""

    def members(self) -> tuple[Member, ...]:
        """Those that run: fewer than wanted as long as one ends again and again, or cannot be started."""

    def stop(self, grace: float) -> None:
        """End them all within `grace` seconds each, or kill them."""


class Log(Protocol):
    """A structured log: an event in a few words, and fields. Never given a secret."""

    def bind(self, **fields: object) -> Log:
        """The same log, whose lines all carry `fields`."""

    def debug(self, event: str, **fields: object) -> object:
        """For whoever looks for a fault."""

    def info(self, event: str, **fields: object) -> object:
        """Something happened as it should."""

    def warning(self, event: str, **fields: object) -> object:
        """Something needs watching; the agent goes on."""

    def error(self, event: str, **fields: object) -> object:
        """Something needs the operator; `fix` says what to do."""

    def exception(self, event: str, **fields: object) -> object:
        """A fault in the program: as `error`, with the traceback of the exception that is being handled."""
