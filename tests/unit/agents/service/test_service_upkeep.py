"""What the issuer does by the clock: held requests, certificates that nobody confirmed, replies left behind."""

from dataclasses import replace
from datetime import timedelta

import pytest
from kit.envelopes import B, C, D, agent_of, der
from kit.policies import dns_patterns, make_policy
from kit.services import CONFIRM_WITHIN, organisation_now

from agents.adapters.entropy import SystemEntropy
from agents.core.agreement import Approval
from agents.core.case import judge
from agents.core.effects import OpenTransaction, RecordApproval, TransactionKey, Unit
from agents.core.requester import confirmation_message
from agents.errors import ConfigurationError, LedgerUnavailableError
from agents.ports import AnchorRecord, PublishOutcome
from agents.service import answering, approvals, relay, upkeep
from agents.service.approvals import LATER, PAGE
from protocol.errors import PathError, ProblemCode, problem
from protocol.messages import Delivered, Issued, Pending, Refused, Rejected
from protocol.names import Fingerprint
from protocol.topology import out_exchange, reply_queue
from protocol.transaction import Role, State


@pytest.fixture
def held(world):
    """A request that waits for a person."""
    key = world.b.begin(world.issuer.invite(B, approval=Approval.MANUAL))
    world.send(world.b.sealed(key))
    world.issuer.work()
    return key


@pytest.fixture
def issued(world):
    """A request that was granted, not confirmed."""
    key = world.b.begin(world.issuer.invite(B))
    world.send(world.b.sealed(key))
    world.issuer.work()
    return key


def decide(world, *, approve, reason="as agreed"):
    (record,) = [one for one in world.issuer.transactions() if one.state is State.PENDING]
    (recorded,) = world.issuer.ledger.commit([Unit((RecordApproval(record.key, approve, reason, world.clock.now()),))])
    assert recorded


def results(world, to=B):
    return [one.body.result for one in world.said(to)]


# --- held requests


def test_an_approved_request_is_granted_without_being_asked_for(world, held):
    decide(world, approve=True)
    world.issuer.tend()
    assert [type(one) for one in results(world)] == [Pending, Issued]
    assert (world.issuer.states(), world.issuer.certificates()) == ([State.ISSUED], 1)


def test_a_denied_request_is_refused_with_the_operator_s_words(world, held):
    decide(world, approve=False, reason="no contract yet")
    world.issuer.tend()
    _, refused = results(world)
    assert refused.problems[0].got == "denied by the issuer: no contract yet"
    assert (world.issuer.states(), world.issuer.certificates()) == ([State.REFUSED], 0)


def test_a_reason_for_a_denial_arrives_whole(world, held):
    reason = "no contract yet; " * 17
    decide(world, approve=False, reason=reason)
    world.issuer.tend()
    assert results(world)[1].problems[0].got == f"denied by the issuer: {reason}"


def test_a_denied_stranger_is_told_to_get_a_new_invitation_and_can_enroll_with_it(world):
    invitation = world.issuer.invite(B, approval=Approval.MANUAL)
    world.send(world.b.sealed(world.b.begin(invitation)))
    world.issuer.work()
    decide(world, approve=False)
    world.issuer.tend()
    told = results(world)[1].problems[0].fix
    assert "enroll again with a new invitation" in told
    assert "is used up" in told
    for again in (invitation, None, world.issuer.invite(B, approval=Approval.MANUAL)):
        world.send(world.b.sealed(world.b.begin(again)))
    world.issuer.work()
    with_the_same, without, with_a_new_one = results(world)[2:]
    assert "already used by transaction" in with_the_same.problems[0].got
    assert "for which no root is pinned here" in without.problems[0].got
    assert isinstance(with_a_new_one, Pending)


def test_a_denied_partner_is_told_to_ask_again_without_an_invitation_and_can(world, issued):
    world.issuer.invite(B, approval=Approval.MANUAL)
    for _ in range(2):
        world.send(world.b.sealed(world.b.begin(None)))
        world.issuer.work()
        decide(world, approve=False)
        world.issuer.tend()
    *_, first, _, second = results(world)
    assert first.problems == second.problems
    assert first.problems[0].fix.endswith("then enroll again without an invitation.")


