"""How many enrollments an issuer answers, what each costs, and how long it takes: RabbitMQ quorum queue, SQLite, P-256.

Everything runs on this machine, the broker included. Figures are told as ratios to the crypto floor (the two signature
checks and two signatures that one enrollment cannot do without), measured in the same run on one core.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from agents.bootstrap.agent import Agent
from agents.bootstrap.links import open_link
from agents.cli.run import look_for_cycles_less_often
from benchmarks.rig import ISSUER, REQUESTER, Bench, Replies, make_requests, publish
from protocol.transaction import Role

TICKS = os.sysconf("SC_CLK_TCK")
FLOOR_ROUNDS = 3000
WARM_UP = 20


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


def issue(home: Path, ready: Any, go: Any, stop: Any) -> None:
    """One issuer process: exactly the link that `agent run` works on."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    agent = Agent(home, log_form="json")
    look_for_cycles_less_often()
    agent.ledger.partners()
    ready.release()
    go.wait()
    link = open_link(agent, Role.ISSUER, ISSUER)
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
    requests = make_requests(bench, count)
    connection = bench.connect(REQUESTER)
    publish(connection.channel(), requests)
    connection.close()
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


def latency(bench: Bench, rate: int, seconds: float) -> dict[str, float]:
    """Requests at a steady rate: milliseconds from publishing a request to receiving its reply."""
    requests, warm = make_requests(bench, int(rate * seconds)), make_requests(bench, WARM_UP)
    connection, replies = bench.connect(REQUESTER), Replies(bench)
    channel, sent = connection.channel(), {}
    with issuers(bench, 1) as (_pids, go):
        go.set()
        publish(channel, warm)
        replies.wait_for(warm)
        started = time.perf_counter()
        for number, request in enumerate(requests):
            time.sleep(max(0.0, started + number / rate - time.perf_counter()))
            sent[request[0]] = time.perf_counter()
            publish(channel, [request])
        replies.wait_for(requests)
    taken = [(replies.at[id] - at) * 1e3 for id, at in sent.items()]
    replies.close()
    connection.close()
    cuts = statistics.quantiles(taken, n=100)
    return {"rate": rate, "p50_ms": cuts[49], "p99_ms": cuts[98], "max_ms": max(taken)}


def measure(bench: Bench, count: int, seconds: float) -> dict[str, Any]:
    """All figures of one run."""
    floor = crypto_floor()
    throughput(bench, 1, count // 10)
    runs = [throughput(bench, processes, count) for processes in (1, 2)]
    for run in runs:
        run["share_of_floor"] = floor / run["cpu_us_per_enrollment"]
        run["rate_to_one_core_floor"] = run["enrollments_per_second"] * floor / 1e6
    return {
        "crypto_floor_us": floor,
        "throughput": runs,
        "latency": [latency(bench, rate, seconds) for rate in (50, 200)],
    }


def describe(result: dict[str, Any]) -> str:
    """The figures in words."""
    lines = [f"crypto floor (2 checks, 2 signatures, P-256): {result['crypto_floor_us']:.0f} us of one core"]
    lines += [
        f"{run['processes']} issuer process(es): {run['enrollments_per_second']:.0f} enrollments/s "
        f"({run['rate_to_one_core_floor']:.2f} x one core's floor), CPU {run['cpu_us_per_enrollment']:.0f} us each "
        f"({run['share_of_floor']:.0%} of it is the floor), broker {run['broker_cpu_us_per_enrollment']:.0f} us"
        for run in result["throughput"]
    ]
    lines += [
        f"at {run['rate']}/s: p50 {run['p50_ms']:.1f} ms, p99 {run['p99_ms']:.1f} ms, max {run['max_ms']:.1f} ms"
        for run in result["latency"]
    ]
    return "\n".join(lines)
