"""Requests that a person decides: what was decided is carried out, what nobody decides in time expires."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from agents.core.case import Case, parse
from agents.core.effects import TransactionKey
from agents.core.held import denied, distrusted, unit_for_expiry
from agents.core.policy import Refused
from agents.errors import ConfigurationError
from agents.ports import TransactionRecord
from agents.service.answering import Answering, Judged, Reply
from agents.service.inbox import Inbox
from agents.service.isolation import Fault, alone
from agents.service.retries import Doubling, Retries
from agents.service.rotation import PAGE, Rotation
from agents.service.workplace import Workplace
from protocol.envelope import Opened, UntimelyError
from protocol.errors import Problem
from protocol.transaction import Role, State

LATER = Doubling(15.0, 60.0)
"""How long a held request that could not be decided is left alone."""

_TOO_LATE = "nothing was issued: the partner has to enroll again, with a new invitation if it has no certificate yet"


class Approvals:
    """The held requests of one issuer. Used by one thread."""

    def __init__(self, place: Workplace, answering: Answering, inbox: Inbox) -> None:
        self._ledger, self._clock, self._log = place.ledger, place.clock, place.log
        self._answering, self._inbox = answering, inbox
        self._decided = Rotation(self._decided_after, PAGE)
        self._later = Retries[TransactionKey, str](LATER)
        """Held requests that could not be decided."""

    def carry_out(self) -> bool:
        """Answer what an operator has decided. Whether there is something to send. Raises `LedgerUnavailableError`."""
        now = self._clock.monotonic()
        self._later.keep(now)
        answered = [self._try(record) for record in self._decided.next_page() if self._later.is_due(record.key, now)]
        return any(answered)

    def expire(self) -> None:
        """End what nobody has decided in time. Raises `LedgerUnavailableError`."""
        now = self._clock.now()
        late = self._ledger.next_transactions(Role.ISSUER, {State.PENDING}, PAGE, decided=False, expires_before=now)
        self._ledger.commit([unit_for_expiry(record.key, now) for record in late])

    def _decided_after(self, last: TransactionRecord | None) -> Sequence[TransactionRecord]:
        return self._ledger.next_transactions(Role.ISSUER, {State.PENDING}, PAGE, last, decided=True)

    def _try(self, record: TransactionRecord) -> bool:
        """Decide one held request alone: where that cannot be done now, it stays held and is tried again later."""
        try:
            decided = alone(partial(self._decide, record), self._log, "deciding on a held request")
        except ConfigurationError as error:
            fix = "mend the file; the request stays held until then"
            self._log.error("policy unusable", partner=record.key.partner, why=str(error), fix=fix)
            decided = Fault(str(error))
        if isinstance(decided, Fault):
            self._later.put_off(record.key, self._clock.monotonic(), decided.reason)
            return False
        return decided

    def _decide(self, record: TransactionRecord) -> bool | Fault:
        """Answer a held request as the operator said. The policy is asked again: it may have changed meanwhile."""
        answer = self._answer(record)
        if isinstance(answer, Fault):
            return answer
        if answer is None:
            facts = {"transaction": record.key.id, "partner": record.key.partner}
            self._log.warning("decided too late", **facts, fix=_TOO_LATE)
            return self._end(record)
        (recorded,) = self._ledger.commit([answer.unit])
        return recorded

    def _answer(self, record: TransactionRecord) -> Reply | Fault | None:
        """None for a request that has expired: who sent it has given it up by then."""
        stored = self._ledger.message(record.key, "enrollment.request")
        opened, distrust = self._reopen(stored.body, record) if stored else (None, None)
        if stored is None or opened is None:
            return None
        case = parse(opened, stored.body, State.PENDING)
        judged = self._judge(case, record, distrust)
        (answer,) = self._answering.seal([case], self._answering.sign(judged))
        return answer

    def _judge(self, case: Case, record: TransactionRecord, distrust: Problem | None) -> list[Judged]:
        if not record.approval:
            return [Refused((denied(case, record.approval_reason or ""),))]
        if distrust:
            return [Refused((distrusted(case, distrust),))]
        return self._answering.judge([case], self._answering.look_up([case]))

    def _reopen(self, body: bytes, record: TransactionRecord) -> tuple[Opened | None, Problem | None]:
        """A held request, and what speaks against its sender now although it did not when the request was held: paths
        are valid at the moment of use (RFC 5280 section 6.1.3), and the moment of use is that of the approval."""
        opened = self._inbox.open_one(body)
        if isinstance(opened, Opened):
            return opened, None
        if isinstance(opened, UntimelyError):
            return None, None
        before = self._inbox.open_one(body, record.created_at)
        return (before, opened.problems[0]) if isinstance(before, Opened) else (None, None)

    def _end(self, record: TransactionRecord) -> bool:
        (recorded,) = self._ledger.commit([unit_for_expiry(record.key, self._clock.now())])
        return recorded