def test_until_its_first_request_is_granted_a_stranger_needs_an_invitation_for_each(world, held):
    world.send(world.b.sealed(world.b.begin(None)))
    world.issuer.work()
    assert "wait until it is granted" in results(world)[1].problems[0].fix
    decide(world, approve=True)
    world.issuer.tend()
    world.send(world.b.sealed(world.b.begin(None)))
    world.issuer.work()
    assert [type(one) for one in results(world)[2:]] == [Issued, Pending]


def roots(world, partner=B):
    return [one.fingerprint for one in world.issuer.ledger.partner(partner).anchors]


def test_the_root_of_a_held_request_is_pinned_by_its_approval(world, held):
    assert roots(world) == []
    decide(world, approve=True)
    world.issuer.tend()
    assert roots(world) == [world.b.root]


def test_a_thief_s_request_that_is_denied_leaves_the_true_partner_its_place(world):
    thief = organisation_now(B, world.clock)
    stolen, true_sealer = world.issuer.invite(B, approval=Approval.MANUAL), world.b.sealer
    world.b.sealer = thief.sealer
    world.send(world.b.sealed(begin_as(world, thief, stolen)))
    world.issuer.work()
    decide(world, approve=False, reason="not the root that you read to me")
    world.issuer.tend()
    assert roots(world) == []
    world.b.sealer = true_sealer
    world.send(world.b.sealed(world.b.begin(world.issuer.invite(B, approval=Approval.MANUAL))))
    world.issuer.work()
    decide(world, approve=True)
    world.issuer.tend()
    assert isinstance(results(world)[-1], Issued)
    assert roots(world) == [world.b.root]


def test_of_two_held_requests_under_two_roots_the_first_that_is_approved_has_the_place(world, held):
    thief = organisation_now(B, world.clock)
    world.b.sealer = thief.sealer
    other = begin_as(world, thief, world.issuer.invite(B, approval=Approval.MANUAL))
    world.send(world.b.sealed(other))
    world.issuer.work()
    for record in world.issuer.transactions():
        approval = RecordApproval(record.key, approve=True, reason="", at=world.clock.now())
        world.issuer.ledger.commit([Unit((approval,))])
    world.issuer.tend()
    assert (world.issuer.states(), world.issuer.certificates()) == ([State.ISSUED, State.REFUSED], 1)
    assert roots(world) == [world.b.root]


def begin_as(world, organisation, invitation):
    """A request of B's agent under the root of another organisation that takes B's name."""
    own, world.b.root = world.b.root, Fingerprint.of(der(organisation.root.certificate))
    try:
        return world.b.begin(invitation)
    finally:
        world.b.root = own


def test_an_approval_does_not_override_a_policy_that_has_changed(world, held):
    world.issuer.policies[B] = make_policy(names=dns_patterns("other.example"))
    decide(world, approve=True)
    world.issuer.tend()
    assert isinstance(results(world)[1], Refused)
    assert (world.issuer.states(), world.issuer.certificates()) == ([State.REFUSED], 0)


def test_an_approval_is_worth_nothing_without_an_agreement(world, held):
    del world.issuer.policies[B]
    decide(world, approve=True)
    world.issuer.tend()
    assert results(world)[1].problems[0].code is ProblemCode.NOT_AUTHORIZED


def test_a_request_that_nobody_decides_expires(world, held):
    world.clock.move(days=7, minutes=6)
    world.issuer.tend()
    assert world.issuer.states() == [State.EXPIRED]


def test_an_approval_that_comes_too_late_grants_nothing(world, held):
    world.clock.move(days=7, minutes=6)
    decide(world, approve=True)
    world.issuer.tend()
    assert (world.issuer.states(), world.issuer.certificates()) == ([State.EXPIRED], 0)


def test_a_decision_that_comes_too_late_is_told_to_the_operator(world, held):
    world.clock.move(days=7, minutes=6)
    decide(world, approve=True)
    world.issuer.tend()
    assert [event for _, event, _ in world.issuer.log.lines if event == "decided too late"] == ["decided too late"]
    assert len(world.said()) == 1


