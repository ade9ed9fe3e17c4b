"""Begins an enrollment: takes the invitation in, seals the request, and records all of it before anything is sent."""

from __future__ import annotations

from datetime import timedelta

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


def take_in(invitation: Invitation, us: OrganisationName, ledger: Ledger, clock: Clock) -> None:
    """Record who invited us, under which root, and where its broker is.

    Raises `InvitationError` if it has expired or is another organisation's, `StateError` if the issuer is known here
    under another root: trust that was pinned is never replaced by an invitation alone.
    """
    now = clock.now()
    if invitation.requester != us:
        fix = f"Give it to {invitation.requester}, or choose the right agent with --home."
        got = f"an invitation for {invitation.requester}"
        raise InvitationError(problem(ProblemCode.WRONG_AUTHORITY, "invitation", got, f"one for {us}", fix))
    if now >= invitation.expires_at:
        late = now - invitation.expires_at
        fix = "Ask the issuer's operator for a new one; if it was made just now, compare both clocks."
        got = f"an invitation that expired {late.total_seconds():.0f} s ago"
        raise InvitationError(problem(ProblemCode.BAD_TIME, "invitation", got, "one that has not expired", fix))
    partner = RecordPartner(invitation.issuer, now, broker=invitation.broker)
    anchor = PinAnchor(invitation.issuer, invitation.root, None, now)
    audit = Audit(now, "invitation taken in", invitation.issuer, None, f"root {invitation.root}")
    (recorded,) = ledger.commit([Unit((partner, anchor, audit))])
    if not recorded:
        raise StateError(
            f"{invitation.issuer} is known here under another root than the invitation's ({invitation.root}). "
            "Ask its operator whether the root was replaced on purpose, and compare fingerprints by telephone."
        )


def begin(
    enrollment: Enrollment, root: Fingerprint, invitation: Invitation | None, sealer: Sealer, ledger: Ledger
) -> TransactionKey:
    """Seal the request and record it; the daemon, or whoever runs the link, sends it. `root` is our own.

    Raises `ConfigurationError` if the issuer is unknown here, `EnvelopeError` if the request is too large.
    """
    if ledger.partner(enrollment.issuer) is None:
        raise ConfigurationError(
            f"{enrollment.issuer} is not known here. Enroll with its invitation first (--invitation FILE)."
        )
    proof = prove(invitation, root, enrollment.id) if invitation else None
    sealed = sealer.seal(request_message(enrollment, proof))
    (recorded,) = ledger.commit([unit_for_created(enrollment, sealed)])
    if not recorded:
        raise StateError(f"transaction {enrollment.id} exists already. Try again.")
    return TransactionKey(Role.REQUESTER, enrollment.issuer, enrollment.id)
