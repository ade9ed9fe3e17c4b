"""What a broker of our own needs of this machine: free ports, a sign that it is ready, and an end when we end.

Loopback only. The watchdog is a shell that waits for its input to close, which the kernel does for us however this
process ends, also when it is killed.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Iterable
from secrets import SystemRandom

from agents.errors import UnreachableError

HOST = "127.0.0.1"

PORTS = range(20_000, 32_000)
"""Below the range from which Linux picks local ports of connections, so that a node finds them free
when it restarts."""

PROBE_SECONDS = 2.0
"""Longest wait for one answer of a broker on this machine."""

_AMQP_HEADER = b"AMQP\x00\x00\x09\x01"
_CONNECTION_START = b"\x00\x0a\x00\x0a"


def free_ports(count: int) -> tuple[int, ...]:
    """Ports on the loopback interface that nobody listens on now. Raises `UnreachableError` if there are too few."""
    found: list[int] = []
    for port in SystemRandom().sample(PORTS, len(PORTS)):
        if _is_free(port):
            found.append(port)
        if len(found) == count:
            return tuple(found)
    raise UnreachableError(
        f"no {count} free ports between {PORTS.start} and {PORTS.stop} on {HOST}: end what uses them"
    )


def answers_amqp(port: int) -> bool:
    """Whether a broker on this machine greets as AMQP 0-9-1 demands (section 2.2.4): Connection.Start on channel zero."""
    try:
        with socket.create_connection((HOST, port), PROBE_SECONDS) as connection:
            connection.sendall(_AMQP_HEADER)
            greeting = connection.recv(11, socket.MSG_WAITALL)
    except OSError:
        return False
    return greeting[:3] == b"\x01\x00\x00" and greeting[7:] == _CONNECTION_START


class Watchdog:
    """Runs a shell command once this process has ended, unless it is called off before."""

    def __init__(self, command: str, arguments: Iterable[str]) -> None:
        script = f"read -r _\n{command}"
        self._shell = subprocess.Popen(  # noqa: S603 - the script is ours, what varies is in arguments
            ["/bin/sh", "-c", script, "watchdog", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def call_off(self) -> None:
        """End the watch; the command will not run. May be called again."""
        self._shell.kill()
        self._shell.wait()
        if self._shell.stdin:
            with contextlib.suppress(OSError):
                self._shell.stdin.close()


def _is_free(port: int) -> bool:
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((HOST, port))
        except OSError:
            return False
    return True
