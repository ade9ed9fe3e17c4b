"""A RabbitMQ node of our own, in one directory, for demonstrations and tests.

It listens on loopback ports only, knows no users but those of its definitions, and leaves nothing running: not when it
is stopped, and not when this process ends in any other way. In production an operator runs the broker.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from agents.adapters.broker_host import HOST, Watchdog, answers_amqp, free_ports
from agents.errors import ConfigurationError, StateError, UnreachableError
from protocol.topology import MESSAGE_BYTES_MAX

START_SECONDS = 120.0
"""Longest wait for the node: it takes 6 s on two idle cores, many times that on a busy machine."""

STOP_SECONDS = 30.0
"""Longest wait for an orderly end before the node is killed."""

CTL_SECONDS = 60.0
"""Longest run of one administration command."""

CTL_PORTS = (32_000, 32_700)
"""Where administration commands listen for the node; each takes the first free one."""

LOG_LINES = 25
"""How much of the node's log an error message quotes."""

_POLL_SECONDS = 0.05
_NODE = "apostille@localhost"

_END_BOTH = """
kill -TERM "$1"
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do kill -0 "$1" || break; sleep 0.3; done
kill -KILL "$1"
kill -TERM "$2"
"""
"""The watchdog's command: end the node $1, then the port mapper $2 (epmd), which the node needs until its end."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Where the programs are: the folder of `rabbitmq-server` and `rabbitmqctl`, and Erlang's port mapper."""

    folder: Path
    epmd: Path


class PrivateBroker:
    """One node in `directory`, which is made (mode 0700) if it is not there; it keeps its messages between starts."""

    def __init__(self, directory: Path, definitions: Mapping[str, Any], installation: Installation) -> None:
        self.directory = directory.absolute()
        self._definitions = definitions
        self._installation = installation
        self._epmd: subprocess.Popen[bytes] | None = None
        self._node: subprocess.Popen[bytes] | None = None
        self._watchdog: Watchdog | None = None
        self.port, self._distribution_port, self._epmd_port = free_ports(3)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def address(self) -> str:
        """Host and port of the node, as an AMQP URL holds them."""
        return f"{HOST}:{self.port}"

    @property
    def log(self) -> Path:
        """The node's log file."""
        return self.directory / "log" / f"{_NODE}.log"

    def start(self) -> None:
        """Start the node and wait until it greets a client.

        Raises `UnreachableError`, with the end of the node's log, if it does not, and `ConfigurationError` if it cannot
        be run at all. Nothing is left running then.
        """
        try:
            self._write_files()
            self._epmd = self._epmd or self._run(
                self._installation.epmd, "-port", str(self._epmd_port), "-address", HOST
            )
            self._node = self._run(self._installation.folder / "rabbitmq-server")
            self._watchdog = Watchdog(_END_BOTH, [str(self._node.pid), str(self._epmd.pid)])
            self._wait_until_ready(self._node)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the node in order, then its port mapper. Does nothing if neither runs."""
        self._end_node(signal.SIGTERM)
        if self._epmd:
            _end(self._epmd, signal.SIGTERM)
            self._epmd = None

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
        command = [str(self._installation.folder / "rabbitmqctl"), "--quiet", *arguments]
        try:
            done = subprocess.run(  # noqa: S603 - a program of the installation, no shell
                command,
                env=self._environment(),
                cwd=self.directory,
                input=given.encode(),
                capture_output=True,
                timeout=CTL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise UnreachableError(f"rabbitmqctl {arguments[0]} took more than {CTL_SECONDS:.0f} s") from error
        if done.returncode:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()
            raise UnreachableError(f"rabbitmqctl {' '.join(arguments)} failed ({done.returncode}): {said}")
        return done.stdout.decode()

    def _end_node(self, how: signal.Signals) -> None:
        if self._watchdog:
            self._watchdog.call_off()
            self._watchdog = None
        if self._node:
            _end(self._node, how)
            self._node = None

    def _run(self, program: Path, *arguments: str) -> subprocess.Popen[bytes]:
        """Run a program in a session of its own, so that Ctrl-C on our terminal does not reach it before we end it."""
        output = os.open(self.directory / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return subprocess.Popen(  # noqa: S603 - a program of the installation, no shell
                [str(program), *arguments],
                env=self._environment(),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                umask=0o077,
            )
        except OSError as error:
            raise ConfigurationError(f"cannot run {program}: {error.strerror}. Install RabbitMQ and Erlang.") from error
        finally:
            os.close(output)

    def _wait_until_ready(self, node: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not answers_amqp(self.port):
            if node.poll() is not None:
                raise UnreachableError(
                    f"the RabbitMQ node in {self.directory} ended at its start.\n{self._last_words()}"
                )
            if time.monotonic() > deadline:
                waited = f"did not come up in {START_SECONDS:.0f} s"
                raise UnreachableError(f"the RabbitMQ node in {self.directory} {waited}.\n{self._last_words()}")
            time.sleep(_POLL_SECONDS)

    def _last_words(self) -> str:
        lines: list[str] = []
        for path in (self.directory / "output", self.log):
            if path.exists():
                lines += path.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return "\n".join(lines) or "It wrote no log."

    def _environment(self) -> dict[str, str]:
        """Everything that the package's scripts would otherwise take from the machine's own RabbitMQ."""
        here = self.directory
        return {
            "PATH": os.pathsep.join([str(self._installation.epmd.parent), os.defpath]),
            "LANG": "C.UTF-8",
            "HOME": str(here / "home"),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_CRASH_DUMP_SECONDS": "0",
            "RABBITMQ_NODENAME": _NODE,
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CTL_DIST_PORT_MIN": str(CTL_PORTS[0]),
            "RABBITMQ_CTL_DIST_PORT_MAX": str(CTL_PORTS[1]),
            "RABBITMQ_CONF_ENV_FILE": str(here / "env.conf"),
            "RABBITMQ_CONFIG_FILE": str(here / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(here / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(here / "enabled_plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(here / "generated"),
            "RABBITMQ_SCHEMA_DIR": str(here / "schema"),
            "RABBITMQ_MNESIA_BASE": str(here / "data"),
            "RABBITMQ_LOG_BASE": str(here / "log"),
            "RABBITMQ_PID_FILE": str(here / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1",
            # Has the script replace itself by the node: without a shell in between, our child is the node.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _write_files(self) -> None:
        for folder in ("", "home", "generated", "schema", "data", "log"):
            (self.directory / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.directory.stat().st_mode & 0o077:
            raise StateError(f"{self.directory} is open to other users: choose a new directory, or chmod 700 this one")
        settings = {
            "listeners.tcp.local": self.address,
            "load_definitions": str(self.directory / "definitions.json"),
            "max_message_size": str(MESSAGE_BYTES_MAX),
        }
        self._write("rabbitmq.conf", "".join(f"{key} = {value}\n" for key, value in settings.items()))
        self._write("definitions.json", json.dumps(self._definitions, indent=1))
        self._write("enabled_plugins", "[].\n")
        self._write("advanced.config", "[].\n")
        self._write("env.conf", "")
        if not (self.directory / "home" / ".erlang.cookie").exists():
            self._write("home/.erlang.cookie", secrets.token_hex(32), mode=0o400)

    def _write(self, name: str, text: str, mode: int = 0o600) -> None:
        handle = os.open(self.directory / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)


def _end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """End a child: as asked, and by force if that takes too long."""
    process.send_signal(how)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
