"""A root is trusted in the role in which it was proven: an invitation that we took in admits nobody as a requester."""

from dataclasses import replace

import pytest
from kit.envelopes import B, C

from agents.core.effects import PinAnchor, Unit
from agents.errors import ConfigurationError
from agents.service.enrolling import take_in
from protocol.messages import Issued, Refused
from protocol.names import Fingerprint
from protocol.transaction import Role, State

FALSE = Fingerprint.of(b"a root that is not client-b's")


@pytest.fixture
def deceived(world):
    """C has an agreement with client-b, and has taken in an invitation that claims to be client-b's."""
    invitation = world.issuer.invite(B)
    claimed = replace(invitation, issuer=B, requester=C, root=world.b.root)
    take_in(claimed, C, world.issuer.ledger, world.clock)
    take_in(invitation, B, world.b.ledger, world.clock)
    return invitation


def asked(world, invitation):
    """What C answers to a request of client-b's."""
    world.send(world.b.sealed(world.b.begin(invitation)))
    world.issuer.work()
    return world.said()[-1].body.result


def test_who_made_an_invitation_in_a_partners_name_cannot_request_in_that_name(world, deceived):
    result = asked(world, None)
    assert isinstance(result, Refused)
    assert "for which no root is pinned here" in result.problems[0].got
    assert (world.issuer.states(), world.issuer.certificates()) == ([], 0)
    assert world.issuer.ledger.partner(B).pinned_as(Role.REQUESTER) == frozenset()


def test_each_direction_has_its_own_invitation(world, deceived):
    assert isinstance(asked(world, deceived), Issued)
    partner = world.issuer.ledger.partner(B)
    assert partner.pinned_as(Role.REQUESTER) == partner.pinned_as(Role.ISSUER) == {world.b.root}


def test_a_false_invitation_in_a_partners_name_does_not_lock_that_partner_out(world):
    invitation = world.issuer.invite(B)
    claimed = replace(invitation, issuer=B, requester=C, root=FALSE)
    take_in(claimed, C, world.issuer.ledger, world.clock)
    assert isinstance(asked(world, invitation), Issued)
    partner = world.issuer.ledger.partner(B)
    assert (partner.pinned_as(Role.REQUESTER), partner.pinned_as(Role.ISSUER)) == ({world.b.root}, {FALSE})


def test_a_requester_of_ours_does_not_keep_us_from_an_issuer_of_its_name(world):
    invitation = world.issuer.invite(B)
    asked(world, invitation)
    take_in(replace(invitation, issuer=B, requester=C, root=FALSE), C, world.issuer.ledger, world.clock)
    partner = world.issuer.ledger.partner(B)
    assert (partner.pinned_as(Role.REQUESTER), partner.pinned_as(Role.ISSUER)) == ({world.b.root}, {FALSE})


def test_a_requester_of_ours_is_no_issuer_of_ours(world):
    pinned = PinAnchor(C, Role.REQUESTER, world.issuer.root, None, world.clock.now())
    world.b.ledger.commit([Unit((pinned,))])
    with pytest.raises(ConfigurationError, match="--invitation"):
        world.b.begin(None)


def test_a_root_that_is_pinned_for_a_requester_authenticates_no_reply(world):
    key = world.b.begin(world.issuer.invite(B))
    with world.b.ledger._ledger._backend.writing() as cursor:
        cursor.execute("UPDATE anchors SET acts_as = 'requester'")
    world.b.requesting.work(0.0)
    world.issuer.work()
    world.b.work()
    assert world.b.state(key) is State.SENT
    assert "but pinned is none" in str(world.b.requesting.concern())
