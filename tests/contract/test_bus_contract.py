"""What the `Bus` port promises, held against the fake and against the real adapter on a real broker.

Each link of the real one goes through a proxy of its own, which loses it on demand.
"""

import threading
from datetime import timedelta

import pytest
from kit import broker as kit_broker
from kit.bus import access, bodies, collect, connect, queue_of, requests
from kit.fake_bus import FakeBroker
from kit.patience import PATIENCE
from kit.proxy import Proxy

from agents.ports import Outgoing, PublishOutcome
from protocol import topology
from protocol.topology import DELIVERY_LIMIT, MESSAGE_BYTES_MAX

CONFIRMED, RETURNED = PublishOutcome.CONFIRMED, PublishOutcome.RETURNED
REFUSED, UNKNOWN = PublishOutcome.REFUSED, PublishOutcome.UNKNOWN


class RealRig:
    """Buses on the broker of the session."""

    def __init__(self, broker):
        self.broker, self.realm = broker, broker.fresh()
        self._opened = []

    def bus(self, organisation):
        proxy = Proxy(access(self.broker, self.realm, organisation).address.port)
        bus = connect(self.broker, self.realm, organisation, proxy.port)
        self._opened.append((bus, proxy))
        return bus

    def lose_links(self):
        for _, proxy in self._opened:
            proxy.cut()

    def depth(self, queue):
        return kit_broker.depth(self.broker, self.realm, queue)

    def close(self):
        for bus, proxy in self._opened:
            bus.close(2.0)
            proxy.close()


class FakeRig:
    """The same in memory."""

    def __init__(self):
        self.realm = kit_broker.new_realm()
        self._broker = FakeBroker(topology.declarations(self.realm.issuer, self.realm.requesters))

    def bus(self, organisation):
        return self._broker.bus(queue_of(self.realm, organisation))

    def lose_links(self):
        self._broker.lose_links()

    def depth(self, queue):
        return self._broker.depth(queue)

    def close(self):
        pass


@pytest.fixture(params=["fake", "real"])
def rig(request):
    rig = FakeRig() if request.param == "fake" else RealRig(request.getfixturevalue("broker"))
    yield rig
    rig.close()


@pytest.fixture
def requester(rig):
    bus = rig.bus(rig.realm.requester)
    assert bus.wait_connected(PATIENCE)
    return bus


@pytest.fixture
def issuer(rig):
    bus = rig.bus(rig.realm.issuer)
    assert bus.wait_connected(PATIENCE)
    return bus


def send(rig, requester, *texts):
    """Publish requests and see them confirmed."""
    assert set(requester.publish(requests(rig.realm, texts)).outcomes()) == {CONFIRMED}


def lose_links(rig, eventually, *buses):
    """Lose every link, and wait until all are up again. (A loss shows in the time since when the state is as it is.)"""
    before = [bus.health().since for bus in buses]
    rig.lose_links()
    if isinstance(rig, RealRig):
        eventually(lambda: all(bus.health().since != since for bus, since in zip(buses, before, strict=True)))
    assert all(bus.wait_connected(PATIENCE) for bus in buses)


def test_a_confirmed_message_arrives_as_it_was_sent(rig, requester, issuer):
    send(rig, requester, b"\x00 any bytes \xff")
    (delivery,) = collect(issuer, 1)
    assert delivery.body == b"\x00 any bytes \xff"
    assert not delivery.redelivered


def test_a_batch_arrives_in_order_and_each_message_has_its_outcome(rig, requester, issuer):
    texts = [b"%04d" % number for number in range(200)]
    publication = requester.publish(requests(rig.realm, texts))
    assert publication.outcomes() == (CONFIRMED,) * 200
    assert publication.done()
    assert bodies(collect(issuer, 200)) == texts


def test_an_empty_body_arrives(rig, requester, issuer):
    send(rig, requester, b"")
    assert bodies(collect(issuer, 1)) == [b""]


def test_publishing_nothing_is_done_at_once(requester):
    publication = requester.publish([])
    assert publication.done()
    assert publication.outcomes() == ()


def test_messages_go_both_ways(rig, requester, issuer):
    realm = rig.realm
    route = (topology.out_exchange(realm.issuer), topology.reply_queue(realm.requester))
    reply = Outgoing(*route, b"reply", "enrollment.reply", "reply-1", correlation_id="message-1")
    assert issuer.publish([reply]).outcomes() == (CONFIRMED,)
    assert bodies(collect(requester, 1)) == [b"reply"]


