"""The requester's side of a link: every answer at every moment, restarts, and answers that do not fit."""

from dataclasses import replace

import pytest
from cryptography import x509
from kit.certificates import CLIENT, forge_ca, forge_leaf, new_key
from kit.envelopes import B, C, D, der, message
from kit.services import NOWHERE, organisation_now, validity

from agents.core.agreement import Approval
from agents.core.effects import TransactionKey
from agents.errors import LedgerUnavailableError
from agents.service.enrolling import REQUEST_LIFETIME, take_in
from protocol.envelope import digest as digest_of
from protocol.envelope import reread
from protocol.errors import ProblemCode, problem
from protocol.messages import (
    EnrollmentAcknowledgement,
    EnrollmentReply,
    EnrollmentRequest,
    Issued,
    Pending,
    Refused,
    Rejected,
)
from protocol.names import Fingerprint
from protocol.topology import reply_queue, request_queue
from protocol.transaction import State

REPLIES, REQUESTS = reply_queue(B), request_queue(C)
FAULT = problem(ProblemCode.NOT_AUTHORIZED, "names", "x", "y", "Ask.")


def answer(world, key, body, sender=None):
    """Put a message into B's queue, sealed by C unless told otherwise."""
    organisation = sender or world.issuer.organisation
    now = world.clock.now()
    world.answer(
        organisation.sealer.seal(
            message(
                sender=organisation.name,
                recipient=B,
                transaction=key.id,
                issued_at=now,
                expires_at=now + REQUEST_LIFETIME,
                body=body,
            )
        )
    )


def reply(world, key, result, digest=None):
    return EnrollmentReply(request_digest=digest or digest_of(world.b.sealed(key)), result=result)


def forged(world, *, key=None, names=("api.client-b.example",), issuer=None, **changes):
    """What an issuer that follows no policy sends."""
    organisation = issuer or world.issuer.organisation
    certificate = forge_leaf(
        organisation.issuing,
        [CLIENT],
        [x509.DNSName(name) for name in names],
        key=key or world.b.store.load_key(world.b.transactions()[0].key_path),
        common_name="b",
        **validity(world.clock) | changes,
    ).certificate
    return Issued(
        certificate=der(certificate),
        chain=(der(organisation.issuing.certificate),),
        trust_bundle=(der(organisation.root.certificate),),
        endpoint=NOWHERE,
        renew_after=world.clock.now(),
    )


def fitting(world, **changes):
    """A certificate that fits the request of 20 days."""
    return forged(world, end=world.clock.start.replace(microsecond=0) + REQUEST_LIFETIME * 2, **changes)


# --- sending


def test_a_request_is_sent_once_and_marked(world, created):
    world.b.work(3)
    assert world.depth(REQUESTS) == 1
    assert world.b.state(created) is State.SENT
    assert world.b.ledger.outbox(C, 10) == ()


def test_a_request_that_the_broker_does_not_take_stays_created(world, created):
    world.broker.go_down()
    world.b.work(2)
    assert (world.b.state(created), len(world.b.ledger.outbox(C, 10))) == (State.CREATED, 1)
    world.broker.come_up()
    world.b.work(1)
    assert world.b.state(created) is State.SENT


def test_a_request_without_a_confirm_is_sent_again_later_and_answered_once(world, created):
    world.broker.swallow_confirms(1)
    world.b.work(1)
    assert world.b.state(created) is State.CREATED
    world.clock.move(seconds=2)
    world.b.work(1)
    assert (world.b.state(created), world.depth(REQUESTS)) == (State.SENT, 2)
    world.issuer.work()
    assert world.issuer.certificates() == 1


def test_a_reply_overtakes_the_confirm_of_its_request(world, created):
    world.broker.swallow_confirms(1)
    world.b.work(1)
    world.issuer.work()
    world.b.work(1)
    assert world.b.state(created) in (State.ISSUED, State.INSTALLED)
    world.clock.move(seconds=2)
    world.b.work(1)
    assert world.b.state(created) in (State.ISSUED, State.INSTALLED)


# --- answers


