"""The container engine of this machine, if one answers, and Compose projects on it that leave nothing behind.

A build reaches package registries as this machine does: it uses the host's network. Compose is version 2 where the
engine's command has it, else docker-compose 1.29.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
AGENT_IMAGE = "apostille-agent:0.1.0"
BASE_IMAGES = ("python:3.13-slim", "rabbitmq:4-management")

COMMAND_SECONDS = 900.0
"""Longest run of one command: the first build installs some thirty packages."""


def why_not() -> str | None:
    """What keeps tests of containers from running here; None if nothing does."""
    docker = shutil.which("docker")
    if docker is None or _run([docker, "version"]).returncode:
        return "no container engine answers here"
    if not _compose():
        return "neither docker compose nor docker-compose is installed here"
    missing = [image for image in BASE_IMAGES if not has_image(image)]
    return f"no image {', '.join(missing)} here, and none can be loaded" if missing else None


def require_engine() -> None:
    """Skips where containers cannot be tested, and says why."""
    if reason := why_not():
        pytest.skip(reason)


def docker(*arguments: str) -> str:
    """What a command of the engine prints; fails with what it said if it fails."""
    return _expect_success(_run(["docker", *arguments]))


def inspect(kind: str, name: str) -> dict[str, Any]:
    """Everything that the engine knows of an image, container or network."""
    return json.loads(docker(kind, "inspect", name))[0]


class Compose:
    """The project of docker-compose.yml under a name of its own."""

    def __init__(self) -> None:
        self.name = f"apostille-test-{uuid.uuid4().hex[:8]}"
        self.environment = {**build_environment(), "COMPOSE_PROJECT_NAME": self.name}

    def __call__(self, *arguments: str, given: str | None = None) -> str:
        """What a command of Compose prints; fails with what it said if it fails."""
        return _expect_success(self.attempt(*arguments, given=given))

    def attempt(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """A command of Compose that may fail."""
        return _run([*_compose(), *arguments], self.environment, given)

    def exec(self, service: str, *command: str, given: str | None = None) -> str:
        """What a command in the container of a service prints."""
        return self("exec", "-T", service, *command, given=given)

    def agent(self, service: str, *arguments: str) -> Any:
        """The result of an `agent` command in the container of a service."""
        return json.loads(self.exec(service, "agent", *arguments, "--json"))

    def container(self, service: str) -> dict[str, Any]:
        """What the engine knows of the container of a service."""
        return inspect("container", self("ps", "--all", "-q", service).strip() or service)

    def health(self, service: str) -> str:
        """What the health check of a service says."""
        return self.container(service)["State"].get("Health", {}).get("Status", "none")


@functools.cache
def build_image() -> None:
    """Build the image of the agents, once for a session."""
    Compose()("build")


def build_environment() -> dict[str, str]:
    """The environment in which images are built here: with the host's network, by whatever builder there is."""
    classic = {} if not _run(["docker", "buildx", "version"]).returncode else {"DOCKER_BUILDKIT": "0"}
    return {**os.environ, "BUILD_NETWORK": "host", "COMPOSE_DOCKER_CLI_BUILD": "0", **classic}


@functools.cache
def _compose() -> tuple[str, ...]:
    if shutil.which("docker") and not _run(["docker", "compose", "version"]).returncode:
        return ("docker", "compose")
    return ("docker-compose",) if shutil.which("docker-compose") else ()


def compose_command() -> str:
    """How Compose is called here."""
    return " ".join(_compose())


def has_image(image: str) -> bool:
    """Whether an image is here, loaded now if it was not."""
    return not _run(["docker", "image", "inspect", image]).returncode or not _run(["docker", "pull", image]).returncode


def _run(
    command: list[str], environment: dict[str, str] | None = None, given: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        input=given or "",
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )


def _expect_success(done: subprocess.CompletedProcess[str]) -> str:
    assert not done.returncode, f"{done.args}: exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout
