"""How many enrollments an issuer answers, what each costs, and how long it takes: RabbitMQ quorum queue, SQLite, P-256.

Everything runs on this machine, the broker included. Figures are told as ratios to the crypto floor (the two signature
checks and two signatures that one enrollment cannot do without), measured in the same run on one core.

    python benchmarks/bench_issuing.py [--enrollments N] [--seconds S] [--json]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
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
from cryptography.hazmat.primitives.hashes import SHA256
from pika.spec import PERSISTENT_DELIVERY_MODE

from agents.adapters.entropy import SystemEntropy
from agents.bootstrap.agent import Agent
from agents.bootstrap.agreement import agree
from agents.bootstrap.broker import Partnership, running_broker
from agents.bootstrap.setup import BrokerAnswers, Setup, set_up
from agents.core.effects import PinAnchor, Unit
from agents.core.requester import Enrollment, request_message
from protocol.csr import NameKind, SubjectName, build_csr, parse_csr
from protocol.names import Fingerprint, OrganisationName
from protocol.topology import out_exchange, reply_queue, request_queue, virtual_host
from protocol.transaction import Role

ISSUER, REQUESTER = OrganisationName("client-c"), OrganisationName("client-b")
TICKS = os.sysconf("SC_CLK_TCK")
FLOOR_ROUNDS = 3000


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
def bench(directory: Path) -> Iterator[Bench]:
    """Set everything up under `directory`; nothing runs afterwards."""
    with running_broker(directory / "broker", Partnership((ISSUER,), (REQUESTER,))) as running:
        files = {login.organisation: login.password_file for login in running.logins}
        agents = {}
        for name, endpoint in ((ISSUER, "localhost:1"), (REQUESTER, "")):
            login = BrokerAnswers(running.url, name, files[name])
            set_up(Setup(home=directory / name, name=name, title=name, broker=login, endpoint=endpoint))
            agents[name] = Agent(directory / name, log_form="json")
        issuer, requester = agents[ISSUER], agents[REQUESTER]
        agree(issuer, REQUESTER, ("**.client-b.example",), "1h", manual=False, out=directory / "invitation")
        issuer.ledger.commit(
            [Unit((PinAnchor(REQUESTER, requester.root, requester.identity.chain[-1], issuer.clock.now()),))]
        )
        passwords = {name: path.read_text().strip() for name, path in files.items()}
        yield Bench(issuer, requester, running.url, passwords, _descendants(os.getpid()))


def _descendants(pid: int) -> tuple[int, ...]:
    children = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return tuple(inner for child in children for inner in (child, *_descendants(child)))


def crypto_floor() -> float:
    """Microseconds of one core for two P-256 signature checks and two signatures over SHA-256."""
    key, data = ec.generate_private_key(ec.SECP256R1()), b"x" * 500
    public, algorithm = key.public_key(), ec.ECDSA(SHA256())
    signature = key.sign(data, algorithm)
    started = time.process_time()
    for _ in range(FLOOR_ROUNDS):
        public.verify(signature, data, algorithm)
        key.sign(data, algorithm)
    return (time.process_time() - started) / FLOOR_ROUNDS * 2e6


def make_requests(bench: Bench, count: int) -> list[tuple[str, bytes]]:
    """Sealed requests, each for a key of its own: transaction id and exact bytes."""
    entropy, made = SystemEntropy(), []
    for number in range(count):
        now = bench.requester.clock.now()
        id = entropy.transaction_id(now)
        names = (SubjectName(NameKind.DNS, f"n{number}.client-b.example"),)
        csr = parse_csr(build_csr(ec.generate_private_key(ec.SECP256R1()), names, None))
        asked = Enrollment(id, REQUESTER, ISSUER, csr, None, now, now + timedelta(hours=1), None)
        made.append((str(id), bench.requester.sealer.seal(request_message(asked, None))))
    return made


def publish(connection: pika.BlockingConnection, requests: list[tuple[str, bytes]]) -> None:
    """Put requests into the issuer's queue."""
    channel = connection.channel()
    for id, body in requests:
        properties = pika.BasicProperties(delivery_mode=PERSISTENT_DELIVERY_MODE, message_id=id)
        channel.basic_publish(out_exchange(REQUESTER), request_queue(ISSUER), body, properties)
    connection.process_data_events(0)


