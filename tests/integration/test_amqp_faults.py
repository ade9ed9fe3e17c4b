"""The bus under the faults of a real broker and of the network: nothing confirmed is lost, health tells the truth.

Waits are for conditions; the seconds in them are only how long a failing test takes.
"""

import contextlib
import json
import os
import struct
import threading
from dataclasses import replace

import pytest
from kit.broker import ADMIN, channel, definitions, depth, take
from kit.bus import QUICK, bodies, collect, connect, requests
from kit.patience import PATIENCE
from kit.ports import KeptPort
from kit.proxy import Proxy
from pika import SelectConnection, spec

from agents.adapters.amqp import PasswordFile, consumer, publisher
from agents.adapters.amqp.connection import GuardedConnection
from agents.ports import PublishOutcome
from agents.service.relay import reason
from protocol import topology
from protocol.names import OrganisationName

CONFIRMED, UNKNOWN = PublishOutcome.CONFIRMED, PublishOutcome.UNKNOWN
REFUSED = PublishOutcome.REFUSED
HASTY = replace(QUICK, confirm=0.5)


class RawHeaders:
    """Message properties with a hand-made table of headers, as only an attacker writes them."""

    INDEX = spec.BasicProperties.INDEX

    def __init__(self, table):
        self._table = table

    def encode(self):
        return [struct.pack(">HI", spec.BasicProperties.FLAG_HEADERS, len(self._table)), self._table]


def nested(depth):
    """A table in a table in a table."""
    table = b""
    for _ in range(depth):
        table = b"\x01kF" + struct.pack(">I", len(table)) + table
    return table


HOSTILE = {
    "a date beyond the year 9999": b"\x01kT" + b"\xff" * 8,
    "a table nested 2000 deep": nested(2000),
    "an array of arrays": b"\x01kA" + struct.pack(">I", 5) + b"A" + struct.pack(">I", 0),
}


@pytest.fixture
def open_bus(broker, realm):
    """Buses that the test need not close."""
    with contextlib.ExitStack() as stack:

        def opened(organisation, *arguments, wait=True, **options):
            bus = connect(broker, realm, organisation, *arguments, **options)
            stack.callback(bus.close, 2.0)
            assert not wait or bus.wait_connected(PATIENCE)
            return bus

        yield opened


@pytest.fixture
def proxy(breakable_broker):
    with Proxy(breakable_broker.node.port) as proxy:
        yield proxy


def publish_poison(broker, realm, tables, good):
    """One plain client publishes good messages with poison spread among them."""
    poison = dict(zip(range(5, 5 + 8 * len(tables), 8), tables, strict=False))
    with channel(broker.organisation_url(realm.issuer, realm.requester)) as opened:
        for number in range(good):
            exchange = topology.out_exchange(realm.requester)
            if number in poison:
                opened.basic_publish(exchange, realm.requests, b"poison", RawHeaders(poison[number]))
            opened.basic_publish(exchange, realm.requests, b"%03d" % number)


def dead(realm):
    return topology.dead_letter_queue(realm.requests)


def test_hostile_properties_reach_the_application_as_any_message_does(broker, realm, open_bus, eventually):
    issuer = open_bus(realm.issuer)
    since = issuer.health().since
    publish_poison(broker, realm, HOSTILE.values(), 30)
    deliveries = collect(issuer, 33)
    for delivery in deliveries:
        if delivery.body == b"poison":
            issuer.dead_letter(delivery)
    issuer.acknowledge(deliveries)
    good = [body for body in bodies(deliveries) if body != b"poison"]
    assert good == [b"%03d" % number for number in range(30)]
    assert issuer.health().since == since
    eventually(lambda: depth(broker, realm, dead(realm)) == len(HOSTILE))


def test_a_dead_letter_queue_with_hostile_properties_can_be_read(breakable_broker, realm, open_bus, eventually):
    issuer = open_bus(realm.issuer)
    publish_poison(breakable_broker, realm, HOSTILE.values(), 30)
    for delivery in collect(issuer, 33):
        issuer.dead_letter(delivery)
    eventually(lambda: depth(breakable_broker, realm, dead(realm)) == 33)
    reader = open_bus(OrganisationName(ADMIN), queue=dead(realm))
    assert len(collect(reader, 33)) == 33


