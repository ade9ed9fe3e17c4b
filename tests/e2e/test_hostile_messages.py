"""What strangers and partners publish into the queues: the poison is set aside, exactly that, and serving goes on."""

import base64
import json

import pika
import pytest
from kit.agents import eventually
from kit.broker import channel, depth

from agents.service.enrolling import REQUEST_LIFETIME
from protocol.envelope import ENVELOPE_MAX
from protocol.errors import ProblemCode, problem
from protocol.messages import EnrollmentReply, EnrollmentRequest, Message, Refused
from protocol.names import Fingerprint
from protocol.topology import dead_letter_queue, out_exchange, reply_queue


class Raw:
    """Any text in place of a message, for a sealer."""

    def __init__(self, text):
        self._text = text

    def model_dump_json(self):
        return self._text


def request(agent, issuer, csr, **changes):
    """An enrollment request, as JSON values."""
    now = agent.clock.now()
    made = Message(
        sender=agent.name,
        recipient=issuer,
        transaction=agent.entropy.transaction_id(now),
        issued_at=now,
        expires_at=now + REQUEST_LIFETIME,
        body=EnrollmentRequest(csr=csr),
    )
    return json.loads(made.model_dump_json()) | changes


def poison(organisation, issuer):
    """Messages with which nothing can be done, by what is wrong with them."""
    with organisation.opened() as agent:
        good = request(agent, issuer, b"0")
        seal = lambda values: agent.sealer.seal(Raw(json.dumps(values)))  # noqa: E731
        sealed = seal(good)
        envelope = json.loads(sealed)
        signature = base64.urlsafe_b64encode(bytes(64)).decode().rstrip("=")
        return {
            "nothing": b"",
            "noise": bytes(range(256)) * 8,
            "a list": b"[1, 2, 3]",
            "deep nesting": b"[" * 100_000,
            "cut in half": sealed[: len(sealed) // 2],
            "as large as the broker lets through": bytes(ENVELOPE_MAX),
            "no signature": json.dumps(envelope | {"signature": ""}).encode(),
            "another signature": json.dumps(envelope | {"signature": signature}).encode(),
            "another member": json.dumps(envelope | {"more": "x"}).encode(),
            "unknown type": seal(good | {"body": good["body"] | {"type": "enrollment.cancellation"}}),
            "unknown field": seal(good | {"priority": "high"}),
            "no body": seal({name: value for name, value in good.items() if name != "body"}),
            "other sender": seal(good | {"sender": issuer}),
            "other recipient": seal(good | {"recipient": agent.name}),
            "a message that only issuers send": seal(
                good
                | {"body": {"type": "enrollment.acknowledgement", "certificate_digest": "0" * 64, "state": "confirmed"}}
            ),
        }


def publish(running, organisation, bodies):
    """As the organisation's own user, through its own exchange, as its agent does."""
    url = running.broker.organisation_url(running.issuer.name, organisation.name)
    with channel(url) as opened:
        for body in bodies:
            opened.basic_publish(
                out_exchange(organisation.name), running.realm.requests, body, pika.BasicProperties(delivery_mode=2)
            )


def dead(running):
    return depth(running.broker, running.realm, dead_letter_queue(running.realm.requests))


def test_poison_is_set_aside_with_its_reason_and_serving_goes_on(running):
    bodies = poison(running.requester, running.issuer.name)
    before = running.issuer.seen()["quarantined"], dead(running)
    publish(running, running.requester, bodies.values())
    running.requester.enroll("--dns", running.name("after-poison")).expect(0)

    eventually(lambda: running.issuer.seen()["quarantined"] == before[0] + len(bodies), "all poison is in quarantine")
    eventually(lambda: dead(running) == before[1] + len(bodies), "all poison is dead-lettered")
    reasons = [line["why"] for line in running.issuer.logged("message unusable")][-len(bodies) :]
    assert len(set(reasons)) > len(bodies) // 2
    assert all(reasons)
    eventually(lambda: not running.issuer.run("status", "--health").code, "the issuer is well")
    assert depth(running.broker, running.realm, running.realm.requests) == 0


def test_a_message_larger_than_the_broker_takes_never_arrives(running):
    running.broker.require_own()
    before = dead(running)
    with pytest.raises(pika.exceptions.AMQPError):
        publish(running, running.requester, [bytes(ENVELOPE_MAX + 1)])
    running.requester.enroll("--dns", running.name("after-giant")).expect(0)
    assert dead(running) == before


def test_a_sealed_request_that_is_too_late_is_answered_with_words_and_not_recorded(running):
    before, answered = dead(running), len(running.issuer.logged("request turned away"))
    with running.requester.opened() as agent:
        late = {"issued_at": "2020-01-01T00:00:00Z", "expires_at": "2020-01-02T00:00:00Z"}
        sealed = agent.sealer.seal(Raw(json.dumps(request(agent, running.issuer.name, b"0", **late))))
    publish(running, running.requester, [sealed])
    eventually(
        lambda: len(running.issuer.logged("request turned away")) == answered + 1, "the late request is answered"
    )
    assert "a message that expired" in running.issuer.logged("request turned away")[-1]["why"]
    assert dead(running) == before


@pytest.mark.parametrize(
    "csr", [b"0", bytes(200), b"\x30\x82\xff\xff" + bytes(100), b"-----BEGIN CERTIFICATE REQUEST-----"]
)
def test_a_sealed_request_with_a_garbled_csr_is_refused_and_recorded_not_dead_lettered(running, csr):
    before, refused = dead(running), len(running.issuer.transactions(state="refused"))
    with running.requester.opened() as agent:
        sealed = agent.sealer.seal(Raw(json.dumps(request(agent, running.issuer.name, csr))))
    publish(running, running.requester, [sealed])
    eventually(lambda: len(running.issuer.transactions(state="refused")) == refused + 1)
    (told,) = running.issuer.transactions(state="refused")[0]["problems"]
    assert told["field"].startswith("csr") or told["field"] == "CSR", told
    assert dead(running) == before


def test_a_stranger_is_quarantined_and_gets_no_answer(running):
    stranger = running.other(2)
    before = dead(running)
    with stranger.opened() as agent:
        sealed = agent.sealer.seal(Raw(json.dumps(request(agent, running.issuer.name, b"0"))))
    publish(running, stranger, [sealed])
    eventually(lambda: dead(running) == before + 1)
    assert depth(running.broker, running.realm, reply_queue(stranger.name)) == 0


def forged(by, claims, to, transaction):
    """A refusal of `to`'s request, sealed by `by`, who claims to be `claims`."""
    with by.opened() as agent:
        now = agent.clock.now()
        code, fix = ProblemCode.NOT_AUTHORIZED, "Go away."
        made = Message(
            sender=claims,
            recipient=to,
            transaction=transaction,
            issued_at=now,
            expires_at=now + REQUEST_LIFETIME,
            body=EnrollmentReply(
                request_digest=Fingerprint.of(b"any"),
                result=Refused(problems=(problem(code, "names", "yours", "mine", fix),)),
            ),
        )
        return agent.sealer.seal(made)


def test_replies_forged_by_a_third_organisation_are_ignored(scene):
    scene.requester.start()
    scene.requester.enroll("--invitation", scene.invitation(), "--dns", scene.name(), wait=0).expect(4)
    (waiting,) = eventually(lambda: scene.requester.transactions(state="sent"), "the request is sent")
    third, impostor = scene.other(1), scene.organisation(scene.issuer.name, "impostor", endpoint="localhost:1")
    with channel(scene.broker.admin_url(scene.issuer.name)) as opened:  # the broker itself lends a hand
        for by, claims in ((third, third.name), (third, scene.issuer.name), (impostor, scene.issuer.name)):
            body = forged(by, claims, scene.requester.name, waiting["id"])
            opened.basic_publish("", reply_queue(scene.requester.name), body, pika.BasicProperties(delivery_mode=2))
    eventually(lambda: scene.requester.seen()["quarantined"] == 3)
    assert scene.requester.state(waiting["id"]) == "sent"
    scene.issuer.start()
    scene.requester.reaches(waiting["id"], "verified")


def test_a_third_organisation_cannot_even_reach_the_replies(running):
    running.broker.require_own()
    third = running.realm.requesters[1]
    url = running.broker.organisation_url(running.issuer.name, third)
    for exchange in ("", out_exchange(running.realm.requester), out_exchange(running.realm.issuer)):
        with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="ACCESS_REFUSED"), channel(url) as opened:
            opened.basic_publish(exchange, reply_queue(running.realm.requester), b"x", mandatory=True)
    with pytest.raises(pika.exceptions.UnroutableError), channel(url) as opened:
        opened.basic_publish(out_exchange(third), reply_queue(running.realm.requester), b"x", mandatory=True)