@pytest.fixture
def held_from_an_identity_that_ends(world):
    """A request that waits for a person, sealed with an agent identity that is valid for two more days."""
    start = world.clock.now().replace(microsecond=0)
    ending = agent_of(B, world.b.organisation.issuing, start=start - timedelta(days=1), end=start + timedelta(days=2))
    world.b.sealer = replace(world.b.organisation, identity=ending).sealer
    key = world.b.begin(world.issuer.invite(B, approval=Approval.MANUAL))
    world.send(world.b.sealed(key))
    world.issuer.work()
    return key


def test_an_approval_after_the_requester_s_identity_has_ended_is_answered_with_a_refusal(
    world, held_from_an_identity_that_ends
):
    world.clock.move(days=2, minutes=1)
    decide(world, approve=True)
    world.issuer.tend()
    _, refused = results(world)
    (wrong,) = refused.problems
    assert (wrong.code, wrong.field) == (ProblemCode.BAD_TIME, "certificate of the requester's agent identity")
    assert "valid until" in wrong.got
    assert "enroll again with a new invitation" in wrong.fix
    assert (world.issuer.states(), world.issuer.certificates()) == ([State.REFUSED], 0)
    world.b.work()
    assert world.b.record(held_from_an_identity_that_ends).problems == (wrong,)


def test_a_denial_after_the_requester_s_identity_has_ended_says_what_the_operator_said(
    world, held_from_an_identity_that_ends
):
    world.clock.move(days=2, minutes=1)
    decide(world, approve=False, reason="no contract yet")
    world.issuer.tend()
    (wrong,) = results(world)[1].problems
    assert wrong.got == "denied by the issuer: no contract yet"


def test_an_approval_while_the_requester_s_identity_is_valid_is_a_grant(world, held_from_an_identity_that_ends):
    world.clock.move(days=1, hours=23)
    decide(world, approve=True)
    world.issuer.tend()
    assert isinstance(results(world)[1], Issued)


def test_a_held_request_is_granted_after_its_invitation_has_expired(world, held):
    world.clock.move(hours=5)
    decide(world, approve=True)
    world.issuer.tend()
    assert isinstance(results(world)[1], Issued)


def test_while_the_policy_cannot_be_read_a_decided_request_stays_held_and_is_told_once(world, held):
    good = world.issuer.policies[B]
    world.issuer.policies[B] = ConfigurationError("line 3 of client-b.toml")
    decide(world, approve=True)
    for _ in range(10):
        world.issuer.tend(seconds=1)
    assert (world.issuer.states(), len(world.said())) == ([State.PENDING], 1)
    assert world.issuer.log.reasons("policy unusable") == ["line 3 of client-b.toml"]
    world.issuer.policies[B] = good
    world.clock.move(seconds=LATER.longest)
    world.issuer.tend()
    assert world.issuer.states() == [State.ISSUED]


def test_a_denial_needs_no_policy(world, held):
    world.issuer.policies[B] = ConfigurationError("line 3 of client-b.toml")
    decide(world, approve=False, reason="no contract yet")
    world.issuer.tend()
    assert results(world)[1].problems[0].got == "denied by the issuer: no contract yet"
    assert world.issuer.states() == [State.REFUSED]


def test_a_held_request_on_which_the_program_fails_leaves_the_others_alone(world, held, monkeypatch):
    other = world.d.begin(world.issuer.invite(D, approval=Approval.MANUAL))
    world.send(world.d.sealed(other))
    world.issuer.work()
    for record in world.issuer.transactions():
        approval = RecordApproval(record.key, approve=True, reason="", at=world.clock.now())
        world.issuer.ledger.commit([Unit((approval,))])

    def faulty(csr, requester, context):
        if requester.name == B:
            raise TypeError("a fault")
        return judge(csr, requester, context)

    monkeypatch.setattr(answering, "judge", faulty)
    world.issuer.tend()
    states = {record.key.partner: record.state for record in world.issuer.transactions()}
    assert states == {B: State.PENDING, D: State.ISSUED}
    assert len(world.issuer.log.faults()) == 1


def test_the_ledger_down_while_a_request_is_decided_loses_nothing(world, held):
    decide(world, approve=True)
    world.issuer.ledger.break_at("commit")
    with pytest.raises(LedgerUnavailableError):
        world.issuer.upkeep.work()
    world.clock.move(seconds=1)
    world.issuer.tend()
    assert world.issuer.states() == [State.ISSUED]