def test_poison_that_breaks_the_link_each_time_takes_no_other_message_with_it(
    breakable_broker, realm, open_bus, eventually, monkeypatch
):
    """As if pika had one more weakness than we know: without the guard these properties do cost the connection."""
    monkeypatch.setattr(GuardedConnection, "_read_frame", SelectConnection._read_frame)
    publish_poison(breakable_broker, realm, [HOSTILE["a date beyond the year 9999"]], 30)
    issuer = open_bus(realm.issuer, timing=replace(QUICK, longest_retry=0.05), prefetch=20, wait=False)
    good = set()
    while len(good) < 30:
        batch = issuer.receive(64, PATIENCE)
        assert batch, f"no message for {PATIENCE:.0f} s"
        good |= set(bodies(batch))
        issuer.acknowledge(batch)
    assert good == {b"%03d" % number for number in range(30)}
    eventually(lambda: depth(breakable_broker, realm, dead(realm)) == 1)
    assert "broke" in issuer.health().last_error


def test_a_message_that_ends_the_process_each_time_takes_no_other_message_with_it(broker, realm, open_bus, eventually):
    """A process that is killed loses its connections as a bus does that is closed without having settled."""
    requester = open_bus(realm.requester)
    texts = [b"%03d" % number for number in range(30)]
    texts.insert(5, b"poison")
    assert set(requester.publish(requests(realm, texts)).outcomes()) == {CONFIRMED}
    good = set()
    while len(good) < 30:
        issuer = open_bus(realm.issuer, calm_after=consumer.CALM_AFTER)
        while len(good) < 30:
            batch = issuer.receive(64, 20)
            assert batch, f"only {len(good)} of 30 came"
            if b"poison" in bodies(batch):
                break
            good |= set(bodies(batch))
            issuer.acknowledge(batch)
        issuer.close(2.0)
    assert good == set(texts) - {b"poison"}
    eventually(lambda: take(broker, realm, dead(realm)) == [b"poison"])


def test_messages_come_one_by_one_at_the_start_and_many_at_once_later(realm, open_bus):
    requester, issuer = open_bus(realm.requester), open_bus(realm.issuer, calm_after=consumer.CALM_AFTER)
    assert set(requester.publish(requests(realm, [b"a"] * 300)).outcomes()) == {CONFIRMED}
    sizes = []
    while sum(sizes) < 300:
        batch = issuer.receive(64, 20)
        assert batch, "no message for 20 s"
        sizes.append(len(batch))
        issuer.acknowledge(batch)
    assert sizes[: consumer.CALM_AFTER] == [1] * consumer.CALM_AFTER
    assert max(sizes) > 1


def test_after_trouble_messages_come_one_by_one_until_it_is_calm(realm, open_bus, proxy, eventually):
    issuer, requester = open_bus(realm.issuer, proxy.port), open_bus(realm.requester)
    since = issuer.health().since
    proxy.cut()
    eventually(lambda: issuer.health().since != since and issuer.health().connected)
    texts = [b"%03d" % number for number in range(300)]
    assert set(requester.publish(requests(realm, texts)).outcomes()) == {CONFIRMED}
    sizes, received = [], []
    while len(received) < 300:
        batch = issuer.receive(64, PATIENCE)
        assert batch, f"no message for {PATIENCE:.0f} s"
        assert not any(delivery.redelivered for delivery in batch)
        sizes.append(len(batch))
        received += bodies(batch)
        issuer.acknowledge(batch)
    assert received == texts
    assert sizes[: consumer.CALM_AFTER] == [1] * consumer.CALM_AFTER
    assert max(sizes) > 1


def test_a_message_larger_than_agreed_is_dead_lettered_before_anyone_sees_it(
    breakable_broker, realm, open_bus, eventually, monkeypatch
):
    monkeypatch.setattr(consumer, "MESSAGE_BYTES_MAX", 10)
    issuer, requester = open_bus(realm.issuer), open_bus(realm.requester)
    requester.publish(requests(realm, [b"x" * 11, b"x" * 10])).outcomes()
    assert bodies(collect(issuer, 1)) == [b"x" * 10]
    eventually(lambda: depth(breakable_broker, realm, dead(realm)) == 1)


class Traffic:
    """A requester that publishes and an issuer that consumes, without pause, each on a thread. Consuming goes on until
    the end of the block, publishing until it is told to stop."""

    def __init__(self, realm, requester, issuer):
        self._realm, self._requester, self._issuer = realm, requester, issuer
        self.confirmed, self.received = set(), set()
        self._enough, self._over = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._publish), threading.Thread(target=self._consume)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._enough.set()
        self._over.set()
        for thread in self._threads:
            thread.join()

    def stop_publishing(self):
        """Nothing is confirmed any more when this returns."""
        self._enough.set()
        self._threads[0].join()

    def _publish(self):
        number = 0
        while not self._enough.is_set():
            texts = [b"%06d" % each for each in range(number, number + 16)]
            number += 16
            outcomes = self._requester.publish(requests(self._realm, texts)).outcomes()
            self.confirmed |= {text for text, outcome in zip(texts, outcomes, strict=True) if outcome is CONFIRMED}

    def _consume(self):
        while not self._over.is_set():
            batch = self._issuer.receive(64, 0.1)
            self.received |= set(bodies(batch))
            self._issuer.acknowledge(batch)


