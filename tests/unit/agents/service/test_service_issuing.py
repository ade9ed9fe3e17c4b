"""The issuing pipeline over a real ledger: whatever arrives, in whatever order, and whatever breaks on the way."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from kit.certificates import forge_ca, new_key
from kit.envelopes import B, C, D, message
from kit.services import organisation_now, validity

from agents.core.agreement import Approval, KeyReuse
from agents.core.requester import confirmation_message
from agents.errors import ConfigurationError, LedgerUnavailableError, StateError
from protocol.envelope import reread
from protocol.errors import ProblemCode
from protocol.messages import (
    Delivered,
    Endpoint,
    EnrollmentAcknowledgement,
    Issued,
    PeerView,
    Pending,
    Refused,
    Verified,
)
from protocol.names import DnsName, SerialNumber
from protocol.topology import request_queue
from protocol.transaction import State

REQUESTS = request_queue(C)


def results(world, to=B):
    return [one.body.result for one in world.said(to)]


def codes(result):
    return [problem.code for problem in result.problems]


@pytest.fixture
def sealed(world):
    """B's first request, with its invitation."""
    return world.b.sealed(world.b.begin(world.issuer.invite(B)))


@pytest.fixture
def partner(world, sealed):
    """B, known by an enrollment before; its queue is empty again."""
    world.send(sealed)
    world.issuer.work()
    world.broker.queues["replies.client-b"].clear()
    return world.b


# --- the same request again


def test_a_request_is_answered_with_the_certificate_and_recorded(world, sealed):
    world.send(sealed)
    world.issuer.work()
    (result,) = results(world)
    assert isinstance(result, Issued)
    assert world.issuer.states() == [State.ISSUED]
    assert world.issuer.admits(result.certificate) == B
    assert world.issuer.ledger.outbox(C, 10) == ()


def test_nobody_is_issued_the_name_of_our_own_channel(world):
    world.endpoint = Endpoint(host=DnsName("api.client-b.example"), port=1)
    world.issuer.build()
    world.send(world.b.sealed(world.b.begin(world.issuer.invite(B))))
    world.issuer.work()
    (refused,) = results(world)
    assert codes(refused) == [ProblemCode.NOT_AUTHORIZED]
    assert world.issuer.certificates() == 0


def test_what_was_asked_for_and_is_not_in_the_certificate_is_told_and_logged(world):
    asked = world.b.begin(world.issuer.invite(B, lifetime_maximum=timedelta(days=5)))
    world.send(world.b.sealed(asked))
    world.issuer.work()
    (result,) = results(world)
    assert result.notes == ("lifetime: 20 days asked for; the issuer's policy grants at most 5 days",)
    said = [fields["notes"] for _, event, fields in world.issuer.log.lines if event == "certificate issued"]
    assert said == [result.notes]


def test_what_the_constraints_of_our_own_ca_forbid_is_refused_in_words_and_nothing_leaves_us(world, sealed):
    issuer, only = world.issuer, x509.NameConstraints([x509.DNSName("client-d.example")], None)
    root, times = issuer.organisation.root, validity(world.clock)
    limited = forge_ca("limited", root, path_length=0, extra=[(only, True)], **times)
    issuer.organisation = replace(issuer.organisation, issuing=limited)
    issuer.build()
    world.send(sealed)
    issuer.work()
    (result,) = results(world)
    assert isinstance(result, Refused)
    (problem,) = result.problems
    assert problem.code is ProblemCode.NOT_AUTHORIZED
    assert "dns:api.client-b.example" in problem.got
    assert problem.allowed == "what the issuer's CA may certify: only DNSName client-d.example"
    assert (issuer.states(), issuer.certificates(), issuer.log.faults()) == ([State.REFUSED], 0, [])


def test_a_request_twice_in_one_batch_gets_one_certificate_and_the_same_answer_twice(world, sealed):
    world.send(sealed, sealed, sealed)
    world.issuer.work()
    first, *others = results(world)
    assert isinstance(first, Issued)
    assert others == [first, first]
    assert world.issuer.certificates() == 1


def test_a_late_copy_of_an_answered_request_gets_the_stored_reply_and_not_a_refusal(world, sealed):
    world.send(sealed)
    world.issuer.work()
    world.clock.move(days=8)
    world.issuer.build()
    world.send(sealed)
    world.issuer.work()
    first, again = [held.body for held in world.broker.queues["replies.client-b"]]
    assert first == again