def issue(home: Path, ready: Any, go: Any, stop: Any) -> None:
    """One issuer process: exactly the link that `agent run` works on."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    agent = Agent(home, log_form="json")
    agent.ledger.partners()
    ready.release()
    go.wait()
    link = agent.link(Role.ISSUER, ISSUER)
    link.worker.start()
    stop.wait()
    link.worker.stop()
    link.worker.join(10)
    link.bus.close(2)


@contextmanager
def issuers(bench: Bench, processes: int) -> Iterator[tuple[list[int], Any]]:
    """Issuer processes that begin when the yielded event is set."""
    context = multiprocessing.get_context("spawn")
    ready, go, stop = context.Semaphore(0), context.Event(), context.Event()
    crew = [context.Process(target=issue, args=(bench.issuer.home, ready, go, stop)) for _ in range(processes)]
    for one in crew:
        one.start()
    for _ in crew:
        ready.acquire()
    try:
        yield [one.pid for one in crew if one.pid], go
    finally:
        stop.set()
        for one in crew:
            one.join()


def cpu_seconds(pids: list[int] | tuple[int, ...]) -> float:
    """User and system time of processes so far."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def throughput(bench: Bench, processes: int, count: int) -> dict[str, float]:
    """A full queue, worked off: enrollments a second until the last reply lies in the requester's queue."""
    connection = bench.connect(REQUESTER)
    requests = make_requests(bench, count)
    publish(connection, requests)
    replies = Replies(bench)
    with issuers(bench, processes) as (pids, go):
        before, broker_before = cpu_seconds(pids), cpu_seconds(bench.broker_pids)
        started = time.perf_counter()
        go.set()
        replies.wait_for(requests)
        seconds = time.perf_counter() - started
        cpu, broker = cpu_seconds(pids) - before, cpu_seconds(bench.broker_pids) - broker_before
    replies.close()
    return {
        "processes": processes,
        "enrollments_per_second": count / seconds,
        "cpu_us_per_enrollment": cpu / count * 1e6,
        "broker_cpu_us_per_enrollment": broker / count * 1e6,
    }


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
        if len(self.at) % 50 == 0:
            channel.basic_ack(method.delivery_tag, multiple=True)

    def wait_for(self, requests: list[tuple[str, bytes]], patience: float = 120.0) -> None:
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


def latency(bench: Bench, rate: int, seconds: float) -> dict[str, float]:
    """Requests at a steady rate: milliseconds from publishing a request to receiving its reply."""
    requests = make_requests(bench, int(rate * seconds))
    connection, replies, sent = bench.connect(REQUESTER), Replies(bench), {}
    channel = connection.channel()
    with issuers(bench, 1) as (_pids, go):
        go.set()
        warm = make_requests(bench, 20)
        publish(connection, warm)
        replies.wait_for(warm)
        started = time.perf_counter()
        for number, (id, body) in enumerate(requests):
            connection.process_data_events(0)
            time.sleep(max(0.0, started + number / rate - time.perf_counter()))
            sent[id] = time.perf_counter()
            properties = pika.BasicProperties(delivery_mode=PERSISTENT_DELIVERY_MODE, message_id=id)
            channel.basic_publish(out_exchange(REQUESTER), request_queue(ISSUER), body, properties)
        replies.wait_for(requests)
    taken = [(replies.at[id] - at) * 1e3 for id, at in sent.items()]
    replies.close()
    connection.close()
    cuts = statistics.quantiles(taken, n=100)
    return {"rate": rate, "p50_ms": cuts[49], "p99_ms": cuts[98], "max_ms": max(taken)}


def main() -> None:
    """Run all and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--enrollments", type=int, default=6000)
    options.add_argument("--seconds", type=float, default=10.0)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, bench(Path(directory)) as made:
        floor = crypto_floor()
        throughput(made, 1, 500)
        runs = [throughput(made, processes, given.enrollments) for processes in (1, 2)]
        for run in runs:
            run["share_of_floor"] = floor / run["cpu_us_per_enrollment"]
            run["rate_to_one_core_floor"] = run["enrollments_per_second"] * floor / 1e6
        slow = [latency(made, rate, given.seconds) for rate in (50, 200)]
    result = {"crypto_floor_us": floor, "throughput": runs, "latency": slow}
    print(json.dumps(result, indent=2) if given.json else _table(result))


def _table(result: dict[str, Any]) -> str:
    lines = [f"crypto floor (2 checks, 2 signatures, P-256): {result['crypto_floor_us']:.0f} us of one core"]
    for run in result["throughput"]:
        lines.append(
            f"{run['processes']} issuer process(es): {run['enrollments_per_second']:.0f} enrollments/s "
            f"({run['rate_to_one_core_floor']:.2f} x one core's floor), CPU {run['cpu_us_per_enrollment']:.0f} us each "
            f"({run['share_of_floor']:.0%} of it is the floor), broker {run['broker_cpu_us_per_enrollment']:.0f} us"
        )
    for run in result["latency"]:
        lines.append(
            f"at {run['rate']}/s: p50 {run['p50_ms']:.1f} ms, p99 {run['p99_ms']:.1f} ms, max {run['max_ms']:.1f} ms"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