def disturb(realm, open_bus, eventually, fault):
    """Traffic before, through and after a fault; nothing that was confirmed is missing at the end."""
    requester = open_bus(realm.requester, timing=replace(QUICK, confirm=2.0))
    issuer = open_bus(realm.issuer)
    with Traffic(realm, requester, issuer) as traffic:
        eventually(lambda: len(traffic.received) > 200)
        fault()
        before = len(traffic.confirmed)
        eventually(lambda: len(traffic.confirmed) > before + 500)
        traffic.stop_publishing()
        eventually(lambda: traffic.confirmed <= traffic.received)
    assert issuer.health().last_error


def test_nothing_confirmed_is_lost_when_the_broker_is_killed(breakable_broker, realm, open_bus, eventually):
    def kill():
        breakable_broker.node.kill()
        breakable_broker.node.start()

    disturb(realm, open_bus, eventually, kill)


def test_nothing_confirmed_is_lost_when_the_broker_restarts(breakable_broker, realm, open_bus, eventually):
    disturb(realm, open_bus, eventually, breakable_broker.node.restart)


def test_nothing_confirmed_is_lost_when_the_broker_closes_all_connections(
    breakable_broker, realm, open_bus, eventually
):
    disturb(realm, open_bus, eventually, lambda: breakable_broker.close_connections(realm))


def test_a_memory_alarm_blocks_publishing_only(breakable_broker, realm, open_bus, eventually):
    requester, issuer = open_bus(realm.requester, timing=QUICK), open_bus(realm.issuer, timing=QUICK)
    assert requester.publish(requests(realm, [b"before"])).outcomes() == (CONFIRMED,)
    with breakable_broker.memory_alarm():
        waiting = requester.publish(requests(realm, [b"during 1"]))
        eventually(lambda: requester.health().blocked)
        more = requester.publish(requests(realm, [b"during 2"]))
        assert "memory" in requester.health().blocked
        deliveries = collect(issuer, 1)
        issuer.acknowledge(deliveries)
        assert bodies(deliveries) == [b"before"]
        assert not more.done()
    assert waiting.outcomes() + more.outcomes() == (CONFIRMED, CONFIRMED)
    assert (requester.health().blocked, requester.health().last_error) == (None, None)
    assert bodies(collect(issuer, 2)) == [b"during 1", b"during 2"]


def test_an_alarm_is_named_as_the_reason_of_what_it_kept_from_being_confirmed(
    breakable_broker, realm, open_bus, eventually
):
    requester = open_bus(realm.requester, timing=HASTY)
    with breakable_broker.memory_alarm():
        assert requester.publish(requests(realm, [b"a"])).outcomes() == (UNKNOWN,)
        eventually(lambda: requester.health().blocked)
        assert reason(UNKNOWN, requester.health()).startswith("the broker blocks publishing: low on memory")
    eventually(lambda: requester.health().last_error)
    assert (
        "blocked publishing (low on memory) before it confirmed 1 message: sent again." in requester.health().last_error
    )


def test_a_full_queue_nacks_and_takes_messages_again_when_there_is_room(breakable_broker, realm, open_bus):
    requester = open_bus(realm.requester)
    limit = '{"max-length": 1, "overflow": "reject-publish"}'
    place = ("--vhost", realm.host, "--priority", "9", "--apply-to", "queues")
    breakable_broker.node.ctl("set_policy", *place, "full", f"^{realm.requests}$", limit)
    outcomes = {outcome for _ in range(10) for outcome in requester.publish(requests(realm, [b"a"])).outcomes()}
    assert outcomes == {CONFIRMED, PublishOutcome.NACKED}
    assert requester.health().last_error is None
    breakable_broker.node.ctl("clear_policy", "--vhost", realm.host, "full")
    assert requester.publish(requests(realm, [b"a"])).outcomes() == (CONFIRMED,)


def test_a_missing_permission_to_publish_is_passed_on_as_the_broker_said_it(breakable_broker, realm, open_bus):
    read = topology.reply_queue(realm.requester)
    breakable_broker.node.ctl("set_permissions", "--vhost", realm.host, realm.requester, "^$", "^$", f"^{read}$")
    requester = open_bus(realm.requester)
    assert requester.publish(requests(realm, [b"a"])).outcomes() == (REFUSED,)
    assert "the broker refused it: The broker at" in reason(REFUSED, requester.health())
    assert "403" in reason(REFUSED, requester.health())


