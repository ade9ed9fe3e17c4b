"""The definitions on a real broker: what they let through, and what they refuse a third organisation.

The attacker is a requester like any other, so it may log in to the issuer's virtual host. Everything it tries is plain
AMQP; the victims are the issuer and another requester.
"""

import contextlib
import json
from typing import Any, NamedTuple

import pika
import pytest
from kit.broker import Realm, channel, declare, depth, take
from pika.exceptions import (
    AMQPConnectionError,
    ChannelClosedByBroker,
    NackError,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
    UnroutableError,
)

from protocol import topology
from protocol.names import OrganisationName

ACCESS_REFUSED, PRECONDITION_FAILED = 403, 406

DEAD_LETTERS_UNDER_WAY = 32
"""How many dead letters of one queue RabbitMQ has under way at once where it waits for their confirms."""


class Names(NamedTuple):
    """What there is to attack, and what the attacker has of its own."""

    requests: str
    replies: str
    victim_out: str
    issuer_out: str
    own_out: str
    own_replies: str

    @classmethod
    def of(cls, realm: Realm):
        victim, attacker, _ = realm.requesters
        return cls(
            realm.requests,
            topology.reply_queue(victim),
            topology.out_exchange(victim),
            topology.out_exchange(realm.issuer),
            topology.out_exchange(attacker),
            topology.reply_queue(attacker),
        )


def publish(opened, exchange, key, body=b"x", **properties):
    opened.basic_publish(exchange, key, body, pika.BasicProperties(delivery_mode=2, **properties), mandatory=True)


def publish_until_refused(opened, exchange, key):
    """Bodies that the broker took before it refused one; at most 50."""
    accepted = []
    with contextlib.suppress(NackError):
        for number in range(50):
            publish(opened, exchange, key, b"%d" % number)
            accepted.append(b"%d" % number)
    return accepted


@pytest.fixture
def at(broker, realm):
    """Open a channel as one of the organisations of the realm."""
    return lambda organisation: channel(broker.organisation_url(realm.issuer, organisation))


@pytest.fixture
def own(broker):
    """Our own node: on a given broker there are no permissions to try."""
    return broker.require_own()


@pytest.fixture
def names(realm):
    return Names.of(realm)


@pytest.fixture
def attacker(own, realm, at):
    with at(realm.requesters[1]) as opened:
        yield opened


def test_a_request_and_its_reply_go_through(realm, at):
    reply_queue = topology.reply_queue(realm.requester)
    with at(realm.requester) as requester, at(realm.issuer) as issuer:
        publish(requester, topology.out_exchange(realm.requester), realm.requests, b"request")
        assert issuer.basic_get(realm.requests, auto_ack=True)[2] == b"request"
        publish(issuer, topology.out_exchange(realm.issuer), reply_queue, b"reply")
        assert requester.basic_get(reply_queue, auto_ack=True)[2] == b"reply"