def fill(world, number):
    """As many requests that were held at the same moment, for a day; in the ledger alone."""
    now, digest = world.clock.now(), Fingerprint.of(b"request")
    keys = [TransactionKey(Role.ISSUER, D, SystemEntropy().transaction_id(now)) for _ in range(number)]
    opened = [OpenTransaction(key, State.PENDING, digest, now, now + timedelta(days=1)) for key in keys]
    assert all(world.issuer.ledger.commit([Unit((one,)) for one in opened]))


def test_an_approval_is_acted_on_behind_a_thousand_younger_held_requests(world, held):
    decide(world, approve=True)
    world.clock.move(seconds=1)
    fill(world, PAGE)
    world.issuer.tend()
    assert [type(one) for one in results(world)] == [Pending, Issued]


def test_an_approval_is_acted_on_behind_those_that_cannot_be_decided(world, monkeypatch):
    monkeypatch.setattr(approvals, "PAGE", 2)
    world.issuer.build()
    for _ in range(3):
        world.send(world.b.sealed(world.b.begin(world.issuer.invite(B, approval=Approval.MANUAL))))
    world.send(world.d.sealed(world.d.begin(world.issuer.invite(D, approval=Approval.MANUAL))))
    world.issuer.work()
    for record in world.issuer.transactions():
        approval = RecordApproval(record.key, approve=True, reason="", at=world.clock.now())
        world.issuer.ledger.commit([Unit((approval,))])
    world.issuer.policies[B] = ConfigurationError("line 3 of client-b.toml")
    world.issuer.tend(seconds=1)
    assert [type(one) for one in results(world, D)] == [Pending, Issued]


def test_what_nobody_decides_expires_behind_a_thousand_younger_held_requests(world, held):
    world.clock.move(days=6, hours=23)
    fill(world, PAGE)
    world.clock.move(hours=2)
    world.issuer.tend()
    assert world.issuer.ledger.list_transactions(partner=B)[0].state is State.EXPIRED


def test_all_that_nobody_decides_expires_however_much_it_is(world):
    fill(world, PAGE + 1)
    world.clock.move(days=2)
    world.issuer.tend()
    assert world.issuer.ledger.next_transactions(Role.ISSUER, {State.PENDING}, 1) == ()


# --- confirmations that do not come


def certificate(world):
    (record,) = world.issuer.ledger.certificates()
    return record.certificate


def confirm(world, key, result):
    message = confirmation_message(key, B, certificate(world), result, world.clock.now())
    world.send(world.b.sealer.seal(message))
    world.issuer.work()


def lapse(world):
    world.clock.move(seconds=CONFIRM_WITHIN.total_seconds() + 1)
    world.issuer.tend()


def test_a_certificate_that_nobody_confirms_lapses_and_is_not_admitted(world, issued):
    assert world.issuer.admits(certificate(world)) == B
    world.clock.move(seconds=CONFIRM_WITHIN.total_seconds() - 10)
    world.issuer.tend()
    assert world.issuer.states() == [State.ISSUED]
    lapse(world)
    assert world.issuer.states() == [State.LAPSED]
    with pytest.raises(PathError, match="was revoked"):
        world.issuer.admits(certificate(world))


def test_a_confirmed_certificate_does_not_lapse(world, issued):
    confirm(world, issued, Delivered())
    lapse(world)
    assert (world.issuer.states(), world.issuer.admits(certificate(world))) == ([State.DELIVERED], B)


def test_a_confirmation_after_the_lapse_is_answered_with_the_lapse_and_changes_nothing(world, issued):
    lapse(world)
    confirm(world, issued, Delivered())
    assert (world.said()[-1].body.state, world.issuer.states()) == ("lapsed", [State.LAPSED])
    with pytest.raises(PathError, match="was revoked"):
        world.issuer.admits(certificate(world))


def test_a_rejected_certificate_lapses_at_once_and_why_stays_on_record(world, issued):
    fault = problem(ProblemCode.BAD_CERT_ID, "channel", "nobody", "client-c", "Look.")
    confirm(world, issued, Rejected(problem=fault))
    assert (world.said()[-1].body.state, world.issuer.states()) == ("lapsed", [State.LAPSED])
    assert world.issuer.transactions()[0].problems == (fault,)
    with pytest.raises(PathError, match="was revoked"):
        world.issuer.admits(certificate(world))