def test_the_broker_s_operator_sees_which_process_of_which_organisation_connects(breakable_broker, realm, open_bus):
    open_bus(realm.issuer)
    name = f"apostille {realm.issuer} {os.getpid()}"
    connections = breakable_broker.node.ctl("list_connections", "client_properties")
    assert f'"{name} publish"' in connections
    assert f'"{name} consume"' in connections
    assert f"{name} 1" in breakable_broker.node.ctl("list_consumers", "--vhost", realm.host, "consumer_tag")


def test_a_broker_that_blocks_for_too_long_is_connected_to_anew(breakable_broker, realm, open_bus, eventually):
    requester = open_bus(realm.requester, timing=replace(QUICK, confirm=1.0, blocked=1.0))
    with breakable_broker.memory_alarm():
        assert requester.publish(requests(realm, [b"a"])).outcomes() == (UNKNOWN,)
        eventually(lambda: requester.health().last_error)
        assert "lacks memory or disk" in requester.health().last_error
    eventually(lambda: requester.publish(requests(realm, [b"b"])).outcomes() == (CONFIRMED,))


def test_messages_wait_for_the_broker_until_their_deadline(breakable_broker, realm, open_bus, proxy):
    proxy.refuse()
    hasty = open_bus(realm.requester, proxy.port, timing=HASTY, wait=False)
    patient = open_bus(realm.requester, proxy.port, timing=QUICK, wait=False)
    late, early = patient.publish(requests(realm, [b"in time"])), hasty.publish(requests(realm, [b"too late"]))
    assert early.outcomes() == (UNKNOWN,)
    assert not late.done()
    assert not patient.health().connected
    proxy.admit()
    assert late.outcomes() == (CONFIRMED,)
    assert take(breakable_broker, realm, realm.requests) == [b"in time"]


@pytest.mark.usefixtures("breakable_broker")
def test_a_wrong_password_is_said_and_a_new_one_in_the_file_is_used(realm, open_bus, eventually, tmp_path):
    file = tmp_path / "password"
    file.write_text("wrong\n")
    bus = open_bus(realm.requester, timing=HASTY, login=PasswordFile(file), wait=False)
    eventually(lambda: bus.health().last_error)
    assert "refused the login" in bus.health().last_error
    assert realm.requester in bus.health().last_error
    assert bus.publish(requests(realm, [b"a"])).outcomes() == (UNKNOWN,)
    file.write_text(f"password-of-{realm.requester}\n")
    assert bus.wait_connected(PATIENCE)


def test_a_user_who_was_shut_out_is_told_and_let_in_by_the_definitions(breakable_broker, realm, open_bus, eventually):
    bus, node = open_bus(realm.requester), breakable_broker.node
    node.ctl("set_user_limits", realm.requester, '{"max-connections": 0}')
    node.ctl("close_all_user_connections", realm.requester, "out")
    eventually(lambda: "have no more connections" in (bus.health().last_error or ""))
    assert not bus.health().connected
    node.ctl("import_definitions", given=json.dumps(definitions([realm])))
    assert bus.wait_connected(20)


@pytest.mark.usefixtures("breakable_broker")
def test_a_missing_password_file_is_named(realm, open_bus, eventually, tmp_path):
    bus = open_bus(realm.requester, login=PasswordFile(tmp_path / "absent"), wait=False)
    eventually(lambda: bus.health().last_error)
    assert str(tmp_path / "absent") in bus.health().last_error


@pytest.mark.usefixtures("breakable_broker")
def test_an_unknown_virtual_host_is_said(realm, open_bus, eventually):
    bus = open_bus(realm.requester, virtual_host="enroll.nobody", wait=False)
    eventually(lambda: bus.health().last_error)
    assert "enroll.nobody" in bus.health().last_error
    assert "exists" in bus.health().last_error


@pytest.mark.usefixtures("breakable_broker")
def test_a_queue_that_we_may_not_read_is_said_while_publishing_works(realm, open_bus, eventually):
    bus = open_bus(realm.requester, queue=topology.reply_queue(realm.requesters[1]), wait=False)
    eventually(lambda: bus.health().last_error)
    assert "ACCESS_REFUSED" in bus.health().last_error
    assert "permissions" in bus.health().last_error
    assert bus.publish(requests(realm, [b"a"])).outcomes() == (CONFIRMED,)


