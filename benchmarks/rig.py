"""Two agents with an agreement and a private broker between them; requests to send, and replies to count."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pika
from cryptography.hazmat.primitives.asymmetric import ec
from pika.spec import PERSISTENT_DELIVERY_MODE

from agents.adapters.entropy import SystemEntropy
from agents.bootstrap.agent import Agent
from agents.bootstrap.agreement import agree
from agents.bootstrap.broker import Partnership, running_broker
from agents.bootstrap.setup import BrokerAnswers, Setup, set_up
from agents.core.effects import PinAnchor, Unit
from agents.core.requester import Enrollment, request_message
from protocol.csr import NameKind, SubjectName, build_csr
from protocol.names import OrganisationName
from protocol.topology import out_exchange, reply_queue, request_queue, virtual_host
from protocol.transaction import Role

ISSUER, REQUESTER = OrganisationName("client-c"), OrganisationName("client-b")
ACKNOWLEDGE_EVERY = 50

Sealed = tuple[str, bytes]
"""Transaction id and exact bytes of a request."""


@dataclass(frozen=True)
class Bench:
    """Two agents with an agreement, and a broker between them."""

    issuer: Agent
    requester: Agent
    url: str
    passwords: dict[str, str]
    broker_pids: tuple[int, ...]

    def connect(self, name: OrganisationName) -> pika.BlockingConnection:
        """A connection as one of the two."""
        host, port = self.url.removeprefix("amqp://").split(":")
        login = pika.PlainCredentials(name, self.passwords[name])
        return pika.BlockingConnection(
            pika.ConnectionParameters(host, int(port), virtual_host(ISSUER), credentials=login)
        )


@contextmanager
def bench() -> Iterator[Bench]:
    """Set everything up in a temporary directory; nothing runs afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, _agents(Path(directory)) as made:
        yield made


@contextmanager
def _agents(directory: Path) -> Iterator[Bench]:
    with running_broker(directory / "broker", Partnership((ISSUER,), (REQUESTER,))) as running:
        files = {login.organisation: login.password_file for login in running.logins}
        agents = {}
        for name, endpoint in ((ISSUER, "localhost:1"), (REQUESTER, "")):
            login = BrokerAnswers(running.address, name, files[name])
            set_up(Setup(home=directory / name, name=name, title=name, broker=login, endpoint=endpoint))
            agents[name] = Agent(directory / name, log_form="json")
        issuer, requester = agents[ISSUER], agents[REQUESTER]
        agree(issuer, REQUESTER, ("**.client-b.example",), "1h", manual=False, out=directory / "invitation")
        root = requester.identity.chain[-1]
        pinned = PinAnchor(REQUESTER, Role.REQUESTER, requester.root, root, issuer.clock.now())
        issuer.ledger.commit([Unit((pinned,))])
        passwords = {name: path.read_text().strip() for name, path in files.items()}
        yield Bench(issuer, requester, running.address, passwords, _descendants(os.getpid()))


def _descendants(pid: int) -> tuple[int, ...]:
    children = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return tuple(inner for child in children for inner in (child, *_descendants(child)))


def make_requests(bench: Bench, count: int) -> list[Sealed]:
    """Sealed requests, each for a key of its own: transaction id and exact bytes."""
    entropy, made = SystemEntropy(), []
    for number in range(count):
        now = bench.requester.clock.now()
        id = entropy.transaction_id(now)
        names = (SubjectName(NameKind.DNS, f"n{number}.client-b.example"),)
        csr = build_csr(ec.generate_private_key(ec.SECP256R1()), names, None)
        asked = Enrollment(id, REQUESTER, ISSUER, csr, None, now, now + timedelta(hours=1), None)
        made.append((str(id), bench.requester.sealer.seal(request_message(asked, None))))
    return made


def publish(channel: Any, requests: list[Sealed]) -> None:
    """Put requests into the issuer's queue."""
    for id, body in requests:
        properties = pika.BasicProperties(delivery_mode=PERSISTENT_DELIVERY_MODE, message_id=id)
        channel.basic_publish(out_exchange(REQUESTER), request_queue(ISSUER), body, properties)
    channel.connection.process_data_events(0)


class Replies:
    """Counts, on a thread of its own, what arrives for the requester, and when."""

    def __init__(self, bench: Bench) -> None:
        self.at: dict[str, float] = {}
        self._connection = bench.connect(REQUESTER)
        channel = self._connection.channel()
        channel.basic_qos(prefetch_count=500)
        channel.basic_consume(reply_queue(REQUESTER), self._take)
        self._thread = threading.Thread(target=channel.start_consuming, daemon=True)
        self._channel = channel
        self._thread.start()

    def _take(self, channel: Any, method: Any, properties: Any, _body: bytes) -> None:
        self.at.setdefault(properties.correlation_id, time.perf_counter())
        if len(self.at) % ACKNOWLEDGE_EVERY == 0:
            channel.basic_ack(method.delivery_tag, multiple=True)

    def wait_for(self, requests: list[Sealed], patience: float = 120.0) -> None:
        """Until every one of these has a reply."""
        deadline, missing = time.perf_counter() + patience, [id for id, _ in requests]
        while missing := [id for id in missing if id not in self.at]:
            if time.perf_counter() > deadline:
                raise TimeoutError(f"no reply to {len(missing)} of {len(requests)} after {patience} s")
            time.sleep(0.005)

    def close(self) -> None:
        """Stop; what was not acknowledged is acknowledged."""
        self._connection.add_callback_threadsafe(self._finish)
        self._thread.join()
        self._connection.close()

    def _finish(self) -> None:
        self._channel.basic_ack(0, multiple=True)
        self._channel.stop_consuming()
