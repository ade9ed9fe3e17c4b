"""Exchanges, queues, bindings, permissions and policies of the message bus, as data.

Each issuer has a virtual host of its own. In it every organisation has an exchange that only it may write to, and only
the operator binds: no route leads from one requester to another's replies, whatever either of them publishes.
This module says what there is; it neither connects to a broker nor makes passwords.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from protocol.names import OrganisationName

MESSAGE_BYTES_MAX = 262_144
"""Largest message that the broker takes (its setting `max_message_size`), in bytes: ten certificates and to spare."""

DISK_FREE_MIN = 1_000_000_000
"""Disk that the broker keeps free (its setting `disk_free_limit`), in bytes; below, it takes no messages. The 50 MB
that RabbitMQ keeps by itself are written full within a second."""

BROKER_SETTINGS: Mapping[str, int] = {"max_message_size": MESSAGE_BYTES_MAX, "disk_free_limit.absolute": DISK_FREE_MIN}
"""What stands in the rabbitmq.conf of every broker for organisations, however they reach it."""

QUEUE_BYTES_MAX = 268_435_456
"""Largest queue, in bytes of message bodies: some 80 000 requests. A publisher is refused beyond it, never dropped."""

QUEUE_MESSAGES_MAX = 20_000
"""Longest queue, in messages: bounds what their headers take, which no limit in bytes counts. With a frame of them each
(131 072 bytes) a full queue has 2.6 GB more on the disk."""

DELIVERY_LIMIT = 20
"""Deliveries of one message before it counts as poison and is dead-lettered: RabbitMQ 4's own default."""

DEAD_DELIVERY_LIMIT = 1_000_000_000
"""Deliveries of a dead message: in effect no limit, so that looking at one does not destroy it (3.10 refuses -1)."""

USER_CONNECTIONS_MAX = 256
"""Connections of one user at once: two for each of 64 issuing processes, and as many that the broker has not missed
yet after a broken network. Each of ours has one channel, so that is the limit of channels too."""

SALT_BYTES = 4
"""RabbitMQ takes the first four bytes of a password hash for the salt."""

DEAD_LETTER_EXCHANGE = "dlx"
"""Internal: the broker publishes rejected messages to it, nobody else can."""

_QUORUM = {"x-queue-type": "quorum"}

_USER_LIMITS = {"max-connections": USER_CONNECTIONS_MAX, "max-channels": USER_CONNECTIONS_MAX}


