"""What a requester sends again in the same bytes until it is answered, and what it gives up unanswered.

A broker may lose what it has confirmed, so its confirm ends nothing: the partner's answer does, or the end of the time
for which the message is good.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from agents.core.answers import WAITING
from agents.core.effects import MarkUnpublished, TransactionKey, Unit
from agents.core.requester import CONFIRMATION_LIFETIME, unit_for_move
from agents.ports import TransactionRecord
from agents.service.enrolling import REQUEST_LIFETIME
from agents.service.installing import PATIENCE
from agents.service.retries import Doubling
from agents.service.rotation import PAGE, Rotation
from agents.service.workplace import Workplace
from protocol.names import OrganisationName
from protocol.transaction import Event, Role, State

WATCH_SECONDS = 1.0
"""How often what waits is looked at."""

FIRST_WATCH_SECONDS = 5.0
"""How long after the start that is first looked at: the answer may lie in our queue, and is taken before."""

UNANSWERED = Doubling(30.0, 600.0)
"""Between two copies of a request that has had no answer."""

HELD = Doubling(600.0, 43_200.0)
"""Between two copies of a request that a person decides on: sent again only in case the final answer was lost."""

UNACKNOWLEDGED = Doubling(30.0, 43_200.0)
"""Between two copies of a confirmation. The first come soon, since the issuer withdraws what is not confirmed."""


class Repetition:
    """The unanswered messages to one issuer. Used by one thread."""

    def __init__(self, place: Workplace, issuer: OrganisationName) -> None:
        self._ledger, self._clock, self._log = place.ledger, place.clock, place.log
        self._issuer = issuer
        self._requests = Rotation(self._requests_after, PAGE)
        self._confirmations = Rotation(self._confirmations_after, PAGE)
        self._sent_again: dict[TransactionKey, tuple[datetime, int]] = {}
        """How many copies have left since the transaction came into its state."""
        self._next_watch = self._clock.monotonic() + FIRST_WATCH_SECONDS

    def work(self) -> None:
        """Do what is due; cheap when called often. Raises `LedgerUnavailableError`."""
        if self._clock.monotonic() < self._next_watch:
            return
        self._next_watch = self._clock.monotonic() + WATCH_SECONDS
        now = self._clock.now()
        units = [unit for record in self._requests.next_page() for unit in self._of_request(record, now)]
        units += [unit for record in self._confirmations.next_page() for unit in self._of_confirmation(record, now)]
        if units:
            self._ledger.commit(units)
        oldest = now - max(REQUEST_LIFETIME, CONFIRMATION_LIFETIME)
        self._sent_again = {key: (since, times) for key, (since, times) in self._sent_again.items() if since > oldest}

    def _of_request(self, record: TransactionRecord, now: datetime) -> list[Unit]:
        if record.expires_at < now:
            self._log.warning("request expired", transaction=record.key.id, partner=self._issuer)
            return [unit_for_move(record.key, record.state, Event.TIMED_OUT, now)]
        if record.state is State.CREATED:  # has not left yet, and is the relay's
            return []
        return self._again(record, "enrollment.request", HELD if record.state is State.PENDING else UNANSWERED, now)

    def _of_confirmation(self, record: TransactionRecord, now: datetime) -> list[Unit]:
        if now > record.updated_at + CONFIRMATION_LIFETIME:
            return []
        return self._again(record, "enrollment.confirmation", UNACKNOWLEDGED, now)

    def _again(self, record: TransactionRecord, kind: str, waits: Doubling, now: datetime) -> list[Unit]:
        """Have the message sent once more if another wait has passed since the transaction came into its state."""
        passed = waits.passed((now - record.updated_at).total_seconds(), record.key.id)
        since, times = self._sent_again.get(record.key, (record.updated_at, 0))
        if passed <= (times if since == record.updated_at else 0):
            return []
        self._sent_again[record.key] = (record.updated_at, passed)
        self._log.info("sent again", type=kind, transaction=record.key.id, partner=self._issuer)
        return [Unit((MarkUnpublished(record.key, kind),))]

    def _requests_after(self, last: TransactionRecord | None) -> Sequence[TransactionRecord]:
        return self._ledger.next_transactions(Role.REQUESTER, WAITING, PAGE, last, partner=self._issuer)

    def _confirmations_after(self, last: TransactionRecord | None) -> Sequence[TransactionRecord]:
        oldest = self._clock.now() - REQUEST_LIFETIME - PATIENCE - CONFIRMATION_LIFETIME
        return self._ledger.unacknowledged(self._issuer, oldest, PAGE, last)