def test_a_message_without_a_route_is_returned_and_its_neighbours_are_not(rig, requester, issuer):
    first, last = requests(rig.realm, [b"first", b"last"])
    lost = Outgoing(first.exchange, "requests.nobody", b"lost", "enrollment.request", "lost")
    assert requester.publish([first, lost, last, lost]).outcomes() == (CONFIRMED, RETURNED, CONFIRMED, RETURNED)
    assert bodies(collect(issuer, 2)) == [b"first", b"last"]


def test_a_message_that_is_too_large_is_refused_alone(rig, requester, issuer):
    largest, larger = b"x" * MESSAGE_BYTES_MAX, b"x" * (MESSAGE_BYTES_MAX + 1)
    outcomes = requester.publish(requests(rig.realm, [b"first", larger, largest])).outcomes()
    assert outcomes == (CONFIRMED, REFUSED, CONFIRMED)
    assert bodies(collect(issuer, 2)) == [b"first", largest]


def test_a_message_to_an_exchange_that_does_not_exist_is_refused_alone(rig, requester, issuer):
    bad = Outgoing("out.nobody", rig.realm.requests, b"bad", "enrollment.request", "bad")
    first, last = requests(rig.realm, [b"first", b"last"])
    assert requester.publish([first, bad, last]).outcomes() == (CONFIRMED, REFUSED, CONFIRMED)
    send(rig, requester, b"afterwards")
    arrived = []
    while b"afterwards" not in arrived:  # neighbours may arrive twice
        arrived += bodies(collect(issuer, 1))
    assert set(arrived) == {b"first", b"last", b"afterwards"}


def test_receive_returns_nothing_when_nothing_arrives(issuer):
    assert issuer.receive(10, 0.0) == ()
    assert issuer.receive(10, 0.05) == ()


def test_receive_returns_at_most_the_limit(rig, requester, issuer):
    send(rig, requester, *[b"%d" % number for number in range(10)])
    deliveries = []
    while len(deliveries) < 10:
        batch = issuer.receive(3, PATIENCE)
        assert 1 <= len(batch) <= 3
        deliveries += batch
    assert bodies(deliveries) == [b"%d" % number for number in range(10)]


def test_receive_wakes_for_a_message_that_arrives_later(rig, requester, issuer):
    received = []
    waiting = threading.Thread(target=lambda: received.extend(issuer.receive(10, PATIENCE)))
    waiting.start()
    send(rig, requester, b"late")
    waiting.join()
    assert bodies(received) == [b"late"]


def test_what_is_not_acknowledged_comes_again_after_the_link_was_lost(rig, requester, issuer, eventually):
    send(rig, requester, b"a", b"b")
    assert bodies(collect(issuer, 2)) == [b"a", b"b"]
    lose_links(rig, eventually, issuer)
    again = one_at_a_time(issuer) + one_at_a_time(issuer)
    assert bodies(again) == [b"a", b"b"]
    assert all(delivery.redelivered for delivery in again)


def test_acknowledging_in_any_order_removes_exactly_those(rig, requester, issuer):
    texts = [b"%02d" % number for number in range(20)]
    send(rig, requester, *texts)
    deliveries = collect(issuer, 20)
    issuer.acknowledge([deliveries[7]])
    issuer.acknowledge([deliveries[3], deliveries[0], deliveries[1]])
    issuer.acknowledge(deliveries[10:])
    issuer.acknowledge([deliveries[2]])
    issuer.close(5.0)
    successor = rig.bus(rig.realm.issuer)
    assert sorted(bodies(collect(successor, 5))) == [texts[4], texts[5], texts[6], texts[8], texts[9]]
    assert successor.receive(1, 0.1) == ()


def test_acknowledging_twice_has_no_effect(rig, requester, issuer):
    send(rig, requester, b"a", b"b")
    deliveries = collect(issuer, 2)
    issuer.acknowledge(deliveries)
    issuer.acknowledge(deliveries)
    issuer.dead_letter(deliveries[0])
    send(rig, requester, b"c")
    assert bodies(collect(issuer, 1)) == [b"c"]
    assert rig.depth(topology.dead_letter_queue(rig.realm.requests)) == 0


def test_a_stale_acknowledgement_has_no_effect(rig, requester, issuer, eventually):
    send(rig, requester, b"a")
    stale = collect(issuer, 1)
    lose_links(rig, eventually, issuer)
    issuer.acknowledge(stale)
    (again,) = collect(issuer, 1)
    issuer.acknowledge(stale)
    issuer.dead_letter(stale[0])
    lose_links(rig, eventually, issuer)
    assert bodies(collect(issuer, 1)) == [again.body] == [b"a"]