@dataclass(frozen=True, slots=True)
class Exchange:
    """A durable direct exchange; clients cannot publish to an internal one."""

    name: str
    internal: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits of every queue whose name matches the regular expression `pattern`."""

    name: str
    pattern: str
    limits: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Queue:
    """A durable queue, and the one policy that its name matches."""

    name: str
    policy: Policy

    @property
    def arguments(self) -> dict[str, str | int]:
        """Arguments that give a declared queue the limits for which there is no policy."""
        return _QUORUM | {f"x-{key}": value for key, value in self.policy.limits.items()}


_BOUNDS: Mapping[str, str | int] = {"max-length": QUEUE_MESSAGES_MAX, "max-length-bytes": QUEUE_BYTES_MAX}

_LIVE_LIMITS: Mapping[str, str | int] = {
    **_BOUNDS,
    "dead-letter-exchange": DEAD_LETTER_EXCHANGE,
    "dead-letter-strategy": "at-most-once",
    "delivery-limit": DELIVERY_LIMIT,
    "overflow": "reject-publish",
}
"""Limits of a queue that is consumed. With `at-least-once` a sender can stop the dead-lettering of a queue for good, by
messages that expire and whose forged `x-death` looks like a cycle: the broker holds on to them for ever (ADR 17)."""

_REPLY_POLICY = Policy("replies", r"^replies\.[a-z0-9-]+$", _LIVE_LIMITS)
"""Only the issuer writes to these, so a dead letter keeps its routing key, which leads to its own dead-letter queue."""

_DEAD_POLICY = Policy(
    "dead-letters",
    r"^[a-z]+\.[a-z0-9-]+\.dead$",
    {**_BOUNDS, "delivery-limit": DEAD_DELIVERY_LIMIT},
)
"""A full dead-letter queue drops its oldest message: refusing instead would let one requester's poison fill the queue
that all requesters share."""


@dataclass(frozen=True, slots=True)
class Binding:
    """Messages that are published to `exchange` with exactly this routing key reach `queue`."""

    exchange: str
    queue: str
    routing_key: str


@dataclass(frozen=True, slots=True)
class Declarations:
    """What one virtual host holds, in the order in which it can be declared."""

    exchanges: tuple[Exchange, ...]
    queues: tuple[Queue, ...]
    bindings: tuple[Binding, ...]

    @property
    def policies(self) -> tuple[Policy, ...]:
        """Those of its queues, once each: as many with a thousand requesters as with one."""
        return tuple({queue.policy.name: queue.policy for queue in self.queues}.values())


@dataclass(frozen=True, slots=True)
class Permissions:
    """Regular expressions for what a user may configure, write to and read from in one virtual host."""

    configure: str
    write: str
    read: str


def virtual_host(issuer: OrganisationName) -> str:
    """The virtual host through which organisations enroll with `issuer`."""
    return f"enroll.{issuer}"


def out_exchange(organisation: OrganisationName) -> str:
    """The exchange that `organisation` publishes to, and nobody else."""
    return f"out.{organisation}"


def request_queue(issuer: OrganisationName) -> str:
    """The queue that `issuer` consumes; also the routing key that leads to it."""
    return f"requests.{issuer}"


def reply_queue(requester: OrganisationName) -> str:
    """The queue that `requester` consumes; also the routing key that leads to it."""
    return f"replies.{requester}"


def dead_letter_queue(queue: str) -> str:
    """Where messages of `queue` end that were rejected or delivered too often; watched, without a consumer."""
    return f"{queue}.dead"


def permissions(write: str, read: str) -> Permissions:
    """Permissions to write to one exchange and to read from one queue, by their exact names, and to configure nothing.

    RabbitMQ searches with these patterns, so they are anchored. In the names of this module only '.' is special.
    """
    return Permissions(configure="^$", write=_exactly(write), read=_exactly(read))


def declarations(issuer: OrganisationName, requesters: Iterable[OrganisationName]) -> Declarations:
    """The contents of the virtual host of `issuer`. Raises `ValueError` if it is among its own requesters."""
    partners = sorted(set(requesters))
    if issuer in partners:
        raise ValueError(f"{issuer} cannot be a requester of itself: leave it out of its own requesters")
    requests = request_queue(issuer)
    routes = [Binding(out_exchange(partner), requests, requests) for partner in partners]
    routes += [Binding(out_exchange(issuer), reply_queue(partner), reply_queue(partner)) for partner in partners]
    replies = list(map(reply_queue, partners))
    live = [requests, *replies]
    return Declarations(
        exchanges=(
            *(Exchange(out_exchange(organisation), internal=False) for organisation in [issuer, *partners]),
            Exchange(DEAD_LETTER_EXCHANGE, internal=True),
        ),
        queues=(
            Queue(requests, _request_policy(requests)),
            *(Queue(name, _REPLY_POLICY) for name in replies),
            *(Queue(dead_letter_queue(name), _DEAD_POLICY) for name in live),
        ),
        bindings=(*routes, *(Binding(DEAD_LETTER_EXCHANGE, dead_letter_queue(name), name) for name in live)),
    )


def definitions(
    issuers: Mapping[OrganisationName, Sequence[OrganisationName]], users: Mapping[OrganisationName, str | None]
) -> dict[str, Any]:
    """RabbitMQ's definitions file (its setting `load_definitions`) for issuers, each with its requesters.

    `users` has the password hash of every organisation, or None for one that logs in with a certificate only. Loaded
    at first boot, no other user exists. The same arguments give the same file. Raises `ValueError` for an organisation
    that is not in `users`, and for an issuer that is its own requester.
    """
    hosts = [(issuer, sorted(issuers[issuer])) for issuer in sorted(issuers)]
    contents = {virtual_host(issuer): declarations(issuer, requesters) for issuer, requesters in hosts}
    missing = sorted({name for issuer, requesters in hosts for name in [issuer, *requesters]} - users.keys())
    if missing:
        raise ValueError(f"no user for {', '.join(missing)}: give each a password hash, or None")
    return {
        "users": [_user(name, users[name]) for name in sorted(users)],
        "vhosts": [{"name": host} for host in contents],
        "permissions": [entry for issuer, requesters in hosts for entry in _permissions(issuer, requesters)],
        "exchanges": [_exchange(exchange, host) for host, held in contents.items() for exchange in held.exchanges],
        "queues": [_queue(queue, host) for host, held in contents.items() for queue in held.queues],
        "bindings": [_binding(binding, host) for host, held in contents.items() for binding in held.bindings],
        "policies": [_policy(policy, host) for host, held in contents.items() for policy in held.policies],
    }


def password_hash(password: str, salt: bytes) -> str:
    """RabbitMQ's salted SHA-256 (`rabbit_password_hashing_sha256`). Raises `ValueError` unless `salt` is four bytes."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt of {len(salt)} bytes: RabbitMQ reads exactly {SALT_BYTES}")
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode("ascii")


def _exactly(name: str) -> str:
    return f"^{name.replace('.', chr(92) + '.')}$"


def _request_policy(queue: str) -> Policy:
    """Any requester writes here: the routing key is set, because a dead-lettered message would otherwise keep the keys
    that its sender chose (the headers CC and BCC), and could be laid into the dead-letter queues of others.
    """
    return Policy("requests", _exactly(queue), {**_LIVE_LIMITS, "dead-letter-routing-key": queue})


def _user(name: OrganisationName, hashed: str | None) -> dict[str, Any]:
    """No tags: `impersonator` would let a user publish in another's name. An empty hash fits no password."""
    return {
        "name": name,
        "password_hash": hashed or "",
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": [],
        "limits": dict(_USER_LIMITS),
    }


def _permissions(issuer: OrganisationName, requesters: Sequence[OrganisationName]) -> list[dict[str, str]]:
    granted = {issuer: permissions(out_exchange(issuer), request_queue(issuer))}
    granted |= {name: permissions(out_exchange(name), reply_queue(name)) for name in requesters}
    return [
        {"user": user, "vhost": virtual_host(issuer), "configure": may.configure, "write": may.write, "read": may.read}
        for user, may in granted.items()
    ]


def _exchange(exchange: Exchange, host: str) -> dict[str, Any]:
    kind = {"type": "direct", "durable": True, "auto_delete": False, "internal": exchange.internal}
    return {"name": exchange.name, "vhost": host, **kind, "arguments": {}}


def _queue(queue: Queue, host: str) -> dict[str, Any]:
    return {"name": queue.name, "vhost": host, "durable": True, "auto_delete": False, "arguments": dict(_QUORUM)}


def _binding(binding: Binding, host: str) -> dict[str, Any]:
    ends = {"source": binding.exchange, "destination": binding.queue, "destination_type": "queue"}
    return {**ends, "vhost": host, "routing_key": binding.routing_key, "arguments": {}}


def _policy(policy: Policy, host: str) -> dict[str, Any]:
    name = {"name": policy.name, "vhost": host, "pattern": policy.pattern, "apply-to": "queues", "priority": 0}
    return {**name, "definition": dict(policy.limits)}
