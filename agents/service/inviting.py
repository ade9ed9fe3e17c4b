"""Records an agreement with a partner and makes the invitation that goes with it."""

from __future__ import annotations

from datetime import timedelta

from agents.core.effects import Audit, RecordInvitation, RecordPartner, Unit
from agents.errors import StateError
from agents.ports import Clock, Entropy, Ledger
from protocol.invitation import Invitation, Secret
from protocol.names import Fingerprint, OrganisationName


def invite(  # noqa: PLR0913 - what an invitation says
    partner: OrganisationName,
    *,
    us: OrganisationName,
    root: Fingerprint,
    broker: str,
    lifetime: timedelta,
    ledger: Ledger,
    clock: Clock,
    entropy: Entropy,
) -> Invitation:
    """A new invitation for `partner`, single use, good for `lifetime`; earlier ones stay good until they expire.

    Raises `LedgerUnavailableError`. The caller hands the text to the partner's operator and keeps no copy.
    """
    now = clock.now()
    invitation = Invitation(
        us, partner, root, entropy.invitation_id(), Secret(entropy.secret()), now + lifetime, broker
    )
    record = RecordInvitation(invitation.id, partner, invitation.secret.reveal(), now, invitation.expires_at)
    audit = Audit(now, "invited", partner, None, f"invitation {invitation.id}, good until {invitation.expires_at}")
    (recorded,) = ledger.commit([Unit((RecordPartner(partner, now, agreed=True), record, audit))])
    if not recorded:
        raise StateError(f"the invitation {invitation.id} could not be recorded. Try again.")
    return invitation
