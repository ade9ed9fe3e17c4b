"""The directory of a private RabbitMQ node: its files, and the environment that keeps the node inside it.

The node listens on loopback ports only, knows no users but those of its definitions, and shares neither configuration
nor port mapper nor cookie with a RabbitMQ that the machine may run.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.adapters.broker.host import HOST, last_words
from agents.adapters.files import explained, make_directory, write_file
from agents.errors import HomeBusyError
from protocol.topology import BROKER_SETTINGS

NODE = "apostille@localhost"

CTL_PORTS = (32_000, 32_700)
"""Where administration commands listen for the node; each takes the first free one."""

_ERLANG = "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false"
"""Loopback only, and no port mapper but the one that we run: one that Erlang starts would outlive us."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports of one node: for AMQP, between Erlang nodes, and of the port mapper that finds them."""

    amqp: int
    distribution: int
    epmd: int


@dataclass(frozen=True, slots=True)
class NodeDirectory:
    """One node's files under `path` (absolute)."""

    path: Path
    ports: Ports

    def lock(self) -> int:
        """Keep the directory, made if it is not there, for one node: until every process that holds the file closes it.

        The node holds it too, so that a second one cannot meet a first that is still on its way out. Raises
        `HomeBusyError`, or `StateError` if other users can look into the directory.
        """
        make_directory(self.path)
        with explained("open", self.path / "lock"):
            file = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(file)
            raise HomeBusyError(
                f"another node runs in {self.path}: end that one, or choose another directory"
            ) from error
        return file

    def write(self, definitions: Mapping[str, Any]) -> None:
        """Write the files that the node reads at its start, for our eyes only. Raises `StateError` if that fails."""
        for folder in ("home", "generated", "schema", "data", "log"):
            make_directory(self.path / folder)
        settings = {
            "listeners.tcp.local": f"{HOST}:{self.ports.amqp}",
            "load_definitions": self.path / "definitions.json",
            **BROKER_SETTINGS,
        }
        files = {
            "rabbitmq.conf": "".join(f"{key} = {value}\n" for key, value in settings.items()),
            "definitions.json": json.dumps(definitions, indent=1),
            "enabled_plugins": "[].\n",
            "advanced.config": "[].\n",
            "env.conf": "",
            "home/.erlang.cookie": secrets.token_hex(32),
        }
        for name, text in files.items():
            write_file(self.path / name, text.encode())

    def environment(self, erlang: Path) -> dict[str, str]:
        """What the package's scripts would otherwise take from the machine; `erlang` is the folder of its programs."""
        here = self.path
        return {
            "PATH": os.pathsep.join([str(erlang), os.defpath]),
            "LANG": "C.UTF-8",
            "HOME": str(here / "home"),
            "ERL_EPMD_PORT": str(self.ports.epmd),
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_CRASH_DUMP_SECONDS": "0",
            "RABBITMQ_NODENAME": NODE,
            "RABBITMQ_DIST_PORT": str(self.ports.distribution),
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
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{_ERLANG} +S 1:1",
            "RABBITMQ_CTL_ERL_ARGS": _ERLANG,
            # Has the script replace itself by the node: without a shell in between, our child is the node.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def last_words(self) -> str:
        """What matters of what the node printed and logged."""
        files = (self.path / "output", self.path / "log" / f"{NODE}.log")
        return last_words("".join(path.read_text(errors="replace") for path in files if path.exists()))
