"""Files that hold keys and certificates: written durably and whole, read only if nobody else has access to them.

A file has its final mode from its first moment on, and after `write_file` returns it survives a power failure. A reader
sees the old content or the new, never a part. Every failure of the operating system becomes a `StateError` that says
what to do. Everything of an agent is private, certificates too: one rule to check, and no key lies beside an exception
to it. What is made for others, who run under another name, is shared with one group.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from agents.errors import ConfigurationError, StateError

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700

SHARED_FILE_MODE = 0o640
SHARED_DIRECTORY_MODE = 0o750
"""What one group of users may read, and nobody else beside the owner."""

FILE_MAX = 1 << 20
"""Largest file that is read, in bytes: a certificate with its chain needs a tenth of it."""

_ADVICE = {
    errno.ENOENT: "Create it with `agent init`, or point --home at the right directory.",
    errno.EACCES: "Run the agent as the owner of its home, or give the home to this user (chown -R).",
    errno.EPERM: "Run the agent as the owner of its home, or give the home to this user (chown -R).",
    errno.EROFS: "The file system is read-only: mount it read-write, or use another --home.",
    errno.ENOSPC: "The disk is full: free some space and try again; nothing was changed.",
    errno.EDQUOT: "The disk quota is used up: free some space and try again; nothing was changed.",
    errno.ENOTDIR: "A part of the path is a file: move it out of the way, or use another --home.",
    errno.ELOOP: "A symbolic link stands where a file should: replace it by the file itself.",
    errno.EEXIST: "Move what is there out of the way first; the agent does not overwrite it.",
    errno.ENOTEMPTY: "Move what is there out of the way first; the agent does not overwrite it.",
}


@contextlib.contextmanager
def explained(action: str, path: Path) -> Iterator[None]:
    """Turn any `OSError` inside into a `StateError` that names the action, the path, the cause and the remedy."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "Check the disk and the permissions of the home.")
        raise StateError(f"cannot {action} {path}: {error.strerror or error}. {advice}") from error


def make_directory(path: Path) -> None:
    """Create a private directory and its missing parents, durably. One that exists must be private."""
    with explained("create the directory", path):
        missing = [one for one in (path, *path.parents) if not one.exists()]
        for one in reversed(missing):
            with contextlib.suppress(FileExistsError):
                one.mkdir(mode=DIRECTORY_MODE)
            _sync_directory(one.parent)
        _check_private(path.stat(), path, stat.S_ISDIR, "a directory", DIRECTORY_MODE)


def write_file(path: Path, data: bytes) -> None:
    """Put a private file in place, or replace it: all of it or nothing, and durably."""
    with explained("write", path):
        temporary = _written(path, data)
        temporary.replace(path)
        _sync_directory(path.parent)


def share_directory(path: Path, group: int | None) -> None:
    """Create a directory, or take over one of ours, that `group` may read; with None only we may. Durably."""
    with explained("create the directory", path):
        path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        if group is None:
            path.chmod(DIRECTORY_MODE)
        else:
            os.chown(path, -1, group)
            path.chmod(SHARED_DIRECTORY_MODE)
        _sync_directory(path.parent)


def share_file(path: Path, data: bytes, group: int | None) -> None:
    """As `write_file`, for a file that `group` may read too; with None only we may."""
    with explained("write", path):
        temporary = _written(path, data)
        try:
            if (
                group is not None
            ):  # while it has no name that anybody knows; a mode at its creation depends on the umask
                os.chown(temporary, -1, group)
                temporary.chmod(SHARED_FILE_MODE)
            temporary.replace(path)
        except OSError:
            temporary.unlink()
            raise
        _sync_directory(path.parent)


def create_file(path: Path, data: bytes) -> None:
    """Put a private file where there is none, durably. Raises `StateError` if there is one: keys are never replaced."""
    with explained("create", path):
        temporary = _written(path, data)
        try:
            os.link(temporary, path)  # unlike a rename, fails if the name is taken
        finally:
            temporary.unlink()
        _sync_directory(path.parent)