REFUSED: dict[str, Any] = {
    "get a message of the victim": lambda ch, n: ch.basic_get(n.replies),
    "get a request": lambda ch, n: ch.basic_get(n.requests),
    "get a dead request": lambda ch, n: ch.basic_get(f"{n.requests}.dead"),
    "get one's own dead reply": lambda ch, n: ch.basic_get(f"{n.own_replies}.dead"),
    "consume the victim's replies": lambda ch, n: ch.basic_consume(n.replies, print),
    "consume requests": lambda ch, n: ch.basic_consume(n.requests, print),
    "purge the victim's replies": lambda ch, n: ch.queue_purge(n.replies),
    "purge requests": lambda ch, n: ch.queue_purge(n.requests),
    "delete the victim's queue": lambda ch, n: ch.queue_delete(n.replies),
    "delete one's own queue": lambda ch, n: ch.queue_delete(n.own_replies),
    "delete the issuer's exchange": lambda ch, n: ch.exchange_delete(n.issuer_out),
    "delete the dead-letter exchange": lambda ch, _: ch.exchange_delete("dlx"),
    "bind one's queue to the issuer's exchange": lambda ch, n: ch.queue_bind(n.own_replies, n.issuer_out, n.replies),
    "bind one's queue to the dead-letter exchange": lambda ch, n: ch.queue_bind(n.own_replies, "dlx", n.requests),
    "bind the victim's queue to one's exchange": lambda ch, n: ch.queue_bind(n.replies, n.own_out, n.replies),
    "bind the issuer's exchange to one's own": lambda ch, n: ch.exchange_bind(n.own_out, n.issuer_out, n.replies),
    "unbind the victim's queue": lambda ch, n: ch.queue_unbind(n.replies, n.issuer_out, n.replies),
    "declare a queue": lambda ch, _: ch.queue_declare("mine"),
    "declare a queue that the broker names": lambda ch, _: ch.queue_declare("", exclusive=True),
    "declare a queue named by a line feed": lambda ch, _: ch.queue_declare("\n"),
    "declare a queue that dead-letters into requests": lambda ch, n: ch.queue_declare(
        "mine", arguments={"x-dead-letter-exchange": "dlx", "x-dead-letter-routing-key": n.requests}
    ),
    "declare an exchange": lambda ch, _: ch.exchange_declare("mine"),
    "publish through the victim's exchange": lambda ch, n: publish(ch, n.victim_out, n.requests),
    "publish through the issuer's exchange": lambda ch, n: publish(ch, n.issuer_out, n.replies),
    "publish through the default exchange": lambda ch, n: publish(ch, "", n.replies),
    "publish through amq.direct": lambda ch, n: publish(ch, "amq.direct", n.replies),
    "publish through amq.topic": lambda ch, n: publish(ch, "amq.topic", n.replies),
    "publish through the dead-letter exchange": lambda ch, n: publish(ch, "dlx", n.requests),
    "read the broker's log": lambda ch, n: ch.queue_bind(n.own_replies, "amq.rabbitmq.log", "#"),
    "read the trace": lambda ch, n: ch.queue_bind(n.own_replies, "amq.rabbitmq.trace", "#"),
}


@pytest.mark.parametrize("attack", REFUSED.values(), ids=REFUSED)
def test_a_third_organisation_is_refused(attack, attacker, names):
    with pytest.raises(ChannelClosedByBroker) as refusal:
        attack(attacker, names)
    assert refusal.value.reply_code == ACCESS_REFUSED


def test_a_false_user_id_is_refused(attacker, realm, names):
    with pytest.raises(ChannelClosedByBroker) as refusal:
        publish(attacker, names.own_out, names.requests, user_id=realm.requester)
    assert refusal.value.reply_code == PRECONDITION_FAILED


def test_the_exchange_of_an_organisation_leads_to_requests_only(attacker, names):
    for key in (names.replies, names.own_replies, f"{names.requests}.dead", "#", ""):
        with pytest.raises(UnroutableError):
            publish(attacker, names.own_out, key)


@pytest.mark.parametrize("header", ["CC", "BCC"])
def test_further_recipients_in_headers_get_nothing(header, broker, realm, attacker, names):
    publish(attacker, names.own_out, names.requests, b"forged", headers={header: [names.replies, names.own_replies]})
    assert take(broker, realm, names.requests) == [b"forged"]
    assert depth(broker, realm, names.replies) == 0
    assert depth(broker, realm, names.own_replies) == 0


@pytest.mark.parametrize("header", ["CC", "BCC"])
def test_a_dead_letter_goes_to_its_own_dead_letter_queue_only(header, broker, realm, at, attacker, names, eventually):
    publish(attacker, names.own_out, names.requests, b"poison", headers={header: [names.replies, names.own_replies]})
    with at(realm.issuer) as issuer:
        method, _, _ = issuer.basic_get(names.requests)
        issuer.basic_reject(method.delivery_tag, requeue=False)
        eventually(lambda: depth(broker, realm, f"{names.requests}.dead") == 1)
    assert depth(broker, realm, names.requests) == 0
    assert depth(broker, realm, names.replies) == 0
    assert depth(broker, realm, f"{names.replies}.dead") == 0


def test_a_forged_history_does_not_stop_dead_lettering(broker, realm, at, eventually):
    history = [{"queue": f"{realm.requests}.dead", "reason": "expired", "count": 1, "exchange": "dlx",
                "routing-keys": [realm.requests]}]  # fmt: skip
    with at(realm.requester) as requester, at(realm.issuer) as issuer:
        out = topology.out_exchange(realm.requester)
        for _ in range(DEAD_LETTERS_UNDER_WAY + 8):
            publish(requester, out, realm.requests, b"cycle", expiration="0", headers={"x-death": history})
        publish(requester, out, realm.requests, b"poison")
        method, _, body = issuer.basic_get(realm.requests)
        assert body == b"poison"
        issuer.basic_reject(method.delivery_tag, requeue=False)
    eventually(lambda: take(broker, realm, f"{realm.requests}.dead") == [b"poison"])
    assert depth(broker, realm, realm.requests) == 0


