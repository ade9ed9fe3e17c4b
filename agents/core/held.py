"""Requests that a person decides on: what the decision records, and what is told to who gets no certificate."""

from __future__ import annotations

from datetime import datetime

from agents.core.case import Case
from agents.core.effects import Audit, MoveTransaction, RecordApproval, TransactionKey, Unit
from protocol.errors import PROBLEM_TEXT_MAX, Problem, ProblemCode, printable, problem
from protocol.transaction import Event, Role, State, step


def unit_for_decision(key: TransactionKey, reason: str, now: datetime, *, allow: bool) -> Unit:
    """An operator's word, to be carried out by whoever holds the CA's key."""
    audit = Audit(now, "approved" if allow else "denied", key.partner, key.id, reason)
    return Unit((RecordApproval(key, allow, reason, now), audit))


def unit_for_expiry(key: TransactionKey, now: datetime) -> Unit:
    """The end of a request that was not answered in time: its requester gives it up at the same moment."""
    after = step(Role.ISSUER, State.PENDING, Event.TIMED_OUT)
    audit = Audit(now, after.value, key.partner, key.id, "the request expired before it was answered")
    return Unit((MoveTransaction(key, State.PENDING, after, now), audit))


def denied(case: Case, reason: str) -> Problem:
    """The operator's words, whole."""
    fix = f"Ask the issuer's operator what would be approved, then {_again(case)}."
    said = problem(ProblemCode.NOT_AUTHORIZED, "approval", "a denial", "an approved request", fix)
    return said.model_copy(update={"got": printable(f"denied by the issuer: {reason}", PROBLEM_TEXT_MAX)})


def distrusted(case: Case, why: Problem) -> Problem:
    """Why an approved request is refused whose sender's agent identity is no longer valid."""
    field = f"{why.field} of the requester's agent identity"
    fix = f"{why.fix} Then {_again(case)}. This request was approved when its sender could no longer be trusted."
    return problem(why.code, field, why.got, why.allowed, fix)


def _again(case: Case) -> str:
    """What a refused requester can do: the root of a first request was not pinned, and its invitation is used up."""
    if case.first:
        return "enroll again with a new invitation; the one that this request showed is used up"
    return "enroll again without an invitation"
