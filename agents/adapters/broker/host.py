"""What a broker of our own needs of this machine: free ports, a sign that it is ready, programs that end when we end.

Loopback only. A watchdog is a shell that waits for its input to close, which the kernel does for us however this
process ends, also when it is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from secrets import SystemRandom

from agents.errors import ConfigurationError, UnreachableError

HOST = "127.0.0.1"

PORTS = range(20_000, 32_000)
"""Below the range from which Linux picks local ports of connections, so that a restarted node finds its ports free."""

PROBE_SECONDS = 2.0
"""Longest wait for one answer of a broker on this machine."""

STOP_SECONDS = 30.0
"""Longest wait for an orderly end before a program is killed."""

LOG_LINES = 25
"""How much of a log an error message quotes."""

_AMQP_HEADER = b"AMQP\x00\x00\x09\x01"
_CONNECTION_START = b"\x00\x0a\x00\x0a"

_END = """
kill -TERM "$1"
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do kill -0 "$1" || exit; sleep 0.3; done
kill -KILL "$1"
"""


def free_ports(count: int) -> tuple[int, ...]:
    """Ports on the loopback interface that nobody has bound. Raises `UnreachableError` if there are too few."""
    found: list[int] = []
    for port in SystemRandom().sample(PORTS, len(PORTS)):
        if _can_bind(port, beside_others=False):
            found.append(port)
        if len(found) == count:
            return tuple(found)
    raise UnreachableError(
        f"no {count} free ports between {PORTS.start} and {PORTS.stop} on {HOST}: end what uses them"
    )


def require_free(port: int) -> None:
    """Raises `ConfigurationError` if somebody listens on `port`: a greeting there would be another broker's."""
    if not _can_bind(port, beside_others=True):
        raise ConfigurationError(f"port {port} on {HOST} is in use: choose another one, or end what listens there")


def answers_amqp(port: int) -> bool:
    """Whether a broker on this machine greets as AMQP 0-9-1 demands (section 2.2.4): Connection.Start, channel zero."""
    try:
        with socket.create_connection((HOST, port), PROBE_SECONDS) as connection:
            connection.sendall(_AMQP_HEADER)
            greeting = connection.recv(11, socket.MSG_WAITALL)
    except OSError:
        return False
    return greeting[:3] == b"\x01\x00\x00" and greeting[7:] == _CONNECTION_START


def last_words(log: str) -> str:
    """The end of a node's log: its error lines, or whatever there is."""
    lines = [line for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if "[error]" in line]
    return "\n".join((errors or lines)[-LOG_LINES:]) or "It left no log."


class Watchdog:
    """Runs a shell command, with `arguments` as $1 and so on, once this process has ended; unless called off before."""

    def __init__(self, command: str, *arguments: str) -> None:
        self._shell = subprocess.Popen(  # noqa: S603 - the command is a constant of ours, what varies is in arguments
            ["/bin/sh", "-c", f"read -r _\n{command}", "watchdog", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def call_off(self) -> None:
        """End the watch; the command will not run."""
        self._shell.kill()
        self._shell.wait()
        if self._shell.stdin:
            with contextlib.suppress(OSError):
                self._shell.stdin.close()


class Child:
    """A program that runs until `end`, or until this process ends in whatever way.

    It has a session of its own, so that Ctrl-C on our terminal does not reach it before we end it in order.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], directory: Path, holding: Sequence[int] = ()
    ) -> None:
        """Start it in `directory`, where the file `output` takes what it prints; it keeps the files `holding` open.

        Raises `ConfigurationError` if it cannot be run.
        """
        output = os.open(directory / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - an installed program, no shell
                command,
                env=environment,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                umask=0o077,
                pass_fds=holding,
            )
        except OSError as error:
            raise ConfigurationError(f"cannot run {command[0]}: {error.strerror}. Install RabbitMQ again.") from error
        finally:
            os.close(output)
        self._watchdog = Watchdog(_END, str(self._process.pid))

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process.poll() is not None

    def wait(self) -> None:
        """Wait until it ends by itself."""
        self._process.wait()

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it as asked, by force if that takes too long."""
        self._process.send_signal(how)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._watchdog.call_off()


def _can_bind(port: int, *, beside_others: bool) -> bool:
    """`beside_others` that do not listen: connections of a node that has just ended, or whoever keeps the port."""
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(beside_others))
        try:
            candidate.bind((HOST, port))
        except OSError:
            return False
    return True
