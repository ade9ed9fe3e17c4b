"""A root that an operator removes: nothing is trusted under it any more, another can be pinned, all else stays."""

import pytest
from kit.envelopes import B, C, der
from kit.services import organisation_now

from agents.core.pinning import unit_for_unpinned
from agents.service.partners import REMEMBERED_SECONDS
from protocol.messages import Issued
from protocol.names import Fingerprint
from protocol.transaction import Role, State


def remove(world, at, partner, acts_as, root):
    assert at.ledger.commit([unit_for_unpinned(partner, acts_as, {root}, world.clock.now())]) == (True,)


def asked(world, invitation):
    """What C answers to a request of client-b's."""
    world.send(world.b.sealed(world.b.begin(invitation)))
    world.issuer.work()
    return world.said()[-1].body.result


@pytest.fixture
def removed(world):
    """C has issued to client-b, and then removed its root; some time has passed."""
    assert isinstance(asked(world, world.issuer.invite(B)), Issued)
    remove(world, world.issuer, B, Role.REQUESTER, world.b.root)
    world.clock.move(seconds=REMEMBERED_SECONDS)


def test_who_was_known_by_a_removed_root_needs_an_invitation(world, removed):
    problem = asked(world, None).problems[0]
    assert "for which no root is pinned here" in problem.got
    assert isinstance(asked(world, world.issuer.invite(B)), Issued)
    assert world.issuer.ledger.partner(B).pinned_as(Role.REQUESTER) == {world.b.root}


def test_with_a_new_invitation_another_root_takes_the_place_of_the_removed_one(world, removed):
    world.b.organisation = organisation_now(B, world.clock)
    world.b.sealer = world.b.organisation.sealer
    old, world.b.root = world.b.root, Fingerprint.of(der(world.b.organisation.root.certificate))
    assert isinstance(asked(world, world.issuer.invite(B)), Issued)
    assert world.issuer.ledger.partner(B).pinned_as(Role.REQUESTER) == {world.b.root} != {old}


def test_what_was_issued_under_a_removed_root_is_admitted_to_the_channel_as_before(world, removed):
    (record,) = world.issuer.ledger.certificates()
    assert world.issuer.admits(record.certificate) == B


def test_an_answer_under_a_root_that_was_just_removed_does_not_pin_it_again(world):
    """The answer is read within the moment for which what was pinned is remembered."""
    world.b.begin(world.issuer.invite(B))
    world.b.requesting.work(0.0)
    world.issuer.work()
    world.b.requesting.work(0.0)
    key = world.b.begin(None)
    world.b.requesting.work(0.0)
    world.issuer.work()
    world.b.requesting._partners.anchors_of(C)
    remove(world, world.b, C, Role.ISSUER, world.issuer.root)
    world.b.requesting.work(0.0)
    assert world.b.state(key) is State.ISSUED
    assert world.b.ledger.partner(C).anchors == ()


def test_a_certificate_under_a_root_that_was_removed_is_not_installed_and_its_issuer_is_told(world):
    key = world.b.begin(world.issuer.invite(B))
    world.b.requesting.work(0.0)
    world.issuer.work()
    world.b.requesting.work(0.0)
    assert world.b.state(key) is State.ISSUED
    remove(world, world.b, C, Role.ISSUER, world.issuer.root)
    world.b.work()
    record = world.b.record(key)
    assert record.state is State.FAILED
    assert "is not pinned any more" in record.problems[0].got
    assert not world.b.log.faults()
    world.run()
    assert world.issuer.states() == [State.LAPSED]
