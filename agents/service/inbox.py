"""Opens what a queue delivered. What cannot be opened is quarantined with the reason and dead-lettered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from agents.core.effects import Quarantine, Unit
from agents.ports import Delivery
from agents.service.isolation import Fault, alone
from agents.service.partners import Partners
from agents.service.workplace import Workplace
from protocol.envelope import KnownSigners, Opened, open_envelope
from protocol.errors import ProtocolError
from protocol.names import OrganisationName

LINES_A_MINUTE = 30
"""Most log lines about single unusable messages in a minute; the rest are counted. Who sends garbage pays nothing for
it, and the log has no other bound."""

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Letter:
    """A delivery and what was in it."""

    delivery: Delivery
    opened: Opened


@dataclass(frozen=True, slots=True)
class Unusable:
    """A delivery that nothing can be done with, and what is recorded of it."""

    delivery: Delivery
    unit: Unit
    reason: str
    error: ProtocolError | None = None
    """Why it could not be opened; None if it was opened and is of no use."""


class Inbox:
    """Opens what came through the virtual host of one issuer. Used by one thread."""

    def __init__(self, place: Workplace, issuer: OrganisationName, partners: Partners) -> None:
        self._us, self._clock, self._log = place.us, place.clock, place.log
        self._issuer, self._partners = issuer, partners
        self._signers = KnownSigners()
        self._lines = self._unsaid = 0
        self._minute_ends = 0.0

    def open(self, deliveries: Sequence[Delivery]) -> tuple[list[Letter], list[Unusable]]:
        """Open each delivery on its own. Raises `LedgerUnavailableError`."""
        self.turn_minute()
        letters, unusable = [], []
        for delivery in deliveries:
            match alone(partial(self.open_one, delivery.body), self._log, "opening an envelope"):
                case Opened() as opened:
                    letters.append(Letter(delivery, opened))
                case ProtocolError() as error:
                    unusable.append(self.unusable(delivery, str(error), error))
                case Fault(reason):
                    unusable.append(self.unusable(delivery, reason))
        return letters, unusable

    def open_one(self, body: bytes, at: datetime | None = None) -> Opened | ProtocolError:
        """Open one envelope that is addressed to us, as it is judged `at` a time, or now."""
        try:
            return open_envelope(
                body,
                anchors_of=self._partners.anchors_of,
                recipient=self._us,
                now=at or self._clock.now(),
                signers=self._signers,
            )
        except ProtocolError as error:
            return error.as_value()

    def unusable(self, delivery: Delivery, reason: str, error: ProtocolError | None = None) -> Unusable:
        """What is recorded of a delivery that was of no use for `reason`."""
        if self._lines < LINES_A_MINUTE:
            self._lines += 1
            self._log.warning("message unusable", why=reason, bytes=len(delivery.body))
        else:
            self._unsaid += 1
        quarantine = Quarantine(self._issuer, self._clock.now(), reason, delivery.body)
        return Unusable(delivery, Unit((quarantine,)), reason, error)

    def turn_minute(self) -> None:
        """Say how many were not said in the minute that is over, and begin another. Also to be called when nothing
        arrives: else the end of a flood would be said with the next message only."""
        now = self._clock.monotonic()
        if now < self._minute_ends:
            return
        if self._unsaid:
            self._log.warning("more messages unusable", count=self._unsaid, said=self._lines)
        self._lines, self._unsaid, self._minute_ends = 0, 0, now + MINUTE
