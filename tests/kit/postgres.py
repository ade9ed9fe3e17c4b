"""A private PostgreSQL cluster in a directory, for tests: loopback only, nothing flushed to disk, gone afterwards.

PostgreSQL refuses to run as root; then its programs run as an unprivileged user of this machine.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from kit.ports import KeptPort

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 300
UNPRIVILEGED = ("postgres", "nobody")


class NoServerError(Exception):
    """No PostgreSQL server can run on this machine; says why."""


@dataclass(frozen=True)
class Cluster:
    """A running cluster; `base` is its directory."""

    base: Path
    port: int
    programs: Path

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://apostille@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str, template: str = "template0") -> str:
        """A new database like `template` (empty by default); returns its URL."""
        self.run_sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def run_sql(self, statement: str, database: str = "postgres") -> None:
        address = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "apostille", "-d", database)
        subprocess.run([self.programs / "psql", *address, "-q", "-c", statement], check=True, capture_output=True)


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Start a cluster and stop it. Raises `NoServerError` where none can run, `RuntimeError` if one does not start."""
    programs = _programs()
    user = _user()
    base = Path(mkdtemp(prefix="pg-"))
    if user:
        shutil.chown(base, user)
    try:
        _make(programs, base, user)
        with KeptPort() as port:
            server = _start(programs, base, port.number, user)
            try:
                _await_ready(programs, port.number, server, base)
                yield Cluster(base, port.number, programs)
            finally:
                _stop(server)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _programs() -> Path:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    candidates = [*versions, *([Path(on_path).resolve().parent] if on_path else [])]
    for directory in candidates:
        if all((directory / name).exists() for name in ("initdb", "postgres", "psql", "pg_isready")):
            return directory
    raise NoServerError("no PostgreSQL server programs (initdb, postgres) in /usr/lib/postgresql/*/bin or on PATH")


def _user() -> str | None:
    """Whom to run the server as: None for ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in UNPRIVILEGED:
        if name in known:
            return name
    raise NoServerError(f"PostgreSQL does not run as root, and none of {UNPRIVILEGED} is a user here")


def _make(programs: Path, base: Path, user: str | None) -> None:
    options = ("-U", "apostille", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
    command = [programs / "initdb", "-D", base / "data", *options]
    done = subprocess.run(command, user=user, cwd=base, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"initdb failed: {done.stderr.strip()}")


def _start(programs: Path, base: Path, port: int, user: str | None) -> subprocess.Popen[bytes]:
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": base,
        "fsync": "off",
        "shared_buffers": "32MB",
        "max_connections": 60,
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with (base / "log").open("wb") as log:
        return subprocess.Popen([programs / "postgres", "-D", base / "data", *options], user=user, cwd=base, stderr=log)


def _await_ready(programs: Path, port: int, server: subprocess.Popen[bytes], base: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    asked = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(asked, check=False).returncode:
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start: {(base / 'log').read_text()[-2000:]}")
        time.sleep(0.05)


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGINT)  # fast shutdown: sessions are cut, the cluster is closed in order
    try:
        server.wait(START_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
