"""Which RabbitMQ a demonstration or a test can use here: one given by URL, one installed, or one in Docker."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agents.adapters.broker.given import GivenUrl
from agents.adapters.broker.node import Installation

URL_VARIABLES = ("APOSTILLE_AMQP_URL", "AMQP_URL")
"""Environment variables that may hold the URL of a broker, in the order in which they are looked at."""

LIBRARY_FOLDERS = (
    "usr/lib/rabbitmq/bin",
    "usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin",
    "opt/rabbitmq/sbin",
    "opt/homebrew/opt/rabbitmq/sbin",
    "usr/local/opt/rabbitmq/sbin",
)
"""Where packages keep the server's own programs; those on the search path switch to the system's user rabbitmq."""

ENGINE_SECONDS = 15.0
"""Longest wait for the Docker engine to say that it is there."""

Which = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class LocalNode:
    """RabbitMQ is installed here and can run as a private node."""

    installation: Installation

    def __str__(self) -> str:
        return f"a private node of the RabbitMQ in {self.installation.folder}"


@dataclass(frozen=True, slots=True)
class Docker:
    """A Docker engine answers; `program` is its command."""

    program: Path

    def __str__(self) -> str:
        return f"RabbitMQ in a container ({self.program})"


@dataclass(frozen=True, slots=True)
class Nothing:
    """No broker can be had."""

    def __str__(self) -> str:
        return (
            "no RabbitMQ: install it (Debian, Ubuntu: apt-get install rabbitmq-server; macOS: brew install rabbitmq),"
            " or start Docker, or set APOSTILLE_AMQP_URL to the URL of a running broker"
        )


BrokerChoice = GivenUrl | LocalNode | Docker | Nothing


def find_broker(environ: Mapping[str, str], which: Which = shutil.which, root: Path = Path("/")) -> BrokerChoice:
    """The first of: a URL in `environ`, an installed RabbitMQ, a Docker engine that answers. Its `str` explains it."""
    for variable in URL_VARIABLES:
        if url := environ.get(variable):
            return GivenUrl(url)
    if installation := _find_installation(which, root):
        return LocalNode(installation)
    docker = which("docker")
    return Docker(Path(docker)) if docker and _engine_answers(docker) else Nothing()


def _find_installation(which: Which, root: Path) -> Installation | None:
    epmd = which("epmd")
    folders = (folder for pattern in LIBRARY_FOLDERS for folder in sorted(root.glob(pattern), reverse=True))
    usable = (folder for folder in folders if _holds(folder, ("rabbitmq-server", "rabbitmqctl")))
    folder = next(usable, None)
    return Installation(folder, Path(epmd)) if folder and epmd else None


def _holds(folder: Path, programs: Iterable[str]) -> bool:
    return all((folder / program).is_file() for program in programs)


def _engine_answers(docker: str) -> bool:
    try:
        asked = subprocess.run(  # noqa: S603 - the program that the search path names, no shell
            [docker, "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            timeout=ENGINE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0
