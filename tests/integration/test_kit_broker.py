"""What the broker for tests promises the other tests: it can be broken and mended, and a given one is left alone."""

import os

import pika
import pytest
from kit.broker import ADMIN, GivenBroker, channel, password, take

from protocol import topology


def publish(opened, realm):
    exchange = topology.out_exchange(realm.requester)
    opened.basic_publish(exchange, realm.requests, b"x", pika.BasicProperties(delivery_mode=2), mandatory=True)


def test_a_killed_broker_is_mended_with_its_messages(breakable_broker, realm):
    with channel(breakable_broker.organisation_url(realm.issuer, realm.requester)) as opened:
        publish(opened, realm)
    breakable_broker.require_own().kill()
    breakable_broker.heal()
    assert take(breakable_broker, realm, realm.requests) == [b"x"]


def test_connections_of_one_realm_are_closed_and_no_others(breakable_broker, realm):
    other = breakable_broker.fresh()
    with (
        channel(breakable_broker.organisation_url(realm.issuer, realm.requester)) as closed,
        channel(breakable_broker.organisation_url(other.issuer, other.requester)) as kept,
    ):
        breakable_broker.close_connections(realm)
        with pytest.raises(pika.exceptions.ConnectionClosedByBroker):
            publish(closed, realm)
        publish(kept, other)


def test_a_memory_alarm_blocks_whoever_publishes_until_it_is_over(breakable_broker, realm):
    parameters = pika.URLParameters(breakable_broker.organisation_url(realm.issuer, realm.requester))
    parameters.blocked_connection_timeout = 1
    with breakable_broker.memory_alarm(), pytest.raises(pika.exceptions.ConnectionBlockedTimeout):
        opened = pika.BlockingConnection(parameters).channel()
        opened.confirm_delivery()
        publish(opened, realm)
    with channel(breakable_broker.organisation_url(realm.issuer, realm.requester)) as opened:
        publish(opened, realm)


def test_a_given_broker_serves_fresh_realms_and_skips_faults(broker):
    node, host = broker.require_own(), f"given-{os.urandom(4).hex()}"
    node.ctl("add_vhost", host)
    node.ctl("set_permissions", "--vhost", host, ADMIN, ".*", ".*", ".*")
    given = GivenBroker(f"amqp://{ADMIN}:{password(ADMIN)}@127.0.0.1:{node.port}/{host}", "given")
    realm = given.fresh()
    with channel(given.organisation_url(realm.issuer, realm.requester)) as opened:
        publish(opened, realm)
    assert take(given, realm, realm.requests) == [b"x"]
    for fault in (given.require_own, lambda: given.close_connections(realm), given.memory_alarm().__enter__):
        with pytest.raises(pytest.skip.Exception, match="needs a broker of our own"):
            fault()


def test_realms_never_share_a_name(broker):
    realms = [broker.fresh() for _ in range(10)]
    names = [name for realm in realms for name in (realm.issuer, *realm.requesters)]
    assert len(set(names)) == len(names) == 40
