"""Buses over a real broker, for tests, with short timing."""

from urllib.parse import urlsplit

import structlog
from kit.patience import PATIENCE

from agents.adapters.amqp import AmqpBus, BrokerAccess, Timing
from agents.adapters.clock import SystemClock
from agents.ports import Outgoing
from protocol import topology
from protocol.broker import BrokerAddress

QUICK = Timing(confirm=PATIENCE, connect=PATIENCE, first_retry=0.02, longest_retry=0.3)
"""Quick to try again, and patient with what is under way."""


def access(broker, realm, organisation, *, port=None, virtual_host=None, login=None):
    """How `organisation` reaches its realm; each of the others replaces a part of that."""
    parts = urlsplit(broker.organisation_url(realm.issuer, organisation))
    address = BrokerAddress(f"{parts.scheme}://{parts.hostname}:{port or parts.port or 5672}")
    return BrokerAccess(address, virtual_host or parts.path[1:], parts.username, login or (lambda: parts.password))


def queue_of(realm, organisation):
    """The queue that `organisation` consumes."""
    return realm.requests if organisation == realm.issuer else topology.reply_queue(organisation)


def connect(broker, realm, organisation, port=None, *, queue=None, timing=QUICK, prefetch=256, calm_after=0, **changes):
    """A bus of `organisation`, not waited for, that begins with its whole prefetch; `changes` are those of `access`."""
    reach = access(broker, realm, organisation, port=port, **changes)
    consumed = queue or queue_of(realm, organisation)
    how = {"timing": timing, "prefetch": prefetch, "calm_after": calm_after}
    return AmqpBus(reach, organisation, consumed, SystemClock(), silent_log(), **how)


def silent_log():
    """A log that goes nowhere: the threads of a bus may outlive the output that pytest captures."""
    return structlog.wrap_logger(structlog.ReturnLogger(), processors=[lambda _, __, event: str(event)])


def request(realm, body, number=0, requester=None):
    """A message from a requester to the issuer."""
    exchange = topology.out_exchange(requester or realm.requester)
    return Outgoing(exchange, realm.requests, body, "enrollment.request", f"message-{number}")


def requests(realm, bodies):
    """Messages from the first requester to the issuer."""
    return [request(realm, body, number) for number, body in enumerate(bodies)]


def collect(bus, count, seconds=PATIENCE, limit=64):
    """Receive `count` deliveries, or as many as arrive until nothing did for `seconds`."""
    deliveries = []
    while len(deliveries) < count and (batch := bus.receive(min(limit, count - len(deliveries)), seconds)):
        deliveries += batch
    return deliveries


def bodies(deliveries):
    """What the deliveries carry."""
    return [delivery.body for delivery in deliveries]