def test_a_rejected_reply_goes_to_its_own_dead_letter_queue(broker, realm, at, eventually):
    replies = topology.reply_queue(realm.requester)
    with at(realm.issuer) as issuer, at(realm.requester) as requester:
        publish(issuer, topology.out_exchange(realm.issuer), replies, b"poison")
        method, _, _ = requester.basic_get(replies)
        requester.basic_reject(method.delivery_tag, requeue=False)
        eventually(lambda: depth(broker, realm, f"{replies}.dead") == 1)
    assert depth(broker, realm, f"{realm.requests}.dead") == 0


def test_a_message_that_is_given_back_too_often_is_dead_lettered(broker, realm, at, eventually):
    with at(realm.requester) as requester, at(realm.issuer) as issuer:
        publish(requester, topology.out_exchange(realm.requester), realm.requests, b"poison")
        for _ in range(topology.DELIVERY_LIMIT + 1):
            method, _, _ = issuer.basic_get(realm.requests)
            issuer.basic_nack(method.delivery_tag, requeue=True)
    eventually(lambda: depth(broker, realm, f"{realm.requests}.dead") == 1)
    assert depth(broker, realm, realm.requests) == 0


def test_a_dead_message_survives_being_looked_at(broker, realm, at, eventually):
    with at(realm.requester) as requester, at(realm.issuer) as issuer:
        publish(requester, topology.out_exchange(realm.requester), realm.requests, b"poison")
        method, _, _ = issuer.basic_get(realm.requests)
        issuer.basic_reject(method.delivery_tag, requeue=False)
    eventually(lambda: depth(broker, realm, f"{realm.requests}.dead") == 1)
    with channel(broker.admin_url(realm.issuer)) as operator:
        for _ in range(topology.DELIVERY_LIMIT + 5):
            method, _, _ = operator.basic_get(f"{realm.requests}.dead")
            operator.basic_nack(method.delivery_tag, requeue=True)
    assert take(broker, realm, f"{realm.requests}.dead") == [b"poison"]


def test_a_full_queue_refuses_and_drops_nothing(own, broker, realm, at):
    limit = '{"max-length": 2, "overflow": "reject-publish"}'
    pattern = f"^{realm.requests}$"
    own.ctl("set_policy", "--vhost", realm.host, "--priority", "9", "--apply-to", "queues", "full", pattern, limit)
    with at(realm.requester) as requester:
        accepted = publish_until_refused(requester, topology.out_exchange(realm.requester), realm.requests)
    assert 2 <= len(accepted) < 50
    assert take(broker, realm, realm.requests) == accepted


def flood(broker, realm, **properties):
    """More messages without a body than a queue may hold, by one who does not ask what becomes of them."""
    parameters = pika.URLParameters(broker.organisation_url(realm.issuer, realm.requester))
    connection = pika.BlockingConnection(parameters)
    opened, out = connection.channel(), topology.out_exchange(realm.requester)
    for _ in range(topology.QUEUE_MESSAGES_MAX + 2000):
        opened.basic_publish(out, realm.requests, b"", pika.BasicProperties(delivery_mode=2, **properties))
    connection.close()


def test_a_flood_of_messages_without_a_body_ends_at_the_longest_queue(own, broker, realm, at, eventually):
    flood(broker, realm)
    eventually(lambda: depth(broker, realm, realm.requests) >= topology.QUEUE_MESSAGES_MAX, 120)
    assert depth(broker, realm, realm.requests) < topology.QUEUE_MESSAGES_MAX + 1000  # it stops within moments
    with at(realm.requester) as requester, pytest.raises(NackError):
        publish(requester, topology.out_exchange(realm.requester), realm.requests)


