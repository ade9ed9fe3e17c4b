"""The names and files that an operator gives, in a command or in `agent.toml`, looked at before anything is begun.

What is wrong with them is a mistake in what was said: no damage to the agent's own state, and no partner's fault.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from agents.adapters import files
from agents.errors import ConfigurationError, StateError, UnusableFileError
from protocol.errors import InvitationError, NameSyntaxError, RequestError
from protocol.names import DnsName, OrganisationName

Name = TypeVar("Name", OrganisationName, DnsName)


def named(option: str, text: str, kind: type[Name]) -> Name:
    """The name that was given by `option`. Raises `ConfigurationError`."""
    try:
        return kind(text)
    except NameSyntaxError as error:
        raise ConfigurationError(f"{option} '{text}': wanted {error.problems[0].allowed}.") from None


def readable(name: str, path: Path) -> Path:
    """`path`, if this user can read the file. `name` says who named it. Raises `ConfigurationError`."""
    files.given(name, path)
    if not os.access(path, os.R_OK):
        raise ConfigurationError(f"{name} {path}: this user may not read it. Give it to the user that runs the agent.")
    return path


def shared_secret(name: str, path: Path) -> Path:
    """As `readable`, for a password or key of a broker: refused where every user of this machine can use it.

    It may be shared with a group, as `agent broker certify` does, and be a link, as where something else puts secrets
    in place.
    """
    mode = readable(name, path).stat().st_mode
    if mode & stat.S_IRWXO:
        raise ConfigurationError(
            f"{name} {path}: it has mode {stat.S_IMODE(mode):04o}, every user of this machine can use it. "
            f"If nobody has, run: chmod 600 '{path}', or have whatever mounts it give it to this user with mode 0440. "
            "Else have it replaced first."
        )
    return path


def private(name: str, path: Path) -> bytes:
    """What is in a file that only this user may read. Raises `ConfigurationError`."""
    try:
        return files.read_private(files.given(name, path))
    except StateError as error:
        raise ConfigurationError(f"{name}: {error}") from error


def foreign(name: str, path: Path) -> bytes:
    """What is in a file that somebody else made. Raises `ConfigurationError`."""
    try:
        return files.read_foreign(files.given(name, path))
    except StateError as error:
        raise ConfigurationError(f"{name}: {error}") from error


@contextmanager
def judged(name: str) -> Iterator[None]:
    """Turn the refusal of a request or an invitation that was given by `name` into an `UnusableFileError`."""
    try:
        yield
    except (InvitationError, RequestError) as error:
        raise UnusableFileError(name, error.problems) from error
