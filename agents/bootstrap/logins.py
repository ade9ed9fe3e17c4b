"""The files with which an agent enters its broker, looked at before they are needed.

They may be shared with a group, as `agent broker certify` shares them, and be links, as they are where something else
puts secrets in place. Left out: what is in them, which is read anew for every connection.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from agents.adapters import files
from agents.errors import ConfigurationError


def readable(name: str, path: Path) -> Path:
    """`path`, if this user can read the file. `name` says who named it. Raises `ConfigurationError`."""
    files.given(name, path)
    if not os.access(path, os.R_OK):
        raise ConfigurationError(f"{name} {path}: this user may not read it. Give it to the user that runs the agent.")
    return path


def secret(name: str, path: Path) -> Path:
    """As `readable`, for a password or a key: refused where every user of this machine can read or change it."""
    mode = readable(name, path).stat().st_mode
    if mode & stat.S_IRWXO:
        raise ConfigurationError(
            f"{name} {path}: it has mode {stat.S_IMODE(mode):04o}, every user of this machine can use it. "
            f"If nobody has, run: chmod 600 '{path}'. Else have it replaced first."
        )
    return path