def test_a_flood_of_messages_that_expire_ends_at_the_longest_dead_letter_queue(own, broker, realm, at, eventually):
    flood(broker, realm, expiration="0")
    with at(realm.requester) as requester:
        publish(requester, topology.out_exchange(realm.requester), realm.requests, b"last", expiration="0")
    eventually(lambda: depth(broker, realm, realm.requests) == 0, 120)
    eventually(lambda: depth(broker, realm, f"{realm.requests}.dead") == topology.QUEUE_MESSAGES_MAX, 120)


def test_each_user_has_its_limits(own, broker, realm):
    limits = json.loads(own.ctl("list_user_limits", "--user", realm.requester))
    assert limits == {"max-connections": topology.USER_CONNECTIONS_MAX, "max-channels": topology.USER_CONNECTIONS_MAX}


def test_a_broker_of_our_own_keeps_room_on_its_disk(own):
    assert int(own.ctl("eval", "rabbit_disk_monitor:get_disk_free_limit().")) == topology.DISK_FREE_MIN


@pytest.mark.usefixtures("own")
def test_a_message_above_the_limit_is_refused_and_the_largest_passes(broker, realm, at, names):
    with at(realm.requester) as requester:
        publish(requester, names.victim_out, names.requests, bytes(topology.MESSAGE_BYTES_MAX))
        with pytest.raises(ChannelClosedByBroker) as refusal:
            publish(requester, names.victim_out, names.requests, bytes(topology.MESSAGE_BYTES_MAX + 1))
    assert refusal.value.reply_code == PRECONDITION_FAILED
    assert [len(body) for body in take(broker, realm, names.requests)] == [topology.MESSAGE_BYTES_MAX]


def test_no_guest_exists(own, broker, realm):
    assert "guest" not in own.ctl("list_users")
    with pytest.raises(ProbableAuthenticationError), channel(broker.url(realm.issuer, "guest", "guest")):
        pass


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("secret", ["", "wrong"])
def test_a_wrong_or_empty_password_is_refused(secret, broker, realm):
    with pytest.raises(ProbableAuthenticationError), channel(broker.url(realm.issuer, realm.requester, secret)):
        pass


@pytest.mark.parametrize("secret", ["", "None", "any"])
def test_an_organisation_without_a_password_hash_cannot_log_in_with_a_password(secret, own, broker, realm):
    definitions = topology.definitions(
        {realm.issuer: [named := OrganisationName("external")]}, {realm.issuer: None, named: None}
    )
    own.ctl("import_definitions", given=json.dumps(definitions))
    with pytest.raises(AMQPConnectionError), channel(broker.url(realm.issuer, "external", secret)):
        pass


@pytest.mark.usefixtures("own")
def test_an_organisation_cannot_enter_a_virtual_host_that_it_has_no_part_in(broker, realm):
    other = broker.fresh()
    with pytest.raises(ProbableAccessDeniedError), channel(broker.organisation_url(other.issuer, realm.requester)):
        pass


def test_policies_apply_to_every_queue(own, realm):
    listed = own.ctl("list_queues", "--vhost", realm.host, "name", "policy", "type", "--no-table-headers")
    rows = [line.split("\t") for line in listed.splitlines()]
    assert {name for name, _, _ in rows} == {
        q.name for q in topology.declarations(realm.issuer, realm.requesters).queues
    }
    kinds = {name: "dead-letters" if name.endswith(".dead") else name.split(".")[0] for name, _, _ in rows}
    assert all((policy, kind) == (kinds[name], "quorum") for name, policy, kind in rows)


def test_declarations_give_a_broker_without_policies_the_same_behaviour(own, broker, realm, eventually):
    """A broker by URL, where somebody may configure but not set policies."""
    own.ctl("add_vhost", bare := f"bare-{realm.issuer}")
    own.ctl("set_permissions", "--vhost", bare, "admin", ".*", ".*", ".*")
    url = broker.admin_url(realm.issuer).replace(realm.host, bare)
    declare(url, topology.declarations(realm.issuer, realm.requesters))
    declare(url, topology.declarations(realm.issuer, realm.requesters))
    with channel(url) as opened:
        publish(opened, topology.out_exchange(realm.requester), realm.requests, b"poison")
        method, _, _ = opened.basic_get(realm.requests)
        opened.basic_reject(method.delivery_tag, requeue=False)
        eventually(lambda: opened.queue_declare(f"{realm.requests}.dead", passive=True).method.message_count == 1)