def test_nothing_listens(realm, open_bus, eventually):
    with KeptPort() as unused:
        bus = open_bus(realm.requester, unused.number, timing=HASTY, wait=False)
        eventually(lambda: bus.health().last_error)
    assert "Nothing listens" in bus.health().last_error


def test_a_body_that_only_the_broker_finds_too_large_is_refused_alone(breakable_broker, realm, open_bus, monkeypatch):
    monkeypatch.setattr(publisher, "MESSAGE_BYTES_MAX", 2 * topology.MESSAGE_BYTES_MAX)
    requester = open_bus(realm.requester, timing=QUICK)
    large = b"x" * (topology.MESSAGE_BYTES_MAX + 1)
    outcomes = requester.publish(requests(realm, [b"a", b"b", large, b"c", b"d"])).outcomes()
    assert outcomes == (CONFIRMED, CONFIRMED, REFUSED, CONFIRMED, CONFIRMED)
    assert "406" in requester.health().last_error
    assert set(take(breakable_broker, realm, realm.requests)) == {b"a", b"b", b"c", b"d"}
    assert requester.publish(requests(realm, [b"e"] * 100)).outcomes() == (CONFIRMED,) * 100


def test_a_deleted_queue_is_a_lost_link_and_consuming_resumes_when_it_is_back(broker, realm, open_bus, eventually):
    issuer, requester = open_bus(realm.issuer), open_bus(realm.requester)
    with channel(broker.admin_url(realm.issuer)) as admin:
        admin.queue_delete(realm.requests)
    eventually(lambda: not issuer.health().connected)
    assert realm.requests in issuer.health().last_error
    assert requester.publish(requests(realm, [b"a"])).outcomes() == (PublishOutcome.RETURNED,)
    with channel(broker.admin_url(realm.issuer)) as admin:
        admin.queue_declare(realm.requests, durable=True, arguments={"x-queue-type": "quorum"})
        admin.queue_bind(realm.requests, topology.out_exchange(realm.requester), realm.requests)
    assert issuer.wait_connected(PATIENCE)
    assert requester.publish(requests(realm, [b"b"])).outcomes() == (CONFIRMED,)
    assert bodies(collect(issuer, 1)) == [b"b"]


@pytest.mark.usefixtures("breakable_broker")
def test_a_frozen_link_makes_outcomes_unknown_and_is_given_up_by_its_silence(realm, open_bus, proxy, eventually):
    requester = open_bus(realm.requester, proxy.port, timing=replace(HASTY, heartbeat=1))
    proxy.freeze()
    assert requester.publish(requests(realm, [b"a", b"b"])).outcomes() == (UNKNOWN, UNKNOWN)
    eventually(lambda: not requester.health().connected)
    assert "silent" in requester.health().last_error
    proxy.cut()
    proxy.thaw()
    eventually(lambda: requester.publish(requests(realm, [b"c"])).outcomes() == (CONFIRMED,))


def test_a_confirm_that_comes_too_late_changes_nothing(breakable_broker, realm, open_bus, proxy, eventually):
    requester = open_bus(realm.requester, proxy.port, timing=HASTY)
    proxy.freeze()
    publication = requester.publish(requests(realm, [b"a"]))
    assert publication.outcomes() == (UNKNOWN,)
    proxy.thaw()
    eventually(lambda: requester.publish(requests(realm, [b"b"])).outcomes() == (CONFIRMED,))
    assert publication.outcomes() == (UNKNOWN,)
    first, *others = take(breakable_broker, realm, realm.requests)
    assert (first, set(others)) == (b"a", {b"b"})


@pytest.mark.usefixtures("breakable_broker")
def test_closing_a_frozen_link_ends_its_threads(realm, open_bus, proxy):
    before = {thread for thread in threading.enumerate() if thread.name.startswith("amqp")}
    bus = open_bus(realm.requester, proxy.port)
    proxy.freeze()
    bus.publish(requests(realm, [b"a"] * 10))
    closing = threading.Thread(target=bus.close, args=(0.2,))
    closing.start()
    closing.join(PATIENCE)
    assert not closing.is_alive()
    assert {thread for thread in threading.enumerate() if thread.name.startswith("amqp")} <= before


def test_closing_while_nothing_answers_ends_its_threads(realm, open_bus, proxy):
    proxy.freeze()
    bus = open_bus(realm.requester, proxy.port, wait=False)
    waiting = bus.publish(requests(realm, [b"a"]))
    bus.close(0.2)
    assert waiting.outcomes() == (UNKNOWN,)
    assert not bus.health().connected