def test_a_request_that_comes_again_later_gets_the_stored_reply_byte_for_byte(world, sealed):
    world.send(sealed)
    world.issuer.work()
    world.clock.move(hours=3)
    world.issuer.build()
    world.send(sealed)
    world.issuer.work()
    first, again = [held.body for held in world.broker.queues["replies.client-b"]]
    assert first == again
    assert world.issuer.certificates() == 1


def test_a_request_that_the_broker_wrote_anew_gets_the_stored_reply(world, sealed):
    world.send(sealed)
    world.issuer.work()
    world.send(json.dumps(json.loads(sealed), indent=1, sort_keys=True).encode())
    world.issuer.work()
    first, again = [held.body for held in world.broker.queues["replies.client-b"]]
    assert first == again


def test_a_request_twice_with_a_policy_against_reuse_of_keys_is_still_one_request(world):
    sealed = world.b.sealed(world.b.begin(world.issuer.invite(B, key_reuse=KeyReuse.NEVER)))
    world.send(sealed, sealed)
    world.issuer.work()
    assert [type(one) for one in results(world)] == [Issued, Issued]
    assert world.issuer.certificates() == 1


@pytest.mark.parametrize("together", [True, False])
def test_another_request_under_the_same_id_is_refused(world, together):
    invitation = world.issuer.invite(B)
    key = world.b.begin(invitation)
    first = world.b.sealed(key)
    second = world.b.sealer.seal(
        message(
            sender=B,
            recipient=C,
            transaction=key.id,
            issued_at=world.clock.now(),
            expires_at=world.clock.now() + timedelta(hours=1),
            body=reread(first).body,
        )
    )
    world.send(first)
    if not together:
        world.issuer.work()
    world.send(second)
    world.issuer.work()
    issued, refused = results(world)
    assert isinstance(issued, Issued)
    assert codes(refused) == [ProblemCode.TRANSACTION_ID_IN_USE]
    assert world.issuer.certificates() == 1


@pytest.mark.parametrize("hours", [0, 3])
def test_a_stranger_under_a_known_id_gets_no_answer(world, sealed, hours):
    """It claims to be B, under a root of its own; the request is in time, or late."""
    world.send(sealed)
    world.issuer.work()
    now, stranger = world.clock.now(), organisation_now(B, world.clock)
    times = {"issued_at": now, "expires_at": now + timedelta(hours=1)}
    forged = stranger.seal(C, transaction=reread(sealed).transaction, body=reread(sealed).body, **times)
    world.clock.move(hours=hours)
    world.send(forged)
    world.issuer.work()
    assert [type(one) for one in results(world)] == [Issued]
    assert (world.dead(REQUESTS), world.issuer.quarantined()) == ([forged], 1)


# --- invitations


@pytest.mark.parametrize("together", [True, False])
def test_of_two_requests_with_one_invitation_one_is_granted(world, together):
    invitation = world.issuer.invite(B)
    first, second = (world.b.sealed(world.b.begin(invitation)) for _ in range(2))
    world.send(first)
    if not together:
        world.issuer.work()
    world.send(second)
    world.issuer.work()
    granted, refused = results(world)
    assert isinstance(granted, Issued)
    assert codes(refused) == [ProblemCode.NOT_AUTHORIZED]
    assert "already used by transaction" in refused.problems[0].got
    assert world.issuer.states() == [State.ISSUED]


def test_a_refused_request_leaves_the_invitation_for_the_next(world):
    invitation = world.issuer.invite(B)
    world.send(world.b.sealed(world.b.begin(invitation, "www.elsewhere.example")))
    world.issuer.work()
    world.send(world.b.sealed(world.b.begin(invitation)))
    world.issuer.work()
    assert [type(one) for one in results(world)] == [Refused, Issued]
    assert world.issuer.states() == [State.REFUSED, State.ISSUED]


def test_a_partner_needs_no_second_invitation(world, partner):
    world.send(partner.sealed(partner.begin(None)))
    world.issuer.work()
    assert isinstance(results(world)[0], Issued)


def test_another_root_is_refused_and_nothing_of_it_is_recorded(world, partner):
    world.b.organisation = organisation_now(B, world.clock)
    world.b.sealer = world.b.organisation.sealer
    before = world.issuer.states()
    world.send(partner.sealed(partner.begin(None)))
    world.issuer.work()
    assert codes(results(world)[0]) == [ProblemCode.SIGNER_NOT_TRUSTED]
    assert (world.issuer.states(), world.issuer.certificates()) == (before, 1)


# --- one bad among good


