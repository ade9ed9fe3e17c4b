"""What is remembered of partners, and for how long."""

import pytest
from kit.envelopes import B, der

from agents.core.effects import PinAnchor, RecordPartner, Unit, UnpinAnchor
from agents.service.partners import REMEMBERED_SECONDS, Partners
from protocol.transaction import Role


@pytest.fixture
def partners(world):
    return Partners(world.issuer.place, Role.REQUESTER)


@pytest.fixture
def pin(world):
    """Pin B's root at the issuer, with its certificate or by its fingerprint alone."""

    def pin(certificate, acts_as=Role.REQUESTER):
        pinned = PinAnchor(B, acts_as, world.b.root, certificate, world.clock.now())
        assert world.issuer.ledger.commit([Unit((pinned,))]) == (True,)

    return pin


def test_an_anchor_that_another_process_pins_is_seen_at_once(world, partners, pin):
    root = der(world.b.organisation.root.certificate)
    assert partners.anchors_of(B) == []
    pin(None)
    assert partners.pinned(B) == {world.b.root}
    assert partners.anchors_of(B) == []
    pin(root)
    assert [der(anchor) for anchor in partners.anchors_of(B)] == [root]


def test_a_partner_with_an_anchor_is_looked_up_once_in_a_while(world, partners, pin):
    pin(der(world.b.organisation.root.certificate))
    before = partners.record(B)
    world.issuer.ledger.commit([Unit((RecordPartner(B, world.clock.now(), agreed=True),))])
    assert partners.record(B) is before
    world.clock.move(seconds=REMEMBERED_SECONDS)
    assert partners.record(B).agreed


def test_what_was_just_recorded_is_seen_when_it_is_asked_for(world, partners, pin):
    pin(der(world.b.organisation.root.certificate))
    assert not partners.record(B).agreed
    world.issuer.ledger.commit([Unit((RecordPartner(B, world.clock.now(), agreed=True),))])
    partners.forget()
    assert partners.record(B).agreed


def test_a_root_that_is_pinned_for_the_other_role_is_no_anchor(world, partners, pin):
    pin(der(world.b.organisation.root.certificate), Role.ISSUER)
    assert (partners.pinned(B), partners.anchors_of(B)) == (frozenset(), [])
    assert Partners(world.issuer.place, Role.ISSUER).pinned(B) == {world.b.root}


def test_a_root_that_was_removed_is_no_anchor_any_more_after_a_moment(world, partners, pin):
    pin(der(world.b.organisation.root.certificate))
    assert partners.pinned(B) == {world.b.root}
    world.issuer.ledger.commit([Unit((UnpinAnchor(B, Role.REQUESTER, world.b.root),))])
    world.clock.move(seconds=REMEMBERED_SECONDS)
    assert (partners.pinned(B), partners.anchors_of(B)) == (frozenset(), [])