def test_a_held_request_waits_and_is_granted_later(world):
    key = world.b.begin(world.issuer.invite(B, approval=Approval.MANUAL))
    world.b.work(1)
    answer(world, key, reply(world, key, Pending(reason="a person")))
    answer(world, key, reply(world, key, Pending(reason="a person")))
    world.b.work(1)
    assert world.b.state(key) is State.PENDING
    answer(world, key, reply(world, key, fitting(world)))
    world.b.work(1)
    assert world.b.state(key) in (State.ISSUED, State.INSTALLED)


def test_that_a_request_is_held_is_kept_once_however_often_it_is_said(world, monkeypatch):
    key = world.b.begin(world.issuer.invite(B, approval=Approval.MANUAL))
    world.b.work(1)
    stored = []
    commit = world.b.ledger.commit
    monkeypatch.setattr(world.b.ledger, "commit", lambda units: stored.extend(units) or commit(units), raising=False)
    for _ in range(50):
        answer(world, key, reply(world, key, Pending(reason="a person")))
        world.b.work(1)
    assert world.b.state(key) is State.PENDING
    assert len(stored) == 1
    assert (world.depth(REPLIES), world.dead(REPLIES)) == (0, [])


def test_a_refusal_is_kept_with_its_problems(world, sent):
    answer(world, sent, reply(world, sent, Refused(problems=(FAULT,))))
    world.b.work(1)
    assert (world.b.state(sent), world.b.record(sent).problems) == (State.REFUSED, (FAULT,))


def test_the_same_answer_again_changes_nothing(world, sent):
    granted = reply(world, sent, fitting(world))
    for _ in range(3):
        answer(world, sent, granted)
    answer(world, sent, reply(world, sent, Refused(problems=(FAULT,))))
    world.b.work(1)
    assert world.b.state(sent) in (State.ISSUED, State.INSTALLED)
    assert (world.depth(REPLIES), world.dead(REPLIES), len(world.b.ledger.certificates())) == (0, [], 1)


def unusable(world, count=1):
    """Whether that many answers were set aside, and nothing came of them."""
    return (len(world.dead(REPLIES)), world.b.quarantined(), world.depth(REPLIES)) == (count, count, 0)


def test_an_answer_to_another_request_is_set_aside(world, sent):
    answer(world, sent, reply(world, sent, fitting(world), digest=Fingerprint.of(b"another")))
    world.b.work(1)
    assert world.b.state(sent) is State.SENT
    assert unusable(world)


def test_an_answer_to_no_request_of_ours_is_set_aside(world, sent):
    stranger = TransactionKey(sent.role, sent.partner, type(sent.id)("01900000-0000-7000-8000-00000000000f"))
    answer(world, stranger, reply(world, sent, fitting(world)))
    world.b.work(1)
    assert unusable(world)


def test_an_answer_under_another_root_is_set_aside(world, sent):
    usurper = organisation_now(C, world.clock)
    answer(world, sent, reply(world, sent, forged(world, issuer=usurper)), sender=usurper)
    world.b.work(1)
    assert world.b.state(sent) is State.SENT
    assert unusable(world)
    assert "but pinned is" in str(world.b.services.concern())


def test_an_answer_from_another_organisation_is_set_aside(world, sent):
    answer(world, sent, reply(world, sent, fitting(world)), sender=world.d.organisation)
    world.b.work(1)
    assert world.b.state(sent) is State.SENT
    assert unusable(world)


def test_an_issuer_may_speak_in_its_own_virtual_host_only(world, sent):
    """D is an issuer of ours too, and knows the id of a request; it reaches us through C's broker."""
    take_in(replace(world.issuer.invite(B), issuer=D, root=world.d.root), B, world.b.ledger, world.clock)
    answer(world, sent, reply(world, sent, Refused(problems=(FAULT,))), sender=world.d.organisation)
    world.b.work(1)
    assert unusable(world)
    assert "in the virtual host of client-c" in str(world.b.services.concern())


def test_what_an_issuer_does_not_send_is_set_aside(world, sent):
    answer(world, sent, EnrollmentRequest(csr=b"csr"))
    world.b.work(1)
    assert unusable(world)


def test_poison_does_not_stop_the_answer_behind_it(world, sent):
    world.answer(b"poison")
    answer(world, sent, reply(world, sent, fitting(world)))
    world.answer(b"")
    world.b.work(1)
    assert world.b.state(sent) in (State.ISSUED, State.INSTALLED)
    assert sorted(world.dead(REPLIES)) == [b"", b"poison"]