def test_a_dead_lettered_message_lies_in_the_dead_letter_queue_and_nowhere_else(rig, requester, issuer, eventually):
    send(rig, requester, b"poison", b"good")
    poison, good = collect(issuer, 2)
    issuer.dead_letter(poison)
    issuer.acknowledge([good])
    eventually(lambda: rig.depth(topology.dead_letter_queue(rig.realm.requests)) == 1)
    issuer.close(5.0)
    assert rig.depth(rig.realm.requests) == 0


def test_while_suspended_nothing_is_received_and_afterwards_everything_comes_again(rig, requester, issuer):
    send(rig, requester, b"a", b"b")
    assert bodies(collect(issuer, 2)) == [b"a", b"b"]
    issuer.suspend(3.0)
    assert issuer.receive(10, 0.05) == ()
    again = [delivery for _ in range(2) for delivery in one_at_a_time(issuer)]
    assert bodies(again) == [b"a", b"b"]
    assert all(delivery.redelivered for delivery in again)


def one_at_a_time(issuer):
    deliveries = collect(issuer, 1)
    issuer.acknowledge(deliveries)
    return deliveries


def test_suspending_again_and_again_loses_nothing_and_condemns_nothing(rig, requester, issuer):
    send(rig, requester, b"a", b"b")
    for _ in range(DELIVERY_LIMIT + 5):
        assert collect(issuer, 1)[0].body == b"a"
        issuer.suspend(0.02)
    assert bodies(one_at_a_time(issuer) + one_at_a_time(issuer)) == [b"a", b"b"]
    assert rig.depth(topology.dead_letter_queue(rig.realm.requests)) == 0


def test_what_was_received_before_a_suspension_is_stale(rig, requester, issuer):
    send(rig, requester, b"a")
    for _ in range(2):
        stale = collect(issuer, 1)
        issuer.suspend(0.05)
        issuer.acknowledge(stale)
        issuer.dead_letter(stale[0])
    assert bodies(one_at_a_time(issuer)) == [b"a"]


def test_two_buses_on_one_queue_share_its_messages(rig, requester, issuer):
    second = rig.bus(rig.realm.issuer)
    assert second.wait_connected(PATIENCE)
    send(rig, requester, *[b"%03d" % number for number in range(100)])
    received = []
    while len(received) < 100:
        for bus in (issuer, second):
            batch = bus.receive(5, 0.05)
            bus.acknowledge(batch)
            received += bodies(batch)
    assert sorted(received) == [b"%03d" % number for number in range(100)]


def test_several_threads_may_publish_and_receive_at_once(rig, requester, issuer):
    received, lock = [], threading.Lock()

    def publish(name):
        texts = [b"%s%03d" % (name, number) for number in range(50)]
        assert set(requester.publish(requests(rig.realm, texts)).outcomes()) == {CONFIRMED}

    def receive():
        while len(received) < 150:
            batch = issuer.receive(7, 0.1)
            issuer.acknowledge(batch)
            with lock:
                received.extend(bodies(batch))

    threads = [threading.Thread(target=publish, args=(name,)) for name in (b"a", b"b", b"c")]
    threads += [threading.Thread(target=receive) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(received) == sorted(b"%s%03d" % (name, number) for name in (b"a", b"b", b"c") for number in range(50))
    assert rig.depth(rig.realm.requests) == 0


def test_health_says_that_the_link_is_up_and_since_when(issuer):
    health = issuer.health()
    assert health.connected
    assert health.blocked is None
    assert health.since.utcoffset() == timedelta(0)


def test_closing_gives_back_what_is_not_acknowledged(rig, requester, issuer, eventually):
    send(rig, requester, b"a", b"b")
    first, _ = collect(issuer, 2)
    issuer.acknowledge([first])
    issuer.close(5.0)
    eventually(lambda: rig.depth(rig.realm.requests) == 1)
    successor = rig.bus(rig.realm.issuer)
    assert bodies(collect(successor, 1)) == [b"b"]


def test_a_closed_bus_receives_nothing_and_publishes_nothing(rig, requester):
    requester.close(5.0)
    publication = requester.publish(requests(rig.realm, [b"a"]))
    assert publication.done()
    assert publication.outcomes() == (UNKNOWN,)
    assert requester.receive(10, 5.0) == ()
    assert not requester.wait_connected(0.0)
    assert not requester.health().connected


def test_closing_wakes_those_who_wait(requester):
    received = []
    waiting = threading.Thread(target=lambda: received.append(requester.receive(10, PATIENCE)))
    waiting.start()
    requester.close(5.0)
    waiting.join()
    assert received == [()]


def test_closing_twice_is_harmless(requester):
    requester.close(5.0)
    requester.close(5.0)
    assert not requester.health().connected
