"""A broker for tests, and fresh virtual hosts on it, so that tests do not disturb each other.

Which broker it is, `agents.adapters.broker` says: one that the environment gives by URL, else a private node,
else a container, by Testcontainers. On a given one there are no permissions of our own and no faults: tests of these
skip and say so.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pika
import pytest
from kit.patience import PATIENCE

from agents.adapters.broker import BrokerChoice, Docker, GivenUrl, LocalNode, PrivateBroker, find_broker
from agents.errors import UnreachableError
from protocol import topology
from protocol.names import OrganisationName

ADMIN = "admin"
"""A user that may do everything, for the eyes and hands of tests. No agent has such rights."""

POOL = 8
"""Realms made by one administration command: a command takes half a second, a realm hardly anything."""

REQUESTERS = 3
"""Requesters in each realm."""


class Node(Protocol):
    """A broker of our own, as `PrivateBroker`."""

    port: int

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def restart(self) -> None: ...
    def kill(self) -> None: ...
    def ctl(self, *arguments: str, given: str = "") -> str: ...


@dataclass(frozen=True)
class Realm:
    """An issuer and its requesters, in a virtual host that no other test uses."""

    issuer: OrganisationName
    requesters: tuple[OrganisationName, ...]

    @property
    def requester(self) -> OrganisationName:
        """The first requester, for tests with one."""
        return self.requesters[0]

    @property
    def host(self) -> str:
        """The virtual host."""
        return topology.virtual_host(self.issuer)

    @property
    def requests(self) -> str:
        """The queue of the issuer."""
        return topology.request_queue(self.issuer)


def password(organisation: str) -> str:
    """The password of an organisation on a broker of our own."""
    return f"password-of-{organisation}"


@dataclass
class OwnBroker:
    """A node that tests may break. After a test broke it, `heal` brings it back."""

    node: Node
    kind: str
    _pool: list[Realm] = field(default_factory=list)

    def fresh(self) -> Realm:
        """Three requesters and an issuer that no other test knows."""
        if not self._pool:
            self._pool = [new_realm() for _ in range(POOL)]
            self._load(self._pool)
        return self._pool.pop()

    def add(self, issuer: str, requesters: Sequence[str]) -> Realm:
        """Organisations with these names. Names are shared by all tests of a session: prefer `fresh`."""
        realm = Realm(OrganisationName(issuer), tuple(map(OrganisationName, requesters)))
        self._load([realm])
        return realm

    def organisation_url(self, issuer: str, organisation: str) -> str:
        """Where and as whom `organisation` connects to enroll with, or as, `issuer`."""
        return self.url(issuer, organisation, password(organisation))

    def admin_url(self, issuer: str) -> str:
        """The same for a user that may do everything in that virtual host."""
        return self.url(issuer, ADMIN, password(ADMIN))

    def url(self, issuer: str, user: str, secret: str) -> str:
        """An AMQP URL."""
        return f"amqp://{user}:{secret}@127.0.0.1:{self.node.port}/{topology.virtual_host(OrganisationName(issuer))}"

    def require_own(self) -> Node:
        """The node, for tests that break it or read its permissions; skips on a broker given by URL."""
        return self.node

    def close_connections(self, realm: Realm) -> None:
        """Close every connection of a realm from the broker's side."""
        self.node.ctl("close_all_connections", "--vhost", realm.host, "closed by a test")

    @contextlib.contextmanager
    def memory_alarm(self) -> Iterator[None]:
        """The broker blocks every connection that publishes."""
        self.node.ctl("set_vm_memory_high_watermark", "0.0000001")
        try:
            yield
        finally:
            self.node.ctl("set_vm_memory_high_watermark", "0.4")

    def heal(self) -> None:
        """Bring the node back if a test left it down."""
        try:
            self.node.ctl("await_startup", "--timeout", "5")
        except UnreachableError:
            self.node.restart()

    def _load(self, realms: Sequence[Realm]) -> None:
        self.node.ctl("import_definitions", given=json.dumps(definitions(realms)))


