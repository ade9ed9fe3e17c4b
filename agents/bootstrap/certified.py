"""Everything that a broker over TLS is started from, and the logins of its organisations, in one directory."""

from __future__ import annotations

import grp
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agents.adapters.broker.certification import certify, open_authority
from agents.adapters.broker.settings import DEFINITIONS, ENABLED_PLUGINS, PLUGINS, PORT, SETTINGS, certificate_settings
from agents.adapters.clock import SystemClock
from agents.adapters.entropy import SystemEntropy
from agents.adapters.files import share_file
from agents.bootstrap.broker import Partnership, broker_definitions
from agents.bootstrap.given import named
from agents.core.profile import broker_login, channel_server
from agents.errors import ConfigurationError
from protocol.names import DnsName

AUTHORITY, BROKER = "authority", "broker"
"""Folders beside those of the organisations."""


@dataclass(frozen=True, slots=True)
class Readers:
    """Who may read besides the owner, as group ids; None: nobody."""

    broker: int | None = None
    """The folder of the broker."""
    logins: int | None = None
    """The folders of the organisations."""


@dataclass(frozen=True, slots=True)
class Certified:
    """Folders with a certificate, and which of these were made now; what the broker is started from, and where it will
    be reached."""

    directory: Path
    holders: tuple[str, ...]
    made: tuple[str, ...]
    settings: Path
    plugins: Path
    url: str


def parse_group(text: str) -> int | None:
    """The group with a name or number; None for an empty text. Raises `ConfigurationError`."""
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        return grp.getgrnam(text).gr_gid if text else None
    except KeyError:
        raise ConfigurationError(f"group '{text}': this machine has no such group; give its name or number") from None


def certify_broker(directory: Path, partnership: Partnership, host: str, readers: Readers) -> Certified:
    """Make in `directory` what is missing; may be done again at any time, also for more organisations.

    `host` is the name under which the broker is reached. Raises `ConfigurationError` for a name that cannot be used,
    `StateError` if the disk refuses or the broker's CA is damaged.
    """
    name, place = named("--host", host, DnsName), directory.absolute()
    logins = {organisation: partial(broker_login, organisation) for organisation in partnership.organisations()}
    if taken := logins.keys() & {AUTHORITY, BROKER}:
        raise ConfigurationError(f"an organisation cannot be called '{taken.pop()}' here: a folder is called so")
    now, entropy = SystemClock().now(), SystemEntropy()
    authority = open_authority(place / AUTHORITY, now, entropy)
    made = (
        [BROKER]
        if certify(place / BROKER, partial(channel_server, name), authority, now, entropy, readers.broker)
        else []
    )
    _write_settings(place / BROKER, partnership, readers.broker)
    for holder, spec_of in logins.items():
        if certify(place / holder, spec_of, authority, now, entropy, readers.logins):
            made.append(holder)
    settings, plugins = place / BROKER / SETTINGS, place / BROKER / PLUGINS
    return Certified(place, (BROKER, *logins), tuple(made), settings, plugins, f"amqps://{name}:{PORT}")


def _write_settings(directory: Path, partnership: Partnership, group: int | None) -> None:
    texts = {
        DEFINITIONS: json.dumps(broker_definitions(partnership, None), indent=1, sort_keys=True),
        PLUGINS: ENABLED_PLUGINS,
        SETTINGS: certificate_settings(directory),
    }
    for name, text in texts.items():
        share_file(directory / name, text.encode(), group)
