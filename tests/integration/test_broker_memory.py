"""A login that holds the memory of a real broker, and the administrator's cure, as docs/THREATS.md says it."""

import contextlib
import json
import threading
from pathlib import Path

import pika
import pytest
from kit.broker import channel, definitions
from kit.bus import QUICK, connect, requests
from pika.exceptions import AMQPError, ProbableAccessDeniedError

from agents.ports import PublishOutcome
from protocol import topology

THREATS = (Path(__file__).parents[2] / "docs" / "THREATS.md").read_text(encoding="utf-8")

ROOM = 150_000_000
"""Memory that the broker may use beyond what it uses already, in bytes."""


class Hoarder:
    """Publishes in a transaction that it never commits, until the broker reads no more or closes the connection."""

    def __init__(self, url, exchange, key):
        self._target = exchange, key
        self._connection = pika.BlockingConnection(pika.URLParameters(url))
        self._channel = self._connection.channel()
        self._channel.tx_select()
        self._thread = threading.Thread(target=self._hoard, daemon=True)
        self._thread.start()

    def ended(self):
        return not self._thread.is_alive()

    def _hoard(self):
        with contextlib.suppress(AMQPError):
            while True:
                self._channel.basic_publish(*self._target, bytes(topology.MESSAGE_BYTES_MAX))


@pytest.fixture
def tight(breakable_broker):
    """The node, with little memory to give away."""
    node = breakable_broker.node
    used = int(node.ctl("eval", "vm_memory_monitor:get_process_memory()."))
    node.ctl("set_vm_memory_high_watermark", "absolute", str(used + ROOM))
    yield node
    node.ctl("set_vm_memory_high_watermark", "0.4")


def uncommitted(node, user):
    """How many messages a user's transactions hold."""
    rows = node.ctl("list_channels", "user", "messages_uncommitted", "--no-table-headers").splitlines()
    return sum(int(number) for name, number in (row.split("\t") for row in rows) if name == user)


def test_a_transaction_blocks_everybody_until_the_administrator_shuts_its_user_out(
    tight, breakable_broker, realm, eventually
):
    honest, culprit, _ = realm.requesters
    url = breakable_broker.organisation_url(realm.issuer, culprit)
    bus = connect(breakable_broker, realm, honest, timing=QUICK)
    try:
        assert bus.wait_connected(60)
        hoarder = Hoarder(url, topology.out_exchange(culprit), realm.requests)
        eventually(lambda: "memory" in tight.ctl("eval", "rabbit_alarm:get_alarms()."), 120)
        bus.publish(requests(realm, [b"waits"]))
        eventually(lambda: bus.health().blocked == "low on memory", 60)
        assert uncommitted(tight, culprit) > 0

        tight.ctl("set_user_limits", culprit, '{"max-connections": 0}')
        tight.ctl("close_all_user_connections", culprit, "holds the memory of this broker")
        eventually(hoarder.ended, 60)
        eventually(lambda: bus.health().blocked is None, 60)
        assert bus.publish(requests(realm, [b"goes on"])).outcomes() == (PublishOutcome.CONFIRMED,)
        with pytest.raises(ProbableAccessDeniedError), channel(url):
            pass

        tight.ctl("import_definitions", given=json.dumps(definitions([realm])))
        with channel(url):
            pass
    finally:
        bus.close(2.0)


@pytest.mark.parametrize(
    "command",
    [
        "list_channels user messages_uncommitted",
        """set_user_limits client-x '{"max-connections": 0}'""",
        'close_all_user_connections client-x "holds the memory of this broker"',
    ],
)
def test_the_commands_are_those_of_the_document(command):
    assert f"\nrabbitmqctl {command}\n" in THREATS