def test_poison_is_set_aside_and_the_others_are_answered(world, sealed, partner):
    good = [partner.sealed(partner.begin(None)) for _ in range(3)]
    poison = [b"", b"\xff" * 100, b"{}", good[0][:-9], partner.sealer.seal(message(recipient=D))]
    world.send(poison[0], good[0], poison[1], poison[2], good[1], poison[3], poison[4], good[2])
    world.issuer.work()
    assert [type(one) for one in results(world)] == [Issued] * 3
    assert sorted(world.dead(REQUESTS)) == sorted(poison)
    assert (world.issuer.quarantined(), world.depth(REQUESTS)) == (len(poison), 0)


FAULTS = {
    "opening": "agents.service.inbox.open_envelope",
    "reading": "agents.service.handling.parse",
    "judging": "agents.service.answering.judge",
    "signing": "agents.adapters.keystore.opened.build",
    "sealing": "agents.service.answering.reply_to",
}


@pytest.mark.parametrize("stage", FAULTS)
def test_a_fault_of_ours_costs_the_message_that_brings_it_to_light_and_no_other(world, partner, monkeypatch, stage):
    good = [partner.sealed(partner.begin(None)) for _ in range(3)]
    path, name = FAULTS[stage].rsplit(".", 1)
    real, calls = getattr(__import__(path, fromlist=[name]), name), []

    def faulty(*arguments, **named):
        calls.append(1)
        if len(calls) == 2:
            raise RecursionError("deep")
        return real(*arguments, **named)

    monkeypatch.setattr(FAULTS[stage], faulty)
    world.send(*good)
    world.issuer.work()
    assert [type(one) for one in results(world)] == [Issued, Issued]
    assert world.dead(REQUESTS) == [good[1]]
    assert (world.issuer.quarantined(), world.issuer.certificates()) == (1, 3)
    assert len(world.issuer.log.faults()) == 1


def test_a_fault_of_ours_in_a_confirmation_costs_no_other_message(world, partner, monkeypatch):
    monkeypatch.setattr("agents.service.handling.unit_for_confirmation", lambda *_: 1 / 0)
    confirmation = confirm(world, Delivered())
    good = partner.sealed(partner.begin(None))
    world.send(confirmation, good)
    world.issuer.work()
    assert [type(one) for one in results(world)] == [Issued]
    assert world.dead(REQUESTS) == [confirmation]


def test_a_ca_that_cannot_sign_stops_the_batch_and_loses_nothing(world, sealed, monkeypatch):
    def expired(*_):
        raise StateError("the CA has expired; replace it")

    monkeypatch.setattr(world.issuer.signer, "issue", expired, raising=False)
    world.send(sealed)
    with pytest.raises(StateError):
        world.issuer.work()
    world.issuer.bus.suspend(0.0)
    assert (world.depth(REQUESTS), world.dead(REQUESTS)) == (1, [])


def confirm(world, result, record=None):
    """B's word on the certificate of the first transaction at C."""
    record = record or world.issuer.transactions()[0]
    certificate = world.issuer.ledger.certificate(C, record.serial).certificate
    key = next(one.key for one in world.b.transactions() if one.key.id == record.key.id)
    return world.b.sealer.seal(confirmation_message(key, B, certificate, result, world.clock.now()))


def test_one_batch_holds_messages_of_every_kind(world, partner):
    invitation = world.issuer.invite(D)
    old = partner.sealed(partner.transactions()[0].key)
    confirmation = confirm(world, Delivered())
    good = partner.sealed(partner.begin(None))
    refused = partner.sealed(partner.begin(None, "www.elsewhere.example"))
    stranger = world.d.sealed(world.d.begin(invitation))
    world.send(old, confirmation, b"poison", good, refused, stranger)
    assert world.issuer.issuing.work(0.0) == 6
    world.issuer.work()
    kinds = [one.body.result.outcome if hasattr(one.body, "result") else one.body.state for one in world.said()]
    assert sorted(kinds) == ["delivered", "issued", "issued", "refused"]
    assert isinstance(results(world, D)[0], Issued)
    assert world.dead(REQUESTS) == [b"poison"]
    assert sorted(world.issuer.states()) == sorted([State.DELIVERED, State.ISSUED, State.REFUSED, State.ISSUED])


def test_a_key_in_the_hands_of_two_partners_is_refused_also_within_one_batch(world, partner):
    key = new_key()
    first = partner.sealed(partner.begin(None, given=key))
    second = world.d.sealed(world.d.begin(world.issuer.invite(D), given=key))
    world.send(first, second)
    world.issuer.work()
    assert isinstance(results(world)[0], Issued)
    assert isinstance(results(world, D)[0], Refused)


# --- who is answered


