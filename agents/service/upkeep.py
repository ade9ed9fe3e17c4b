"""What the issuer does by the clock: decided requests, certificates nobody confirmed, replies left behind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from agents.core.effects import Audit, MoveTransaction, TransactionKey, Unit
from agents.core.issuer import unit_for_lapse
from agents.errors import ConfigurationError
from agents.ports import Clock, Ledger, Log, OutboxRecord, TransactionRecord
from agents.service.answering import Answer, Answering, parse
from agents.service.inbox import Inbox
from agents.service.isolation import Fault, alone
from agents.service.relay import Relay
from agents.service.rotation import PAGE, Rotation
from protocol.envelope import Opened, UntimelyError
from protocol.errors import PROBLEM_TEXT_MAX, Problem, ProblemCode, ProtocolError, printable, problem
from protocol.messages import EnrollmentRequest
from protocol.names import OrganisationName
from protocol.transaction import Event, Role, State, step

LOOK_SECONDS = 0.5
"""How soon an operator's word on a held request is acted on."""

LATER_SECONDS = 60.0
"""How long a held request that could not be decided is left alone."""

SWEEP_SECONDS = 5.0
"""How often replies left behind are looked for, and how old those are: a younger one may be on its way."""

SWEEP_MAX = 200
"""Replies that one sweep looks at, oldest first; the next goes on behind them."""


class Upkeep:
    """The issuer's side of one link, apart from new messages. Used by the thread that issues."""

    def __init__(  # noqa: PLR0913 - what it works with
        self,
        us: OrganisationName,
        ledger: Ledger,
        answering: Answering,
        inbox: Inbox,
        relay: Relay,
        confirm_within: timedelta,
        clock: Clock,
        log: Log,
    ) -> None:
        self._us, self._ledger = us, ledger
        self._answering, self._inbox, self._relay = answering, inbox, relay
        self._confirm_within = confirm_within
        self._clock, self._log = clock, log
        self._decided = Rotation(self._decided_after, PAGE)
        self._left_behind = Rotation(self._left_behind_after, SWEEP_MAX)
        self._next_sweep = self._next_look = 0.0
        self._later: dict[TransactionKey, float] = {}
        """Held requests that could not be decided: when to try again (monotonic)."""

    def work(self) -> None:
        """Do what is due; cheap when called often. Raises `LedgerUnavailableError`."""
        now = self._clock.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            self._look()
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_SECONDS
            self._sweep()
            self._lapse()
            self._expire()

    def _look(self) -> None:
        now = self._clock.monotonic()
        self._later = {key: due for key, due in self._later.items() if due > now}
        answered = [self._try(record) for record in self._decided.next_page() if record.key not in self._later]
        if any(answered):
            self._relay.flush()

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
            self._later[record.key] = self._clock.monotonic() + LATER_SECONDS
            return False
        return decided

    def _decide(self, record: TransactionRecord) -> bool:
        """Answer a held request as the operator said. The policy is asked again: it may have changed meanwhile."""
        answer = self._answer(record)
        if answer is None:
            facts = {"transaction": record.key.id, "partner": record.key.partner}
            self._log.warning("decided too late", **facts, fix="nothing was issued: the partner has to enroll again")
            return self._end(record)
        (recorded,) = self._ledger.commit([answer.unit])
        return recorded

    def _answer(self, record: TransactionRecord) -> Answer | None:
        """None for a request that has expired: who sent it has given it up by then."""
        stored = self._ledger.message(record.key, "enrollment.request")
        opened, distrust = self._reopen(stored.body, record) if stored else (None, None)
        if stored is None or opened is None:
            return None
        parsed = parse(opened, stored.body)
        body = opened.message.body
        proof = body.invitation if isinstance(body, EnrollmentRequest) else None
        keys = [] if isinstance(parsed.csr, ProtocolError) else [parsed.csr.key.fingerprint]
        return self._answering.answer(
            parsed,
            self._ledger.invitations([proof.id] if proof else []),
            self._ledger.key_holders(keys),
            approval=record.approval,
            before=State.PENDING,
            denied=distrust if record.approval else _denied(record.approval_reason or ""),
        )

    def _reopen(self, body: bytes, record: TransactionRecord) -> tuple[Opened | None, Problem | None]:
        """A held request, and what speaks against its sender now although it did not when the request was held: paths
        are valid at the moment of use (RFC 5280 section 6.1.3), and the moment of use is that of the approval."""
        opened = self._inbox.open_one(body)
        if isinstance(opened, Opened):
            return opened, None
        if isinstance(opened, UntimelyError):
            return None, None
        before = self._inbox.open_one(body, record.created_at)
        return (before, _distrusted(opened.problems[0])) if isinstance(before, Opened) else (None, None)

    def _expire(self) -> None:
        now = self._clock.now()
        late = self._ledger.next_transactions(Role.ISSUER, {State.PENDING}, PAGE, decided=False, expires_before=now)
        self._ledger.commit([self._unit_for_expiry(record) for record in late])

    def _end(self, record: TransactionRecord) -> bool:
        (recorded,) = self._ledger.commit([self._unit_for_expiry(record)])
        return recorded

    def _unit_for_expiry(self, record: TransactionRecord) -> Unit:
        now = self._clock.now()
        after = step(Role.ISSUER, State.PENDING, Event.TIMED_OUT)
        move = MoveTransaction(record.key, State.PENDING, after, now)
        audit = Audit(now, after.value, record.key.partner, record.key.id, "the request expired before it was answered")
        return Unit((move, audit))

    def _lapse(self) -> None:
        now = self._clock.now()
        late = self._ledger.next_transactions(
            Role.ISSUER, {State.ISSUED}, PAGE, updated_before=now - self._confirm_within
        )
        units = {
            record.key: unit_for_lapse(record.key, record.serial, self._us, now) for record in late if record.serial
        }
        for key, recorded in zip(units, self._ledger.commit([*units.values()]), strict=True):
            if recorded:  # else another process recorded a confirmation in this very moment
                self._log.warning("certificate lapsed", transaction=key.id, partner=key.partner)

    def _sweep(self) -> None:
        """Publish replies that wait for their confirm: a process ended between commit and confirm, or the broker did.
        Younger ones may be about to be published, here or in another issuer process."""
        due = tuple(self._left_behind.next_page())
        if due and self._relay.flush(due):
            self._log.info("replies published again", count=len(due))

    def _left_behind_after(self, last: OutboxRecord | None) -> Sequence[OutboxRecord]:
        old = self._clock.now() - timedelta(seconds=SWEEP_SECONDS)
        return self._ledger.outbox(self._us, SWEEP_MAX, last.sequence if last else 0, stored_before=old)


def _denied(reason: str) -> Problem:
    """The operator's words, whole. What the request showed and pinned when it was held stays used and pinned."""
    fix = (
        "Ask the issuer's operator what would be approved, then enroll again without an invitation: one that this "
        "request showed is used up, and the issuer knows you since it held the request."
    )
    denied = problem(ProblemCode.NOT_AUTHORIZED, "approval", "a denial", "an approved request", fix)
    return denied.model_copy(update={"got": printable(f"denied by the issuer: {reason}", PROBLEM_TEXT_MAX)})


def _distrusted(why: Problem) -> Problem:
    field = f"{why.field} of the requester's agent identity"
    fix = f"{why.fix} Then enroll again: this request was approved when its sender could no longer be trusted."
    return problem(why.code, field, why.got, why.allowed, fix)