def test_a_confirmation_in_the_moment_of_the_lapse_wins(world, issued, monkeypatch):
    listed = world.issuer.ledger.next_transactions

    def late(*arguments, **named):
        found = listed(*arguments, **named)
        if "updated_before" in named:
            confirm(world, issued, Delivered())
        return found

    monkeypatch.setattr(world.issuer.ledger, "next_transactions", late, raising=False)
    lapse(world)
    assert (world.issuer.states(), world.issuer.admits(certificate(world))) == ([State.DELIVERED], B)
    assert not [event for _, event, _ in world.issuer.log.lines if event == "certificate lapsed"]


# --- replies left behind


def crash_before_publishing(world, monkeypatch):
    def crash(_messages):
        raise SystemExit

    monkeypatch.setattr(world.issuer.bus, "publish", crash)
    with pytest.raises(SystemExit):
        world.issuer.issuing.work(0.0)
    monkeypatch.undo()
    world.broker.lose_links()
    world.issuer.build()


def test_a_reply_that_was_recorded_and_not_published_is_found_after_the_restart(world, monkeypatch):
    key = world.b.begin(world.issuer.invite(B))
    world.send(world.b.sealed(key))
    crash_before_publishing(world, monkeypatch)
    assert (world.issuer.states(), world.said()) == ([State.ISSUED], [])
    world.broker.queues["requests.client-c"].clear()
    world.issuer.tend()
    assert isinstance(results(world)[0], Issued)
    assert world.issuer.ledger.outbox(C, 10) == ()


def test_a_reply_that_was_recorded_and_not_published_goes_out_when_the_request_comes_again(world, monkeypatch):
    key = world.b.begin(world.issuer.invite(B))
    world.send(world.b.sealed(key))
    crash_before_publishing(world, monkeypatch)
    world.issuer.work()
    assert isinstance(results(world)[0], Issued)
    assert world.issuer.certificates() == 1


def test_a_reply_without_a_confirm_is_published_again(world):
    key = world.b.begin(world.issuer.invite(B))
    world.send(world.b.sealed(key))
    world.broker.swallow_confirms(1)
    world.issuer.work()
    assert len(world.issuer.ledger.outbox(C, 10)) == 1
    world.issuer.tend()
    first, second = results(world)
    assert first == second
    assert world.issuer.ledger.outbox(C, 10) == ()


def test_only_replies_that_left_are_said_to_be_published_again(world, monkeypatch):
    world.send(world.b.sealed(world.b.begin(world.issuer.invite(B))))
    world.send(world.d.sealed(world.d.begin(world.issuer.invite(D))))
    crash_before_publishing(world, monkeypatch)
    without_queue(world, B)
    world.issuer.tend()
    said = [fields for _, event, fields in world.issuer.log.lines if event == "replies published again"]
    assert said == [{"count": 1}]


def test_a_reply_that_is_about_to_be_confirmed_is_not_swept(world):
    key = world.b.begin(world.issuer.invite(B))
    world.send(world.b.sealed(key))
    world.issuer.issuing.work(0.0)
    world.issuer.upkeep.work()
    world.issuer.work()
    world.issuer.tend()
    assert len(results(world)) == 1


class LateConfirms:
    """A publication that the broker confirms when the test says so, and that nobody may wait for until then."""

    def __init__(self, publication):
        self.publication, self.here = publication, False

    def done(self):
        return self.here

    def outcomes(self):
        assert self.here, "waited for a confirm"
        return self.publication.outcomes()


def test_a_confirm_that_comes_late_is_not_waited_for_and_marks_no_later_reply(world, monkeypatch):
    publish, late = world.issuer.bus.publish, []

    def publish_unconfirmed(messages):
        late.append(LateConfirms(publish(messages)))
        return late[-1]

    world.send(world.b.sealed(world.b.begin(world.issuer.invite(B, approval=Approval.MANUAL))))
    with monkeypatch.context() as patch:
        patch.setattr(world.issuer.bus, "publish", publish_unconfirmed)
        world.issuer.work()
    world.issuer.tend()
    queue = without_queue(world, B)
    decide(world, approve=True)
    world.issuer.tend()
    for one in late:
        one.here = True
    world.issuer.work()
    assert len(world.issuer.ledger.outbox(C, 10)) == 1
    world.broker.routes[out_exchange(C), reply_queue(B)] = queue
    world.clock.move(seconds=relay.BACKOFF.longest)
    world.issuer.tend()
    assert isinstance(results(world)[-1], Issued)
    assert world.issuer.ledger.outbox(C, 10) == ()