def test_a_sender_that_no_agreement_names_is_set_aside_and_not_answered(world, sealed):
    stranger = organisation_now(D, world.clock)
    now = world.clock.now()
    unknown = stranger.seal(C, issued_at=now, expires_at=now + timedelta(hours=1))
    world.send(unknown, sealed)
    world.issuer.work()
    assert (world.said(D), world.dead(REQUESTS)) == ([], [unknown])
    assert isinstance(results(world)[0], Issued)


def test_a_policy_that_cannot_be_read_is_said_without_recording_the_request(world, partner):
    world.issuer.policies[B] = ConfigurationError("line 3 of client-b.toml")
    sealed = partner.sealed(partner.begin(None))
    world.send(sealed)
    world.issuer.work()
    assert codes(results(world)[0]) == [ProblemCode.SYSTEM_FAILURE]
    assert "line 3" not in str(results(world)[0])
    world.issuer.invite(B)
    world.send(sealed)
    world.issuer.work()
    assert isinstance(results(world)[1], Issued)


# --- three kinds of key


@pytest.mark.parametrize("kind", ["identity", "issuing", "root"])
@pytest.mark.parametrize("holder", ["b", "issuer"])
def test_a_signing_key_of_either_side_is_not_certified_for_the_channel(world, holder, kind):
    signing = getattr(getattr(world, holder).organisation, kind).key
    world.send(world.b.sealed(world.b.begin(world.issuer.invite(B), given=signing)))
    world.issuer.work()
    (result,) = results(world)
    assert [problem.got for problem in result.problems] == ["the key of a CA or of an agent identity"]
    assert world.issuer.certificates() == 0


# --- what this version does not do


@pytest.mark.parametrize("wanted", [{"profile": "channel-server"}, {"predecessor": "abc"}], ids=str)
def test_a_request_for_what_is_not_done_is_answered_in_words(world, wanted):
    begun = reread(world.b.sealed(world.b.begin(world.issuer.invite(B))))
    asked = begun.model_copy(update={"body": begun.body.model_copy(update=wanted)})
    world.send(world.b.sealer.seal(asked))
    world.issuer.work()
    (result,) = results(world)
    assert [problem.field for problem in result.problems] == [*wanted]
    assert (world.issuer.states(), world.issuer.quarantined()) == ([State.REFUSED], 0)


# --- confirmations


def test_a_confirmation_of_another_certificate_is_set_aside(world, partner):
    key = partner.transactions()[0].key
    confirmation = partner.sealer.seal(confirmation_message(key, B, b"another", Delivered(), world.clock.now()))
    world.send(confirmation)
    world.issuer.work()
    assert (world.dead(REQUESTS), world.issuer.states()) == ([confirmation], [State.ISSUED])


def test_a_confirmation_of_an_unknown_transaction_is_set_aside(world, partner):
    key = partner.begin(None)
    confirmation = partner.sealer.seal(confirmation_message(key, B, b"c", Delivered(), world.clock.now()))
    world.send(confirmation)
    world.issuer.work()
    assert world.dead(REQUESTS) == [confirmation]


def test_a_confirmation_under_another_root_is_set_aside(world, partner):
    world.b.sealer = organisation_now(B, world.clock).sealer
    confirmation = confirm(world, Delivered())
    world.send(confirmation)
    world.issuer.work()
    assert (world.dead(REQUESTS), world.issuer.states()) == ([confirmation], [State.ISSUED])


@pytest.mark.parametrize("together", [True, False])
def test_a_confirmation_that_comes_twice_is_answered_twice_and_recorded_once(world, partner, together):
    confirmation = confirm(world, Delivered())
    world.send(confirmation)
    if not together:
        world.issuer.work()
    world.send(confirmation)
    world.issuer.work()
    assert [one.body.state for one in world.said()] == ["delivered", "delivered"]
    assert all(isinstance(one.body, EnrollmentAcknowledgement) for one in world.said())
    assert world.issuer.states() == [State.DELIVERED]


def seen_by(world):
    """What B says it saw of C's channel."""
    return PeerView(
        certificate=world.issuer.root, serial=SerialNumber("abc"), subject="", names=(), tls_version="1.3", cipher="x"
    )


def test_a_channel_that_only_the_requester_has_seen_is_not_confirmed(world, partner):
    world.send(confirm(world, Verified(seen=seen_by(world))))
    world.issuer.work()
    assert ([one.body.state for one in world.said()], world.issuer.states()) == (["delivered"], [State.DELIVERED])