def create_files(directory: Path, contents: Mapping[Path, bytes]) -> None:
    """Put private files where there are none, by their paths below `directory`; directories are made as needed."""
    for path, data in contents.items():
        make_directory((directory / path).parent)
        create_file(directory / path, data)


def remove_file(path: Path) -> None:
    """Remove a file, durably; one that is not there is fine."""
    with explained("remove", path), contextlib.suppress(FileNotFoundError):
        path.unlink()
        _sync_directory(path.parent)


def publish_directory(complete: Path, path: Path) -> None:
    """Give a complete directory its final name, durably. Raises `StateError` if that name is taken."""
    with explained("put in place", path):
        _sync_directory(complete)
        complete.rename(path)
        _sync_directory(path.parent)


def move_contents(source: Path, target: Path, last: str) -> None:
    """Move everything in `source` to `target`, `last` at the end, durably. Can be repeated after a crash."""
    with explained("put in place", source):
        for path in sorted(source.iterdir(), key=lambda one: one.name == last):
            path.rename(target / path.name)
            _sync_directory(target)
        source.rmdir()


@contextlib.contextmanager
def staging_directory(path: Path) -> Iterator[Path]:
    """Lend an empty private directory beside `path`, to be completed and published there.

    What is left of it afterwards is removed, and what a crash left of it is removed the next time.
    """
    staging = path.with_name(f".new-{path.name}")
    with explained("clear", staging):
        if staging.exists():
            shutil.rmtree(staging)
    make_directory(staging)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def swap_link(link: Path, target: str) -> None:
    """Point a symbolic link somewhere else in one step, durably; a reader finds the old target or the new."""
    with explained("switch the link", link):
        temporary = _temporary(link)
        temporary.symlink_to(target)
        try:
            temporary.replace(link)
        except OSError:
            temporary.unlink()
            raise
        _sync_directory(link.parent)


def read_private(path: Path) -> bytes:
    """Read a file that only its owner, who runs this program, may read.

    Raises `StateError` if it is missing, larger than `FILE_MAX`, not a regular file, somebody else's, or open to
    others; it says which command repairs that.
    """
    with explained("read", path):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            _check_private(os.fstat(descriptor), path, stat.S_ISREG, "a regular file", FILE_MODE)
            return _bounded(file.read(FILE_MAX + 1), path)


def read_foreign(path: Path) -> bytes:
    """Read a file that somebody else made and may look after as he likes. Raises `StateError`."""
    with explained("read", path), path.open("rb") as file:
        return _bounded(file.read(FILE_MAX + 1), path)


def given(option: str, path: Path, exists: Callable[[Path], bool] = os.path.isfile) -> Path:
    """`path`, if what an operator named by `option` is there. Raises `ConfigurationError`."""
    if not exists(path):
        kind = "file" if exists is os.path.isfile else "directory"
        raise ConfigurationError(f"{option} {path}: there is no such {kind}, or this user may not see it.")
    return path


def _bounded(data: bytes, path: Path) -> bytes:
    if len(data) > FILE_MAX:
        raise StateError(f"{path} is larger than {FILE_MAX} bytes; no such file belongs here. Move it away.")
    return data


def _check_private(found: os.stat_result, path: Path, is_kind: Callable[[int], bool], kind: str, mode: int) -> None:
    if not is_kind(found.st_mode):
        raise StateError(f"{path} is not {kind}. Move it away and restore {kind} in its place.")
    if found.st_uid != os.geteuid():
        raise StateError(
            f"{path} belongs to user {found.st_uid}, this program runs as user {os.geteuid()}. "
            f"Run it as the owner, or: chown {os.geteuid()} '{path}'"
        )
    if found.st_mode & 0o077:
        raise StateError(
            f"{path} has mode {stat.S_IMODE(found.st_mode):04o}: other users can use it. Expected {mode:04o}. "
            f"If nobody has read it, run: chmod {mode:o} '{path}'. If a key may have been read, replace it."
        )


def _written(path: Path, data: bytes) -> Path:
    """A private, complete and durable temporary file beside `path`."""
    temporary = _temporary(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        temporary.unlink()
        raise
    return temporary


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}")


def _sync_directory(path: Path) -> None:
    """Make the names in a directory durable: fsync of a file says nothing about its name."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
