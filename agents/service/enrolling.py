"""Begins an enrollment: takes the invitation in, seals the request, and records all of it before anything is sent."""

from __future__ import annotations

from datetime import datetime, timedelta

from agents.core.effects import Audit, PinAnchor, RecordPartner, TransactionKey, Unit
from agents.core.requester import Enrollment, request_message, unit_for_created
from agents.errors import ConfigurationError, StateError
from agents.ports import Clock, Ledger
from protocol.envelope import Sealer
from protocol.errors import InvitationError, ProblemCode, problem
from protocol.invitation import Invitation, prove
from protocol.names import Fingerprint, OrganisationName
from protocol.transaction import Role

REQUEST_LIFETIME = timedelta(days=7)
"""How long a request is worth an answer, a person's approval included."""

_SHOWN = "%Y-%m-%dT%H:%M:%SZ"


def require_usable(invitation: Invitation, us: OrganisationName, ledger: Ledger, now: datetime) -> None:
    """Judge an invitation; nothing is recorded.

    Raises `InvitationError` if it has expired, is for another organisation, or claims to come from ours; `StateError`
    if another root is pinned for the issuer here: trust that was pinned is never replaced by an invitation alone.
    """
    if invitation.requester != us:
        fix = f"Give it to {invitation.requester}, or choose the right agent with --home."
        got = f"an invitation for {invitation.requester}"
        raise InvitationError(problem(ProblemCode.WRONG_AUTHORITY, "invitation", got, f"one for {us}", fix))
    if invitation.issuer == us:
        fix = "Ask whoever handed it over for the issuer's true name: nobody else issues in ours."
        got = f"an invitation from {us} to itself"
        raise InvitationError(problem(ProblemCode.WRONG_AUTHORITY, "invitation", got, "a partner's", fix))
    if now >= invitation.expires_at:
        fix = "Ask the issuer's operator for a new one; if it was made just now, compare both clocks."
        got = f"an invitation that expired at {invitation.expires_at:{_SHOWN}}; it is {now:{_SHOWN}} here"
        raise InvitationError(problem(ProblemCode.BAD_TIME, "invitation", got, "one that has not expired", fix))
    partner = ledger.partner(invitation.issuer)
    pinned = partner.pinned_as(Role.ISSUER) if partner else frozenset()
    if pinned and invitation.root not in pinned:
        raise _another_root(invitation)


def take_in(invitation: Invitation, us: OrganisationName, ledger: Ledger, clock: Clock) -> None:
    """Record who invited us, under which root, and where its broker is. Raises as `require_usable`."""
    now = clock.now()
    require_usable(invitation, us, ledger, now)
    partner = RecordPartner(invitation.issuer, now, broker=invitation.broker)
    anchor = PinAnchor(invitation.issuer, Role.ISSUER, invitation.root, None, now)
    audit = Audit(now, "invitation taken in", invitation.issuer, None, f"root {invitation.root}")
    (recorded,) = ledger.commit([Unit((partner, anchor, audit))])
    if not recorded:  # another process pinned one meanwhile
        raise _another_root(invitation)


def _another_root(invitation: Invitation) -> StateError:
    return StateError(
        f"{invitation.issuer} is known here under another root than the invitation's ({invitation.root}). "
        "Ask its operator whether the root was replaced on purpose, and compare fingerprints by telephone. If it was, "
        f"remove the old one by `agent unpin {invitation.issuer} --as issuer`, then use the invitation again."
    )


def require_known(issuer: OrganisationName, ledger: Ledger) -> None:
    """Raises `ConfigurationError` if nothing pins a root for `issuer` as an issuer here."""
    partner = ledger.partner(issuer)
    if partner is None or not partner.pinned_as(Role.ISSUER):
        raise ConfigurationError(
            f"no root is pinned for {issuer} here. Enroll with a new invitation of its (--invitation FILE)."
        )


def begin(
    enrollment: Enrollment, root: Fingerprint, invitation: Invitation | None, sealer: Sealer, ledger: Ledger
) -> TransactionKey:
    """Seal the request and record it; the daemon, or whoever runs the link, sends it. `root` is our own.

    Raises `ConfigurationError` if the issuer is unknown here, `EnvelopeError` if the request is too large.
    """
    require_known(enrollment.issuer, ledger)
    proof = prove(invitation, root, enrollment.id) if invitation else None
    sealed = sealer.seal(request_message(enrollment, proof))
    (recorded,) = ledger.commit([unit_for_created(enrollment, proof, sealed)])
    if not recorded:
        raise StateError(f"transaction {enrollment.id} exists already. Try again.")
    return TransactionKey(Role.REQUESTER, enrollment.issuer, enrollment.id)
