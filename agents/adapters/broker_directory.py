"""The directory of a private RabbitMQ node: its files, and the environment that keeps the node inside it.

The node listens on loopback ports only, knows no users but those of its definitions, and shares neither configuration
nor port mapper nor cookie with a RabbitMQ that the machine may run.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.adapters.broker_host import HOST
from agents.errors import StateError
from protocol.topology import MESSAGE_BYTES_MAX

NODE = "apostille@localhost"

CTL_PORTS = (32_000, 32_700)
"""Where administration commands listen for the node; each takes the first free one."""

LOG_LINES = 25
"""How much of each log an error message quotes."""

_OTHER_USERS = 0o077

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

    def write(self, definitions: Mapping[str, Any]) -> None:
        """Make the directory (mode 0700) and the files that the node reads at its start, readable by us alone.

        Raises `StateError` if the directory exists and other users can look into it.
        """
        for folder in ("", "home", "generated", "schema", "data", "log"):
            (self.path / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.path.stat().st_mode & _OTHER_USERS:
            raise StateError(
                f"{self.path} is open to other users: choose a new directory, or run chmod 700 on this one"
            )
        settings = {
            "listeners.tcp.local": f"{HOST}:{self.ports.amqp}",
            "load_definitions": self.path / "definitions.json",
            "max_message_size": MESSAGE_BYTES_MAX,
        }
        self._write("rabbitmq.conf", "".join(f"{key} = {value}\n" for key, value in settings.items()))
        self._write("definitions.json", json.dumps(definitions, indent=1))
        self._write("enabled_plugins", "[].\n")
        self._write("advanced.config", "[].\n")
        self._write("env.conf", "")
        if not (self.path / "home" / ".erlang.cookie").exists():
            self._write("home/.erlang.cookie", secrets.token_hex(32), mode=0o400)

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
        """The end of what the node printed and logged."""
        lines: list[str] = []
        for path in (self.path / "output", self.path / "log" / f"{NODE}.log"):
            if path.exists():
                lines += path.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return "\n".join(lines) or "It left no log."

    def _write(self, name: str, text: str, mode: int = 0o600) -> None:
        handle = os.open(self.path / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
