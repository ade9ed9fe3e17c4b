"""The definitions file on a real broker: what it lets through, and what it refuses a third organisation."""

import pika
import pytest
from kit.broker import channel, depth, take
from pika.exceptions import AMQPError, ChannelClosedByBroker, NackError, ProbableAuthenticationError, UnroutableError

from protocol import topology

PERSISTENT = pika.BasicProperties(delivery_mode=2)


def publish(opened, exchange, key, body=b"x", properties=PERSISTENT):
    opened.basic_publish(exchange, key, body, properties, mandatory=True)


@pytest.fixture
def at(broker, realm):
    """Open a channel as one of the organisations of the realm."""
    return lambda organisation: channel(broker.organisation_url(realm.issuer, organisation))


def test_a_request_and_its_reply_go_through(broker, realm, at):
    reply_queue = topology.reply_queue(realm.requester)
    with at(realm.requester) as requester, at(realm.issuer) as issuer:
        publish(requester, topology.out_exchange(realm.requester), realm.requests, b"request")
        assert issuer.basic_get(realm.requests, auto_ack=True)[2] == b"request"
        publish(issuer, topology.out_exchange(realm.issuer), reply_queue, b"reply")
        assert requester.basic_get(reply_queue, auto_ack=True)[2] == b"reply"
