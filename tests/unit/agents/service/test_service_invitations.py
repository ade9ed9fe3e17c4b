"""Inviting, taking an invitation in, beginning an enrollment: what is recorded before anything is sent."""

from dataclasses import replace
from datetime import timedelta

import pytest
from kit.envelopes import B, C, D

from agents.adapters.entropy import SystemEntropy
from agents.core.agreement import Approval
from agents.errors import ConfigurationError, LedgerUnavailableError, StateError
from agents.service.enrolling import take_in
from protocol.envelope import digest
from protocol.errors import InvitationError, ProblemCode
from protocol.invitation import decode_invitation, encode_invitation
from protocol.messages import Issued, Pending
from protocol.names import Fingerprint
from protocol.transaction import State


def test_an_invitation_is_recorded_with_the_agreement_and_survives_the_way_by_mail(world):
    invitation = world.issuer.invite(B)
    record = world.issuer.ledger.invitations([invitation.id])[invitation.id]
    assert (record.partner, record.proof_key, record.consumed_by) == (B, invitation.secret.reveal(), None)
    assert world.issuer.ledger.partner(B).agreed
    assert decode_invitation(encode_invitation(invitation)) == invitation


def test_every_invitation_is_another(world):
    first, second = world.issuer.invite(B), world.issuer.invite(B)
    assert first.id != second.id
    assert first.secret != second.secret


def test_a_new_invitation_withdraws_those_that_were_not_used(world):
    leaked, other = world.issuer.invite(B), world.issuer.invite(D)
    newer = world.issuer.invite(B)
    world.send(world.b.sealed(world.b.begin(leaked)), world.d.sealed(world.d.begin(other)))
    world.issuer.work()
    (refused,), (granted,) = ([one.body.result for one in world.said(name)] for name in (B, D))
    assert "withdrew" in refused.problems[0].got
    assert isinstance(granted, Issued)
    world.send(world.b.sealed(world.b.begin(newer)))
    world.issuer.work()
    assert isinstance(world.said()[-1].body.result, Issued)


def test_an_invitation_that_was_used_is_not_withdrawn(world):
    """Its held request keeps its right."""
    invitation = world.issuer.invite(B, approval=Approval.MANUAL)
    sealed = world.b.sealed(world.b.begin(invitation))
    world.send(sealed)
    world.issuer.work()
    world.issuer.invite(B, approval=Approval.MANUAL)
    assert world.issuer.ledger.invitations([invitation.id])[invitation.id].withdrawn_at is None
    world.send(sealed)
    world.issuer.work()
    assert [type(one.body.result) for one in world.said()] == [Pending, Pending]


def test_an_invitation_that_cannot_be_recorded_is_not_handed_out(world, monkeypatch):
    identifier = world.issuer.invite(B).id
    monkeypatch.setattr(SystemEntropy, "invitation_id", lambda _: identifier)
    with pytest.raises(StateError, match="could not be recorded"):
        world.issuer.invite(B)


def test_what_was_taken_in_pins_the_root_by_its_fingerprint(world):
    invitation = world.issuer.invite(B)
    for _ in range(2):
        take_in(invitation, B, world.b.ledger, world.clock)
    partner = world.b.ledger.partner(C)
    assert [(one.fingerprint, one.certificate) for one in partner.anchors] == [(world.issuer.root, None)]
    assert (partner.broker, partner.agreed) == ("amqp://broker.example:5672", False)


def test_another_organisation_s_invitation_is_refused(world):
    with pytest.raises(InvitationError) as caught:
        take_in(world.issuer.invite(B), D, world.d.ledger, world.clock)
    (problem,) = caught.value.problems
    assert (problem.code, problem.got) == (ProblemCode.WRONG_AUTHORITY, "an invitation for client-b")
    assert world.d.ledger.partners() == ()


def test_an_invitation_in_our_own_name_is_refused(world):
    """Its root would issue in our name, into our own record."""
    claimed = replace(world.issuer.invite(B), issuer=B)
    with pytest.raises(InvitationError, match="an invitation from client-b to itself"):
        take_in(claimed, B, world.b.ledger, world.clock)
    assert world.b.ledger.partners() == ()


def test_an_invitation_that_has_expired_is_refused_and_says_since_when(world):
    invitation = world.issuer.invite(B, lifetime=timedelta(hours=1))
    world.clock.move(seconds=3599)
    take_in(invitation, B, world.b.ledger, world.clock)
    world.clock.move(seconds=43)
    expired = (
        f"expired at {invitation.expires_at:%Y-%m-%dT%H:%M:%SZ}; it is {world.clock.now():%Y-%m-%dT%H:%M:%SZ} here"
    )
    with pytest.raises(InvitationError, match=expired):
        take_in(invitation, B, world.b.ledger, world.clock)


def test_an_invitation_never_replaces_a_pinned_root(world):
    invitation = world.issuer.invite(B)
    take_in(invitation, B, world.b.ledger, world.clock)
    with pytest.raises(StateError, match="another root") as caught:
        take_in(replace(invitation, root=Fingerprint.of(b"another")), B, world.b.ledger, world.clock)
    assert "telephone" in str(caught.value)
    assert "`agent unpin client-c --as issuer`" in str(caught.value)
    assert [one.fingerprint for one in world.b.ledger.partner(C).anchors] == [world.issuer.root]


def test_an_enrollment_begins_with_a_known_issuer_only(world):
    with pytest.raises(ConfigurationError, match="--invitation"):
        world.b.begin(None)
    assert world.b.transactions() == ()


def test_an_enrollment_is_recorded_and_waits_in_the_outbox(world):
    key = world.b.begin(world.issuer.invite(B))
    (row,) = world.b.ledger.outbox(C, 10)
    assert (row.key, row.type, row.body) == (key, "enrollment.request", world.b.sealed(key))
    assert world.b.record(key).request_digest == digest(row.body)
    assert world.b.state(key) is State.CREATED


def test_an_id_is_used_once(world, monkeypatch):
    key = world.b.begin(world.issuer.invite(B))
    with pytest.raises(StateError, match="exists already"):
        world.b.begin(None, id=key.id)
    assert len(world.b.ledger.outbox(C, 10)) == 1


def test_while_the_ledger_is_down_nobody_is_invited(world):
    world.issuer.ledger.break_at("commit")
    with pytest.raises(LedgerUnavailableError):
        world.issuer.invite(B)


def test_two_organisations_that_invite_each_other_can_both_enroll(world):
    """B knows C by its invitation before C's own request arrives there, and the other way round."""
    take_in(
        replace(world.issuer.invite(B), issuer=B, requester=C, root=world.b.root), C, world.issuer.ledger, world.clock
    )
    with world.channel():
        key = world.b.begin(world.issuer.invite(B))
        world.run()
    assert world.b.state(key) is State.VERIFIED