def test_an_acknowledgement_is_kept(world, sent):
    digest = Fingerprint.of(b"certificate")
    answer(world, sent, EnrollmentAcknowledgement(certificate_digest=digest, state="delivered"))
    world.b.work(1)
    assert world.b.ledger.message(sent, "enrollment.acknowledgement") is not None
    assert world.b.state(sent) is State.SENT


def acknowledge(world, key, state):
    answer(world, key, EnrollmentAcknowledgement(certificate_digest=Fingerprint.of(b"certificate"), state=state))
    world.b.work(1)


def test_an_acknowledgement_that_comes_again_is_neither_stored_nor_said_again(world, sent, monkeypatch):
    stored = []
    commit = world.b.ledger.commit
    monkeypatch.setattr(world.b.ledger, "commit", lambda units: stored.extend(units) or commit(units), raising=False)
    for _ in range(50):
        acknowledge(world, sent, "confirmed")
    assert len(stored) == 1
    assert [event for _, event, _ in world.b.log.lines].count("acknowledged") == 1
    assert (world.depth(REPLIES), world.dead(REPLIES)) == (0, [])


def test_a_withdrawal_is_the_last_word_on_a_certificate(world, sent):
    for state in ("confirmed", "lapsed", "confirmed", "lapsed"):
        acknowledge(world, sent, state)
    assert reread(world.b.sealed(sent, "enrollment.acknowledgement")).body.state == "lapsed"
    said = [event for _, event, _ in world.b.log.lines if event in ("acknowledged", "confirmed too late")]
    assert said == ["acknowledged", "confirmed too late"]


# --- certificates that are not accepted


UNFIT = {
    "another key": lambda world: fitting(world, key=new_key()),
    "more names": lambda world: fitting(world, names=("api.client-b.example", "www.client-b.example")),
    "a longer life": forged,
    "another anchor": lambda world: fitting(world, issuer=organisation_now(C, world.clock)),
    "expired": lambda world: forged(world, end=world.clock.now().replace(microsecond=0)),
    "no certificate": lambda world: fitting(world).model_copy(update={"certificate": b"\x30\x00"}),
    "a chain with a gap": lambda world: fitting(world).model_copy(update={"chain": ()}),
}


@pytest.mark.parametrize("unfit", UNFIT)
def test_a_certificate_that_does_not_fit_fails_and_its_issuer_is_told(world, sent, unfit):
    issued = UNFIT[unfit](world)
    answer(world, sent, reply(world, sent, issued))
    world.clock.move(seconds=1)
    world.b.work(1)
    record = world.b.record(sent)
    assert (record.state, len(record.problems), world.b.current) == (State.FAILED, 1, None)
    assert_rejected(world, issued, record.problems[0])


def assert_rejected(world, issued, why):
    """The issuer hears of the rejection with the next round."""
    world.broker.queues[REQUESTS].clear()
    world.b.work(1)
    (rejection,) = [reread(held.body) for held in world.broker.queues[REQUESTS]]
    assert rejection.body.certificate_digest == Fingerprint.of(issued.certificate)
    assert rejection.body.result == Rejected(problem=why)


def test_a_serial_number_that_the_issuer_has_used_before_is_rejected(world, sent, monkeypatch):
    monkeypatch.setattr(x509, "random_serial_number", lambda: 7)
    answer(world, sent, reply(world, sent, fitting(world)))
    world.b.work(1)
    second = world.b.begin(None)
    issued = fitting(world, key=world.b.store.load_key(world.b.record(second).key_path))
    answer(world, second, reply(world, second, issued))
    world.b.work(2)
    record = world.b.record(second)
    assert (record.state, record.problems[0].got) == (
        State.FAILED,
        "a serial number that another certificate of this issuer has",
    )


# --- one bad transaction


def test_a_certificate_that_we_cannot_judge_for_a_fault_of_ours_fails_alone(world, sent, monkeypatch):
    monkeypatch.setattr("agents.service.requesting.accept", lambda *_: 1 / 0)
    issued = fitting(world)
    answer(world, sent, reply(world, sent, issued))
    world.b.work(1)
    record = world.b.record(sent)
    assert (record.state, record.problems[0].code) == (State.FAILED, ProblemCode.SYSTEM_FAILURE)
    assert len(world.b.log.faults()) == 1
    assert_rejected(world, issued, record.problems[0])


