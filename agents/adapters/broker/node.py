"""A RabbitMQ node of our own, in one directory, for demonstrations and tests.

It leaves nothing running: not when it is stopped, and not when this process ends in any other way. In production an
operator runs the broker.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from agents.adapters.broker.directory import NodeDirectory, Ports
from agents.adapters.broker.host import HOST, Child, answers_amqp, free_ports, require_free
from agents.errors import UnreachableError

START_SECONDS = 300.0
"""Longest wait for a broker: a node takes 6 s on two idle cores, minutes on a busy machine to recover 5000 queues."""

CTL_SECONDS = 60.0
"""Longest run of one administration command."""

POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Installation:
    """Where the programs are: the folder of `rabbitmq-server` and `rabbitmqctl`, and Erlang's port mapper."""

    folder: Path
    epmd: Path


class PrivateBroker:
    """One node in `directory`, which is made if it is not there; it keeps its messages between starts."""

    def __init__(
        self, directory: Path, definitions: Mapping[str, Any], installation: Installation, port: int | None = None
    ) -> None:
        """Listens on `port`, or on any free one."""
        amqp, distribution, epmd = free_ports(3)
        self._directory = NodeDirectory(directory.absolute(), Ports(port or amqp, distribution, epmd))
        self._definitions = definitions
        self._installation = installation
        self._environment = self._directory.environment(installation.epmd.parent)
        self._port_mapper: Child | None = None
        self._node: Child | None = None
        self._lock: int | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """Where the node listens on the loopback interface, the same after a restart."""
        return self._directory.ports.amqp

    def start(self) -> None:
        """Start the node and wait until it greets a client.

        Raises `UnreachableError`, with the end of the node's log, if it does not, `HomeBusyError` if another one runs
        in the directory, and `ConfigurationError` or `StateError` if it cannot run. Nothing is left running then.
        """
        try:
            self._lock = self._lock or self._directory.lock()
            self._directory.write(self._definitions)
            require_free(self.port)
            epmd = [str(self._installation.epmd), "-port", str(self._directory.ports.epmd), "-address", HOST]
            self._port_mapper = self._port_mapper or self._run(*epmd)
            self._node = self._run(str(self._installation.folder / "rabbitmq-server"), holding=[self._lock])
            self._wait_until_ready(self._node)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the node in order, then its port mapper. Does nothing if neither runs."""
        self._end_node(signal.SIGTERM)
        if self._port_mapper:
            self._port_mapper.end()
            self._port_mapper = None
        if self._lock:
            os.close(self._lock)
            self._lock = None

    def wait(self) -> None:
        """Wait until the node ends, which it should not: raises `UnreachableError` with its last words."""
        if self._node:
            self._node.wait()
            raise UnreachableError(self._complaint("has ended"))

    def restart(self) -> None:
        """End the node in order and start it again, on the same port with the same messages."""
        self._end_node(signal.SIGTERM)
        self.start()

    def kill(self) -> None:
        """End the node as a power failure would (SIGKILL). `start` brings it back."""
        self._end_node(signal.SIGKILL)

    def ctl(self, *arguments: str, given: str = "") -> str:
        """Run `rabbitmqctl`, with `given` as its standard input, and return what it printed.

        Raises `UnreachableError` if it fails, with what it said.
        """
        return run_ctl([str(self._installation.folder / "rabbitmqctl")], arguments, given, self._environment)

    def _end_node(self, how: signal.Signals) -> None:
        node = self._node
        if node:
            node.end(how)
        if self._node is node:  # another thread may be ending it too, to have it end sooner
            self._node = None

    def _run(self, *command: str, holding: Sequence[int] = ()) -> Child:
        return Child(command, self._environment, self._directory.path, holding)

    def _wait_until_ready(self, node: Child) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not answers_amqp(self.port):
            if node.ended:
                raise UnreachableError(self._complaint("ended at its start"))
            if time.monotonic() > deadline:
                raise UnreachableError(self._complaint(f"did not come up in {START_SECONDS:.0f} s"))
            time.sleep(POLL_SECONDS)

    def _complaint(self, what: str) -> str:
        return f"the RabbitMQ node in {self._directory.path} {what}. Its last words:\n{self._directory.last_words()}"


def run_ctl(
    program: Sequence[str], arguments: Sequence[str], given: str, environment: Mapping[str, str] | None = None
) -> str:
    """Run an administration program and return what it printed. Raises `UnreachableError` if it fails."""
    command = [*program, "--quiet", *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - an installed program, no shell
            command, env=environment, input=given.encode(), capture_output=True, timeout=CTL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UnreachableError(f"rabbitmqctl {arguments[0]} took more than {CTL_SECONDS:.0f} s") from error
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise UnreachableError(f"rabbitmqctl {' '.join(arguments)} failed ({done.returncode}): {said}")
    return done.stdout.decode()
