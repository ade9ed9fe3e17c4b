"""How an installation ends: what is recorded of it, and what the issuer is told."""

from __future__ import annotations

from datetime import datetime

from agents.core.effects import RecordSession, StoreMessage, TransactionKey, Unit
from agents.core.requester import unit_for_move
from agents.errors import AgentError, NotVerifiedError, UnreachableError
from protocol.errors import Problem, ProblemCode, problem
from protocol.messages import PeerView
from protocol.transaction import Event, State


def unit_for_verified(
    key: TransactionKey, we_saw: PeerView, partner_saw: PeerView, confirmation: StoreMessage, now: datetime
) -> Unit:
    """A channel on which both ends saw what they must see."""
    session = RecordSession(key.partner, now, we_saw.model_dump_json(), partner_saw.model_dump_json())
    return unit_for_move(key, State.INSTALLED, Event.CHANNEL_VERIFIED, now, None, confirmation, session)


def why_given_up(error: AgentError) -> tuple[Problem, Problem]:
    """Why a certificate is given up: for us, and for its issuer, whom faults and paths of our files do not concern."""
    if isinstance(error, NotVerifiedError | UnreachableError):
        fix = "Compare `agent channel check` on both sides; enroll again once the reason is mended."
        seen = problem(ProblemCode.BAD_CERT_ID, "channel", error, "a channel that both ends verify", fix)
        return seen, seen
    code, wanted = ProblemCode.SYSTEM_FAILURE, "a credential that can be used"
    ours = problem(code, "credential", error, wanted, "Mend this, then enroll again; no other credential is touched.")
    told = problem(code, "credential", "a fault at the requester", wanted, "The requester's operator mends it.")
    return ours, told


def why_abandoned(reason: str) -> Problem:
    """Why this program could not go on with a transaction, for our own operator: the issuer is told nothing."""
    fix = "Enroll again; the credential in use is untouched."
    return problem(ProblemCode.SYSTEM_FAILURE, "credential", reason, "an installed credential", fix)