@dataclass
class GivenBroker:
    """A broker that the environment gives: one user and one virtual host for everybody, and no faults."""

    given: str
    kind: str

    def fresh(self) -> Realm:
        """Three requesters and an issuer that no other test knows."""
        realm = new_realm()
        return self.add(realm.issuer, realm.requesters)

    def add(self, issuer: str, requesters: Sequence[str]) -> Realm:
        """Organisations with these names."""
        realm = Realm(OrganisationName(issuer), tuple(map(OrganisationName, requesters)))
        declare(self.given, topology.declarations(realm.issuer, realm.requesters))
        return realm

    def organisation_url(self, issuer: str, organisation: str) -> str:
        """The given URL, whoever asks."""
        return self.given

    def admin_url(self, issuer: str) -> str:
        """The given URL."""
        return self.given

    def require_own(self) -> Node:
        """Skips: what a test of this kind does cannot be done to somebody's broker."""
        pytest.skip("needs a broker of our own: permissions and faults are not tested on one given by URL")

    def close_connections(self, realm: Realm) -> None:
        """Skips."""
        self.require_own()

    @contextlib.contextmanager
    def memory_alarm(self) -> Iterator[None]:
        """Skips."""
        self.require_own()
        yield

    def heal(self) -> None:
        """Nothing was broken."""


Broker = OwnBroker | GivenBroker


def depth(broker: Broker, realm: Realm, queue: str) -> int:
    """How many messages of a queue wait for a consumer.

    Those delivered and not acknowledged are not counted. A quorum queue that has just recovered may say 0 for a moment.
    """
    with channel(broker.admin_url(realm.issuer)) as opened:
        return opened.queue_declare(queue, passive=True).method.message_count


def take(broker: Broker, realm: Realm, queue: str) -> list[bytes]:
    """Remove the messages that wait in a queue and return their bodies."""
    bodies = []
    with channel(broker.admin_url(realm.issuer)) as opened:
        while True:
            method, _, body = opened.basic_get(queue, auto_ack=True)
            if method is None:
                return bodies
            bodies.append(body)


@contextlib.contextmanager
def channel(url: str) -> Iterator[Any]:
    """A plain pika channel with publisher confirms."""
    parameters = pika.URLParameters(url)
    parameters.blocked_connection_timeout = parameters.socket_timeout = parameters.stack_timeout = PATIENCE
    connection = pika.BlockingConnection(parameters)
    try:
        opened = connection.channel()
        opened.confirm_delivery()
        yield opened
    finally:
        if connection.is_open:
            connection.close()


def declare(url: str, declarations: topology.Declarations) -> None:
    """Declare a topology where its user may configure."""
    with channel(url) as opened:
        for exchange in declarations.exchanges:
            opened.exchange_declare(exchange.name, "direct", durable=True, internal=exchange.internal)
        for queue in declarations.queues:
            opened.queue_declare(queue.name, durable=True, arguments=queue.arguments)
        for binding in declarations.bindings:
            opened.queue_bind(binding.queue, binding.exchange, binding.routing_key)


def new_realm() -> Realm:
    """Names that nobody has used."""
    mark = uuid.uuid4().hex[:12]
    names = [OrganisationName(f"requester-{mark}-{number}") for number in range(1, REQUESTERS + 1)]
    return Realm(OrganisationName(f"issuer-{mark}"), tuple(names))


def definitions(realms: Sequence[Realm]) -> dict[str, Any]:
    """The definitions of realms as agents' operators get them, and the user for tests."""
    organisations = {name for realm in realms for name in (realm.issuer, *realm.requesters)}
    users = {name: topology.password_hash(password(name), os.urandom(4)) for name in [*organisations, ADMIN]}
    made = topology.definitions({realm.issuer: realm.requesters for realm in realms}, users)
    everything = {"user": ADMIN, "configure": ".*", "write": ".*", "read": ".*"}
    made["permissions"] += [everything | {"vhost": realm.host} for realm in realms]
    return made


@contextlib.contextmanager
def running_broker(choice: BrokerChoice) -> Iterator[Broker]:
    """The broker of a test session, ended with it."""
    match choice:
        case GivenUrl(url):
            yield GivenBroker(url, str(choice))
        case LocalNode(installation):
            with tempfile.TemporaryDirectory(prefix="broker-") as folder:
                pool = [new_realm() for _ in range(POOL)]
                with PrivateBroker(Path(folder), definitions(pool), installation) as node:
                    yield OwnBroker(node, str(choice), pool)
        case Docker():
            from kit.broker_container import ContainerNode  # noqa: PLC0415 - slow to import, and rarely needed

            node = ContainerNode()
            try:
                node.start()
                yield OwnBroker(node, str(choice))
            finally:
                node.stop()
        case nothing:
            pytest.skip(str(nothing))


def choose() -> BrokerChoice:
    """The broker that tests use here; with APOSTILLE_TEST_BROKER=docker a container, whatever else there is."""
    if os.environ.get("APOSTILLE_TEST_BROKER") == "docker":
        return Docker(Path(shutil.which("docker") or "docker"))
    return find_broker(os.environ)


def describe() -> str:
    """Which broker tests use here, for pytest's header."""
    return f"broker: {choose()}"
