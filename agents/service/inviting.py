"""Records an agreement with a partner and makes the invitation that goes with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from agents.core.effects import Audit, RecordInvitation, RecordPartner, Unit, WithdrawInvitations
from agents.errors import StateError
from agents.ports import Entropy
from agents.service.workplace import Workplace
from protocol.broker import BrokerAddress
from protocol.invitation import Invitation, Secret
from protocol.names import Fingerprint, InvitationId, OrganisationName


@dataclass(frozen=True, slots=True)
class Invited:
    """A new invitation, and those for the same partner that could be used until it was made."""

    invitation: Invitation
    withdrawn: tuple[InvitationId, ...]


def invite(
    place: Workplace,
    entropy: Entropy,
    partner: OrganisationName,
    *,
    root: Fingerprint,
    broker: BrokerAddress,
    lifetime: timedelta,
) -> Invited:
    """A new invitation for `partner`, single use, good for `lifetime`. Earlier ones that are not used are withdrawn:
    one that was lost, or seen by others, is of no use any more.

    `root` is our own. The caller hands the text to the partner's operator and keeps no copy.
    Raises `LedgerUnavailableError`.
    """
    now = place.clock.now()
    invitation = Invitation(
        place.us, partner, root, entropy.invitation_id(), Secret(entropy.secret()), now + lifetime, broker
    )
    withdrawn = tuple(earlier.id for earlier in place.ledger.open_invitations(partner, now))
    record = RecordInvitation(invitation.id, partner, invitation.secret.reveal(), now, invitation.expires_at)
    audits = [Audit(now, "invited", partner, None, f"invitation {invitation.id}, good until {invitation.expires_at}")]
    audits += [Audit(now, "invitation withdrawn", partner, None, f"invitation {id}") for id in withdrawn]
    known = RecordPartner(partner, now, agreed=True)
    (recorded,) = place.ledger.commit([Unit((known, WithdrawInvitations(partner, now), record, *audits))])
    if not recorded:
        raise StateError(f"the invitation {invitation.id} could not be recorded. Try again.")
    return Invited(invitation, withdrawn)