def test_an_answer_on_which_the_program_fails_is_set_aside_and_the_next_is_taken(world, sent, monkeypatch):
    other = world.b.begin(None)
    world.b.work(1)
    real = world.b.requesting._record

    def faulty(letter, record):
        if record.key == sent:
            raise TypeError("a fault")
        real(letter, record)

    monkeypatch.setattr(world.b.requesting, "_record", faulty)
    for key in (sent, other):
        answer(world, key, reply(world, key, Refused(problems=(FAULT,))))
    world.b.work(1)
    assert (world.b.state(sent), world.b.state(other)) == (State.SENT, State.REFUSED)
    assert unusable(world)


# --- what breaks


@pytest.mark.parametrize("method", ["outbox", "transactions", "partner", "message", "commit"])
def test_while_the_ledger_is_down_no_answer_is_lost(world, sent, method):
    answer(world, sent, reply(world, sent, fitting(world)))
    world.clock.move(seconds=2)
    world.b.ledger.break_at(method)
    with pytest.raises(LedgerUnavailableError):
        world.b.services.work(0.0)
    world.b.bus.suspend(0.0)
    assert (world.depth(REPLIES), world.dead(REPLIES)) == (1, [])
    world.b.work(1)
    assert world.b.state(sent) in (State.ISSUED, State.INSTALLED)


@pytest.mark.parametrize("rounds", range(6))
def test_a_restart_at_any_moment_goes_on_where_it_stopped(world, rounds):
    with world.channel():
        key = world.b.begin(world.issuer.invite(B))
        for _ in range(rounds):
            world.b.work(1)
            world.issuer.work(1)
        world.broker.lose_links()
        world.b.build()
        world.issuer.build()
        world.run()
    assert (world.b.state(key), world.issuer.states()) == (State.VERIFIED, [State.CONFIRMED])
    assert (world.issuer.certificates(), world.b.current) == (1, world.b.record(key).serial)


def test_a_key_kept_elsewhere_is_delivered_and_the_channel_left_to_its_holder(world):
    key = world.b.begin(world.issuer.invite(B), own_key=False)
    world.run()
    assert (world.b.state(key), world.issuer.states()) == (State.DELIVERED, [State.DELIVERED])
    assert (world.b.dialer.calls, world.b.current) == (0, None)


def test_a_confirmation_that_came_too_late_is_said_in_the_log(world, sent):
    digest = Fingerprint.of(b"certificate")
    answer(world, sent, EnrollmentAcknowledgement(certificate_digest=digest, state="lapsed"))
    world.b.work(1)
    assert any(event == "confirmed too late" and "enroll again" in said["fix"] for _, event, said in world.b.log.lines)


def test_a_channel_that_the_issuer_has_not_seen_is_said_in_the_log(world):
    world.issuer.note_session = lambda *_: None
    with world.channel():
        key = world.b.begin(world.issuer.invite(B))
        world.run()
    assert (world.b.state(key), world.issuer.states()) == (State.VERIFIED, [State.DELIVERED])
    assert any("has not seen the channel" in event for _, event, _ in world.b.log.lines)


def test_a_root_that_signs_itself_is_what_the_invitation_pins(world, sent):
    """An issuer cannot slip another root in by putting the pinned one beside it."""
    other = forge_ca("other root", **validity(world.clock))
    issued = fitting(world)
    answer(world, sent, reply(world, sent, issued.model_copy(update={"trust_bundle": (der(other.certificate),)})))
    world.b.work(1)
    assert world.b.state(sent) is State.FAILED


def test_an_answer_to_a_request_whose_bytes_are_lost_fails_alone(world, sent, monkeypatch):
    answer(world, sent, reply(world, sent, fitting(world)))
    monkeypatch.setattr(world.b.ledger, "message", lambda *_: None, raising=False)
    world.b.work(1)
    monkeypatch.undo()
    assert (world.b.state(sent), world.b.record(sent).problems[0].code) == (State.FAILED, ProblemCode.SYSTEM_FAILURE)
