"""The parts of the demonstration: a broker, two agents as processes of their own, and what came of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography import x509

from agents.adapters import files
from agents.adapters.broker import GivenUrl, find_broker
from agents.adapters.broker.host import free_ports
from agents.bootstrap.agent import Agent
from agents.bootstrap.broker import PASSWORDS
from agents.bootstrap.setup import BrokerAnswers, Setup, set_up
from agents.core.effects import TransactionKey
from agents.errors import StateError, TimedOutError
from protocol.certificate import fingerprint, serial_number, subject_names
from protocol.names import OrganisationName
from protocol.path import load_certificate
from protocol.transaction import Role

READY_SECONDS = 30.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.05

ISSUER, REQUESTER = OrganisationName("client-c"), OrganisationName("client-b")
"""The two organisations of the demonstration."""


class Process:
    """One `agent` process in the background, with its log in a file."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self.log = log
        self._output = log.with_suffix(".out")
        with log.open("ab") as errors, self._output.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - this program itself, no shell
                [sys.executable, "-m", "agents.cli.main", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def output(self) -> str:
        """What it has printed so far."""
        return self._output.read_text()

    def require_running(self) -> None:
        """Raises `StateError` with the end of its log if the process has ended."""
        if self._process.poll() is not None:
            said = (self.log.read_text() + self.output()).strip()[-1000:]
            raise StateError(f"a process of the demonstration ended with {self._process.returncode}: {said}")

    def stop(self) -> int:
        """Ask it to end, wait, and kill it if it does not. Returns its exit code."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            return self._process.wait()

    def kill(self) -> None:
        """End it as a power failure would (SIGKILL), with every process that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


def start_broker(directory: Path) -> tuple[str, Process | None, dict[OrganisationName, BrokerAnswers]]:
    """A broker with the topology for both organisations: what it is, its process if it is ours, and how to log in.

    With a URL in the environment, the queues are made there and both organisations use its user.
    """
    choice = find_broker(os.environ)
    if isinstance(choice, GivenUrl):
        return str(choice), None, _use_given(choice, directory)
    files.make_directory(directory)
    who = ("--issuer", ISSUER, "--requester", REQUESTER)
    process = Process(directory / "broker.log", "broker", "run", str(directory), *who, "--json")
    said = _wait_for_json(process)
    passwords = directory / PASSWORDS
    logins = {name: BrokerAnswers(said["url"], name, passwords / f"{name}.password") for name in (ISSUER, REQUESTER)}
    return str(said["kind"]), process, logins


def _wait_for_json(process: Process) -> dict[str, Any]:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        process.require_running()
        with suppress(ValueError):
            said: dict[str, Any] = json.loads(process.output())
            return said
        time.sleep(POLL_SECONDS)
    process.stop()
    raise TimedOutError(f"the broker was not ready after {READY_SECONDS:.0f} s; its log is {process.log}.")


def _use_given(broker: GivenUrl, directory: Path) -> dict[OrganisationName, BrokerAnswers]:
    from agents.adapters.amqp.once import declare

    declare(broker.url, ISSUER, [REQUESTER])
    files.make_directory(directory)
    password = directory / "given.password"
    files.write_file(password, broker.password.encode())
    login = BrokerAnswers(broker.address, broker.user, password, virtual_host=broker.virtual_host)
    return {ISSUER: login, REQUESTER: login}


def make_agents(directory: Path, logins: dict[OrganisationName, BrokerAnswers]) -> tuple[Agent, Agent]:
    """The issuer with a channel, and the requester, each with its own CA."""
    (port,) = free_ports(1)
    issuer = _make_agent(directory, ISSUER, "Client C", logins, endpoint=f"localhost:{port}")
    return issuer, _make_agent(directory, REQUESTER, "Client B", logins, endpoint="")


def _make_agent(
    directory: Path, name: OrganisationName, title: str, logins: dict[OrganisationName, BrokerAnswers], endpoint: str
) -> Agent:
    set_up(Setup(home=directory / name, name=name, title=title, broker=logins[name], endpoint=endpoint))
    return Agent(directory / name)


def start_daemon(agent: Agent) -> Process:
    """`agent run` as a process of its own, up: it has the home's lock and says that it is well."""
    process = Process(agent.home.with_suffix(".log"), "run", "--home", str(agent.home), "--log", "json")
    try:
        _wait_until_up(agent, process)
    except BaseException:  # an interrupt too leaves nothing running
        process.stop()
        raise
    return process


def _wait_until_up(agent: Agent, process: Process) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not (agent.lock.is_held() and agent.health()):
        process.require_running()
        if time.monotonic() > deadline:
            raise TimedOutError(f"{agent.name} was not up after {READY_SECONDS:.0f} s; its log is {process.log}.")
        time.sleep(POLL_SECONDS)


def summary(issuer: Agent, requester: Agent, key: TransactionKey, issuer_says: str | None) -> dict[str, Any]:
    """What came of it: the credential, both chains, the channel from both ends, the transaction on both sides."""
    there = TransactionKey(Role.ISSUER, requester.name, key.id)
    session = requester.ledger.last_session(issuer.name)
    states = {
        requester.name: requester.ledger.transactions([key])[key].state,
        issuer.name: issuer.ledger.transactions([there])[there].state,
    }
    record = requester.ledger.certificates(requester.name)[0]
    return {
        "transaction": key.id,
        "states": states,
        "issuer_says": issuer_says,
        "confirmed_by_both": list(states.values()) == ["verified", "confirmed"],
        "certificate": _facts(load_certificate(record.certificate)),
        "client_chain": _chain(requester.credentials.credential(issuer.name), issuer),
        "server_chain": _chain(issuer.channel_credential(), issuer),
        "requester_saw": json.loads(session.we_saw) if session and session.we_saw else None,
        "issuer_saw": json.loads(session.partner_saw) if session and session.partner_saw else None,
    }


def _chain(credential: Any, issuer: Agent) -> list[str]:
    """Subjects, or names where there is no subject, from the leaf up to and including the issuer's root."""
    shown = x509.load_pem_x509_certificates(Path(credential.chain_path).read_bytes()) if credential else []
    root = load_certificate(issuer.identity.chain[-1])
    return [_called(certificate) for certificate in (*shown, root)]


def _called(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or ", ".join(map(str, subject_names(certificate)))


def _facts(certificate: x509.Certificate) -> dict[str, Any]:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return {
        "subject": certificate.subject.rfc4514_string(),
        "names": [str(name) for name in subject_names(certificate)],
        "serial": serial_number(certificate),
        "sha256": fingerprint(certificate),
        "not_before": start,
        "not_after": end,
        "lifetime_days": (end - start).days,
    }


def stop_all(processes: Sequence[Process]) -> list[int]:
    """Stop processes, the last one started first. Returns their exit codes in that order."""
    return [process.stop() for process in reversed(processes)]
