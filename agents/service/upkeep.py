"""What the issuer does by the clock: decided requests, certificates nobody confirmed, replies left behind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from agents.core.issuer import Unconfirmed, unit_for_lapse
from agents.ports import OutboxRecord
from agents.service.answering import Answering
from agents.service.approvals import Approvals
from agents.service.inbox import Inbox
from agents.service.relay import Relay
from agents.service.rotation import PAGE, Rotation
from agents.service.workplace import Workplace
from protocol.transaction import Role, State

LOOK_SECONDS = 0.5
"""How soon an operator's word on a held request is acted on."""

SWEEP_SECONDS = 5.0
"""How often replies left behind are looked for, and how old those are: a younger one may be on its way."""

SWEEP_MAX = 200
"""Replies that one sweep looks at, oldest first; the next goes on behind them."""


class Upkeep:
    """The issuer's side of one link, apart from new messages. Used by the thread that issues."""

    def __init__(
        self, place: Workplace, answering: Answering, inbox: Inbox, relay: Relay, confirm_within: timedelta
    ) -> None:
        self._us, self._ledger, self._clock, self._log = place.us, place.ledger, place.clock, place.log
        self._relay, self._confirm_within = relay, confirm_within
        self._approvals = Approvals(place, answering, inbox)
        self._left_behind = Rotation(self._left_behind_after, SWEEP_MAX)
        self._next_sweep = self._next_look = 0.0

    def work(self) -> None:
        """Do what is due; cheap when called often. Raises `LedgerUnavailableError`."""
        now = self._clock.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            if self._approvals.carry_out():
                self._relay.flush()
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_SECONDS
            self._sweep()
            self._lapse()
            self._approvals.expire()

    def _lapse(self) -> None:
        now = self._clock.now()
        late = self._ledger.next_transactions(
            Role.ISSUER, {State.ISSUED}, PAGE, updated_before=now - self._confirm_within
        )
        units = {
            record.key: unit_for_lapse(Unconfirmed(record.key, record.serial, self._us), now)
            for record in late
            if record.serial
        }
        for key, recorded in zip(units, self._ledger.commit([*units.values()]), strict=True):
            if recorded:  # else another process recorded a confirmation in this very moment
                self._log.warning("certificate lapsed", transaction=key.id, partner=key.partner)

    def _sweep(self) -> None:
        """Publish replies that wait for their confirm: a process ended between commit and confirm, or the broker did.
        Younger ones may be about to be published, here or in another issuer process."""
        due = tuple(self._left_behind.next_page())
        if due and (confirmed := self._relay.flush(due)):
            self._log.info("replies published again", count=confirmed)

    def _left_behind_after(self, last: OutboxRecord | None) -> Sequence[OutboxRecord]:
        old = self._clock.now() - timedelta(seconds=SWEEP_SECONDS)
        return self._ledger.outbox(self._us, SWEEP_MAX, last.sequence if last else 0, stored_before=old)
