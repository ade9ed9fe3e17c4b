"""Records an agreement with a partner and makes the invitation that goes with it."""

from __future__ import annotations

from datetime import timedelta

from agents.core.effects import Audit, RecordInvitation, RecordPartner, Unit
from agents.errors import StateError
from agents.ports import Entropy
from agents.service.workplace import Workplace
from protocol.invitation import Invitation, Secret
from protocol.names import Fingerprint, OrganisationName


def invite(
    place: Workplace,
    entropy: Entropy,
    partner: OrganisationName,
    *,
    root: Fingerprint,
    broker: str,
    lifetime: timedelta,
) -> Invitation:
    """A new invitation for `partner`, single use, good for `lifetime`; earlier ones stay good until they expire.

    `root` is our own. The caller hands the text to the partner's operator and keeps no copy.
    Raises `LedgerUnavailableError`.
    """
    now = place.clock.now()
    invitation = Invitation(
        place.us, partner, root, entropy.invitation_id(), Secret(entropy.secret()), now + lifetime, broker
    )
    record = RecordInvitation(invitation.id, partner, invitation.secret.reveal(), now, invitation.expires_at)
    audit = Audit(now, "invited", partner, None, f"invitation {invitation.id}, good until {invitation.expires_at}")
    (recorded,) = place.ledger.commit([Unit((RecordPartner(partner, now, agreed=True), record, audit))])
    if not recorded:
        raise StateError(f"the invitation {invitation.id} could not be recorded. Try again.")
    return invitation
