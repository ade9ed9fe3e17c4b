"""RabbitMQ in a container, with the behaviour of `agents.adapters.broker.PrivateBroker`, for machines with Docker only.

The container publishes one loopback port and is removed when it is stopped and when this process ends in any way.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from agents.adapters.broker.host import HOST, Watchdog, answers_amqp, free_ports, last_words
from agents.adapters.broker.node import POLL_SECONDS, START_SECONDS, run_ctl
from agents.errors import UnreachableError
from protocol.topology import BROKER_SETTINGS

IMAGE = "rabbitmq:4-management"

COMMAND_SECONDS = 300.0
"""Longest run of one Docker command: the first one may have to download the image."""

WATCH_SECONDS = 1.0
"""How often `wait` looks."""

_HOME = "/var/lib/rabbitmq"
"""The image gives what lies here to its user rabbitmq before the node starts, so files can be closed to others."""

_CONFIGURATION = "".join(
    f"{key} = {value}\n" for key, value in {"load_definitions": f"{_HOME}/definitions.json", **BROKER_SETTINGS}.items()
)


class DockerBroker:
    """One container; it keeps its messages between starts, until `stop`."""

    def __init__(
        self, definitions: Mapping[str, Any], docker: Path, port: int | None = None, image: str = IMAGE
    ) -> None:
        self._definitions = definitions
        self._docker = str(docker)
        self._image = image
        self._container: str | None = None
        self._watchdog: Watchdog | None = None
        self.port = port or free_ports(1)[0]
        """Where the broker listens on the loopback interface, the same after a restart."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the container and wait until the broker greets a client.

        Raises `UnreachableError`, with the end of its log, if it does not. Nothing is left running then.
        """
        try:
            self._container = self._container or self._create()
            self._run("start", self._container)
            self._wait_until_ready(self._container)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Remove the container and what it kept. Does nothing if there is none."""
        if self._container:
            self._run("rm", "--force", "--volumes", self._container)
            self._container = None
        if self._watchdog:
            self._watchdog.call_off()
            self._watchdog = None

    def restart(self) -> None:
        """End the broker in order and start it again, on the same port with the same messages."""
        self._run("stop", self._running)
        self.start()

    def kill(self) -> None:
        """End the broker as a power failure would (SIGKILL). `start` brings it back."""
        self._run("kill", self._running)

    def wait(self) -> None:
        """Wait until the broker ends, which it should not: raises `UnreachableError` with its last words."""
        container = self._running
        while self._run("inspect", "--format", "{{.State.Running}}", container).strip() == b"true":
            time.sleep(WATCH_SECONDS)
        raise UnreachableError(f"the RabbitMQ container has ended. Its last words:\n{self._log(container)}")

    def ctl(self, *arguments: str, given: str = "") -> str:
        """Run `rabbitmqctl` in the container, with `given` as its standard input, and return what it printed.

        Raises `UnreachableError` if it fails, with what it said.
        """
        return run_ctl([self._docker, "exec", "--interactive", self._running, "rabbitmqctl"], arguments, given)

    @property
    def _running(self) -> str:
        if not self._container:
            raise UnreachableError("the broker's container is not running: start it first")
        return self._container

    def _create(self) -> str:
        container = self._run("create", "--publish", f"{HOST}:{self.port}:5672", self._image).decode().split()[-1]
        self._watchdog = Watchdog('"$1" rm --force --volumes "$2"', self._docker, container)
        self._copy(container, "/etc/rabbitmq/conf.d", "90-apostille.conf", _CONFIGURATION, mode=0o644)
        self._copy(container, _HOME, "definitions.json", json.dumps(self._definitions), mode=0o600)
        return container

    def _copy(self, container: str, folder: str, name: str, text: str, mode: int) -> None:
        archive, entry, data = io.BytesIO(), tarfile.TarInfo(name), text.encode()
        entry.size, entry.mode = len(data), mode
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.addfile(entry, io.BytesIO(data))
        self._run("cp", "-", f"{container}:{folder}", given=archive.getvalue())

    def _wait_until_ready(self, container: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not answers_amqp(self.port):
            if self._run("inspect", "--format", "{{.State.Running}}", container).strip() != b"true":
                raise UnreachableError(
                    f"the RabbitMQ container ended at its start. Its last words:\n{self._log(container)}"
                )
            if time.monotonic() > deadline:
                late = f"the RabbitMQ container did not come up in {START_SECONDS:.0f} s"
                raise UnreachableError(f"{late}. Its last words:\n{self._log(container)}")
            time.sleep(POLL_SECONDS)

    def _log(self, container: str) -> str:
        return last_words(self._run("logs", container).decode(errors="replace"))

    def _run(self, *arguments: str, given: bytes = b"") -> bytes:
        command = [self._docker, *arguments]
        try:
            done = subprocess.run(  # noqa: S603 - the program that the search path names, no shell
                command, input=given, capture_output=True, timeout=COMMAND_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnreachableError(
                f"docker {arguments[0]} did not run: {error}. Start Docker and try again."
            ) from error
        if done.returncode:
            raise UnreachableError(f"docker {arguments[0]} failed: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout + done.stderr