def without_queue(world, partner):
    """The broker no longer knows a partner's queue: what is sent there comes back."""
    return world.broker.routes.pop((out_exchange(C), reply_queue(partner)))


def test_a_reply_that_comes_back_is_tried_again_more_and_more_rarely(world):
    world.send(world.b.sealed(world.b.begin(world.issuer.invite(B))))
    queue = without_queue(world, B)
    world.issuer.work()
    (row,) = world.issuer.ledger.outbox(C, 10)
    for _ in range(150):
        world.clock.move(seconds=2)
        world.issuer.upkeep.work()
    tries = world.broker.published[row.body]
    assert 300 / relay.BACKOFF.longest <= tries <= 300 / relay.BACKOFF.longest + 8
    assert "no queue is bound" in world.issuer.log.reasons("not published")[0]
    world.broker.routes[out_exchange(C), reply_queue(B)] = queue
    world.clock.move(seconds=relay.BACKOFF.longest)
    world.issuer.tend()
    assert (len(results(world)), world.issuer.ledger.outbox(C, 10)) == (1, ())


def test_a_partner_without_a_queue_holds_up_nobody_else(world, monkeypatch):
    monkeypatch.setattr(relay, "BATCH", 2)
    world.b.begin(world.issuer.invite(B))
    for _ in range(4):
        world.b.begin(None)
    without_queue(world, B)
    world.send(*[world.b.sealed(one.key) for one in world.b.transactions()])
    world.issuer.work()
    other = world.d.begin(world.issuer.invite(D, approval=Approval.MANUAL))
    world.send(world.d.sealed(other))
    world.issuer.work()
    world.issuer.tend()
    decide(world, approve=True)
    world.issuer.tend(seconds=1)
    assert [type(one) for one in results(world, D)] == [Pending, Issued]


def test_replies_that_cannot_leave_hold_up_none_that_are_behind_them(world, monkeypatch):
    without_queue(world, B)
    for invitation in (world.issuer.invite(B), None, None, None):
        world.send(world.b.sealed(world.b.begin(invitation)))
        world.issuer.work()
    assert len(world.issuer.ledger.outbox(C, 10)) == 4
    world.send(world.d.sealed(world.d.begin(world.issuer.invite(D))))
    crash_before_publishing(world, monkeypatch)
    world.broker.queues["requests.client-c"].clear()
    monkeypatch.setattr(upkeep, "SWEEP_MAX", 2)
    world.issuer.build()
    for _ in range(3):
        world.issuer.tend()
    assert [type(one) for one in results(world, D)] == [Issued]


def test_without_a_connection_nothing_is_tried(world):
    world.send(world.b.sealed(world.b.begin(world.issuer.invite(B))))
    world.broker.swallow_confirms(1)
    world.issuer.work()
    world.broker.go_down()
    assert world.issuer.relay.flush() == 0
    assert not world.issuer.log.reasons("not published")
    world.broker.come_up()
    assert world.issuer.relay.flush() == 1


@pytest.mark.parametrize("outcome", [one for one in PublishOutcome if one is not PublishOutcome.CONFIRMED])
def test_every_outcome_but_the_confirm_has_a_reason_for_people(outcome):
    assert relay._REASONS[outcome]


def test_a_held_request_of_a_partner_whose_identity_is_no_longer_trusted_ends(world, held, monkeypatch):
    """Its root is no longer the pinned one: the approval grants nothing."""
    record = world.issuer.ledger.partner(B)
    changed = [AnchorRecord(Role.REQUESTER, Fingerprint.of(b"other"), None)]
    partner = type(record)(record.name, record.agreed, record.broker, record.endpoint, tuple(changed))
    monkeypatch.setattr(world.issuer.ledger, "partner", lambda _: partner, raising=False)
    decide(world, approve=True)
    world.clock.move(seconds=2)
    world.issuer.tend()
    assert (world.issuer.states(), world.issuer.certificates()) == ([State.REFUSED], 0)