def test_each_of_several_certificates_is_confirmed_only_if_it_was_shown_itself(world, partner):
    world.send(partner.sealed(partner.begin(None)), partner.sealed(partner.begin(None)))
    world.issuer.work()
    world.broker.queues["replies.client-b"].clear()
    records = world.issuer.transactions()
    for record in records[1:]:
        view = seen_by(world).model_copy(update={"serial": record.serial})
        world.issuer.note_session(None, view, B)
    world.send(*(confirm(world, Verified(seen=seen_by(world)), record) for record in records))
    world.issuer.work()
    assert [one.body.state for one in world.said()] == ["delivered", "confirmed", "confirmed"]
    assert world.issuer.states() == [State.DELIVERED, State.CONFIRMED, State.CONFIRMED]


# --- what breaks


READS = ["transactions", "invitations", "key_holders", "partner", "commit"]


@pytest.mark.parametrize("method", READS)
def test_while_the_ledger_is_down_nothing_is_acknowledged_and_everything_comes_again(world, sealed, method):
    world.send(sealed, b"poison", sealed)
    world.issuer.ledger.break_at(method)
    with pytest.raises(LedgerUnavailableError):
        world.issuer.issuing.work(0.0)
    world.issuer.bus.suspend(0.0)
    assert (world.depth(REQUESTS), world.said(), world.dead(REQUESTS)) == (3, [], [])
    world.issuer.work()
    assert [type(one) for one in results(world)] == [Issued, Issued]
    assert (world.issuer.certificates(), world.dead(REQUESTS)) == (1, [b"poison"])


def test_the_ledger_down_for_a_stored_reply_loses_nothing(world, sealed):
    world.send(sealed)
    world.issuer.work()
    world.send(sealed)
    world.issuer.ledger.break_at("message")
    with pytest.raises(LedgerUnavailableError):
        world.issuer.issuing.work(0.0)
    world.issuer.bus.suspend(0.0)
    world.issuer.work()
    assert [type(one) for one in results(world)] == [Issued, Issued]


def test_confirms_that_could_not_be_recorded_are_recorded_with_the_next_commit(world, sealed):
    world.send(sealed)
    world.issuer.issuing.work(0.0)
    world.issuer.ledger.break_at("commit")
    with pytest.raises(LedgerUnavailableError):
        world.issuer.issuing.work(0.0)
    assert len(world.issuer.ledger.outbox(C, 10)) == 1
    world.issuer.work()
    assert world.issuer.ledger.outbox(C, 10) == ()


def test_a_link_lost_in_the_middle_of_a_batch_costs_nothing_but_a_second_answer(world, sealed, monkeypatch):
    commit = world.issuer.ledger.commit

    def lose(units):
        world.broker.lose_links()
        return commit(units)

    monkeypatch.setattr(world.issuer.ledger, "commit", lose, raising=False)
    world.send(sealed)
    world.issuer.issuing.work(0.0)
    monkeypatch.undo()
    world.issuer.work()
    first, second = results(world)
    assert first == second
    assert (world.issuer.certificates(), world.depth(REQUESTS)) == (1, 0)


def test_a_held_request_is_answered_with_pending(world):
    sealed = world.b.sealed(world.b.begin(world.issuer.invite(B, approval=Approval.MANUAL)))
    world.send(sealed, sealed)
    world.issuer.work()
    assert [type(one) for one in results(world)] == [Pending, Pending]
    assert (world.issuer.states(), world.issuer.certificates()) == ([State.PENDING], 0)


# --- clocks that differ


def test_a_partner_whose_clock_is_off_is_told_by_how_much_and_nothing_is_recorded(world, sealed):
    world.clock.move(days=8)
    world.send(sealed, b"poison")
    world.issuer.work()
    (refused,) = results(world)
    assert codes(refused) == [ProblemCode.BAD_TIME]
    assert "expired 86" in refused.problems[0].got
    assert (world.issuer.states(), world.dead(REQUESTS)) == ([], [b"poison"])


def test_a_stranger_whose_clock_is_off_is_not_answered(world):
    now = world.clock.now() - timedelta(days=1)
    late = world.d.organisation.seal(C, issued_at=now, expires_at=now + timedelta(hours=1))
    world.send(late)
    world.issuer.work()
    assert (world.said(D), world.dead(REQUESTS)) == ([], [late])


def test_a_late_confirmation_is_set_aside(world, partner):
    confirmation = confirm(world, Delivered())
    world.clock.move(days=8)
    world.send(confirmation)
    world.issuer.work()
    assert (world.said(), world.dead(REQUESTS)) == ([], [confirmation])
