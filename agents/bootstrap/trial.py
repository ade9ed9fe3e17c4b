"""What a simulation needs of the adapters: links that fail, free ports, dead letters, octets sent as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from agents.adapters import files
from agents.adapters.broker.host import free_ports
from agents.adapters.clock import SystemClock
from agents.adapters.entropy import SystemEntropy
from agents.adapters.network import Network, NetworkLink
from agents.bootstrap.agent import Agent
from agents.bootstrap.broker import RunningBroker
from agents.ports import Clock, Outgoing, PublishOutcome
from protocol.names import OrganisationName
from protocol.topology import dead_letter_queue, out_exchange, request_queue, virtual_host

__all__ = ["Network", "NetworkLink", "dead_letters", "free_port", "post", "system_clock", "waiting", "write_private"]

INSPECTOR = "inspector"
"""A user that may read dead-letter queues and nothing else."""


def system_clock() -> Clock:
    """The right time."""
    return SystemClock()


def free_port() -> int:
    """A port on the loopback interface that nobody listens on now."""
    return free_ports(1)[0]


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only this user can read, durably and all at once; its directory is made if need be."""
    files.make_directory(path.parent)
    files.write_file(path, content)


def post(agent: Agent, issuer: OrganisationName, body: bytes, id: str) -> bool:
    """Put octets into the request queue of `issuer` with the login of `agent`. Whether the broker confirmed them."""
    from agents.adapters.amqp.once import post

    message = Outgoing(out_exchange(agent.name), request_queue(issuer), body, "enrollment.request", id)
    return post(agent.access(issuer), message, agent.clock, agent.log) is PublishOutcome.CONFIRMED


def waiting(running: RunningBroker, issuers: Sequence[OrganisationName]) -> dict[str, int]:
    """Messages in each queue that has any, in the virtual hosts of these issuers. Raises `UnreachableError`."""
    counts = {}
    for issuer in issuers:
        host = virtual_host(issuer)
        for line in running.broker.ctl(
            "list_queues", "--no-table-headers", "-p", host, "name", "messages"
        ).splitlines():
            name, _, count = line.partition("\t")
            if count.isdigit() and int(count):
                counts[name] = int(count)
    return counts


def dead_letters(
    running: RunningBroker, queues: Mapping[OrganisationName, Sequence[str]]
) -> dict[str, tuple[bytes, ...]]:
    """The bodies in each dead-letter queue, given the live queues in the virtual host of each issuer; empty ones are
    left out. They stay where they are. Raises `UnreachableError`."""
    from agents.adapters.amqp.once import read_queue

    password = SystemEntropy().secret().hex()
    running.broker.ctl("add_user", INSPECTOR, given=f"{password}\n")
    filled = waiting(running, tuple(queues))
    found: dict[str, tuple[bytes, ...]] = {}
    for issuer, live in queues.items():
        host = virtual_host(issuer)
        running.broker.ctl("set_permissions", "-p", host, INSPECTOR, "^$", "^$", r"\.dead$")
        url = running.address.replace("://", f"://{INSPECTOR}:{password}@") + f"/{host}"
        dead = [name for name in map(dead_letter_queue, live) if name in filled]
        found |= {name: read_queue(url, name) for name in dead}
    return found
