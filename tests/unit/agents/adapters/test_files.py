"""Durable, private files: modes, ownership, atomicity, and errors that say what to do. Root runs these tests too."""

import contextlib
import errno
import os
import resource
import shutil
import stat
import tempfile
from pathlib import Path

import pytest
from kit.crash import crash_points

from agents.adapters import files
from agents.errors import StateError

NOBODY = 65534


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def names_in(directory):
    return [path.name for path in directory.iterdir()]


@contextlib.contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def unprivileged():
    """Run as a user whom file modes bind, if the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_directory():
    """A directory that any user can reach."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


# --- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [files.write_file, files.create_file])
def test_a_file_is_private_whatever_the_umask(tmp_path, write):
    with umask(0):
        write(tmp_path / "key.pem", b"secret")
    assert mode(tmp_path / "key.pem") == 0o600
    assert files.read_private(tmp_path / "key.pem") == b"secret"


def test_a_file_is_replaced_with_nothing_left_beside_it(tmp_path):
    files.write_file(tmp_path / "x", b"old")
    files.write_file(tmp_path / "x", b"new")
    assert (tmp_path / "x").read_bytes() == b"new"
    assert names_in(tmp_path) == ["x"]


def test_a_created_file_replaces_nothing(tmp_path):
    files.create_file(tmp_path / "key.pem", b"first")
    with pytest.raises(StateError, match="does not overwrite"):
        files.create_file(tmp_path / "key.pem", b"second")
    assert (tmp_path / "key.pem").read_bytes() == b"first"
    assert names_in(tmp_path) == ["key.pem"]


def test_a_symbolic_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"untouched")
    (tmp_path / "x").symlink_to("elsewhere")
    files.write_file(tmp_path / "x", b"new")
    assert (tmp_path / "elsewhere").read_bytes() == b"untouched"
    assert not (tmp_path / "x").is_symlink()


@pytest.mark.parametrize("write", [files.write_file, files.create_file])
def test_a_write_that_fails_half_way_leaves_nothing(tmp_path, write):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(StateError, match=r"cannot (write|create)"):
            write(tmp_path / "x", b"n" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names_in(tmp_path) == []


def test_a_crash_at_any_point_leaves_the_old_content_or_the_new(tmp_path):
    path = tmp_path / "x"
    files.write_file(path, b"old")
    seen = {path.read_bytes() for _ in crash_points(lambda: files.write_file(path, b"new"))}
    assert b"old" in seen
    assert seen <= {b"old", b"new"}
    assert path.read_bytes() == b"new"


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.EROFS, "read-only"),
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "owner of its home"),
        (errno.EIO, "Check the disk"),
    ],
)
def test_every_failure_names_the_action_the_path_the_cause_and_the_remedy(tmp_path, code, advice):
    with pytest.raises(StateError) as caught, files.explained("write", tmp_path):
        raise OSError(code, os.strerror(code))
    for part in ("cannot write", str(tmp_path), os.strerror(code), advice):
        assert part in str(caught.value)


def test_an_error_without_a_number_is_explained_too(tmp_path):
    with pytest.raises(StateError, match="odd"), files.explained("write", tmp_path):
        raise OSError("odd")


def test_a_home_below_a_file_is_explained(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StateError, match="A part of the path is a file"):
        files.make_directory(tmp_path / "file" / "home")


def test_a_missing_file_is_explained(tmp_path):
    with pytest.raises(StateError, match="agent init"):
        files.read_private(tmp_path / "key.pem")


@pytest.mark.parametrize("write", [files.write_file, files.create_file, files.swap_link])
def test_a_directory_of_somebody_else_is_explained(open_directory, write):
    open_directory.chmod(0o555)
    with unprivileged(), pytest.raises(StateError, match="Run the agent as the owner of its home"):
        write(open_directory / "x", "target" if write is files.swap_link else b"data")


# --- directories -----------------------------------------------------------------------------------------------------


def test_directories_are_private_with_all_their_new_parents(tmp_path):
    with umask(0):
        files.make_directory(tmp_path / "a" / "b")
    assert mode(tmp_path / "a") == mode(tmp_path / "a" / "b") == 0o700


def test_a_private_directory_may_exist(tmp_path):
    files.make_directory(tmp_path / "a")
    files.make_directory(tmp_path / "a")


def test_a_directory_open_to_others_is_refused_with_the_command(tmp_path):
    (tmp_path / "a").mkdir(mode=0o700)
    (tmp_path / "a").chmod(0o750)
    with pytest.raises(StateError, match=f"chmod 700 '{tmp_path / 'a'}'"):
        files.make_directory(tmp_path / "a")


def test_a_file_is_no_directory(tmp_path):
    files.write_file(tmp_path / "a", b"")
    with pytest.raises(StateError, match="is not a directory"):
        files.make_directory(tmp_path / "a")


def test_a_directory_is_published_complete_and_takes_nobodys_place(tmp_path):
    with files.staging_directory(tmp_path / "x") as staging:
        files.create_file(staging / "one", b"1")
        files.publish_directory(staging, tmp_path / "x")
    with files.staging_directory(tmp_path / "x") as staging:
        files.create_file(staging / "two", b"2")
        with pytest.raises(StateError, match="does not overwrite"):
            files.publish_directory(staging, tmp_path / "x")
    assert names_in(tmp_path) == ["x"]
    assert names_in(tmp_path / "x") == ["one"]


def test_what_a_crash_left_in_staging_is_cleared(tmp_path):
    (tmp_path / ".new-x").mkdir(mode=0o755)
    (tmp_path / ".new-x" / "stale").write_bytes(b"")
    with files.staging_directory(tmp_path / "x") as staging:
        assert names_in(staging) == []
        assert mode(staging) == 0o700


# --- links -----------------------------------------------------------------------------------------------------------


def test_a_link_is_switched_in_one_step(tmp_path):
    files.swap_link(tmp_path / "current", "a")
    files.swap_link(tmp_path / "current", "b")
    assert (tmp_path / "current").readlink().name == "b"
    assert names_in(tmp_path) == ["current"]


def test_a_link_is_there_at_every_moment(tmp_path):
    files.swap_link(tmp_path / "current", "a")
    seen = {
        (tmp_path / "current").readlink().name for _ in crash_points(lambda: files.swap_link(tmp_path / "current", "b"))
    }
    assert "a" in seen
    assert seen <= {"a", "b"}


def test_a_directory_in_place_of_the_link_is_explained_and_kept(tmp_path):
    (tmp_path / "current").mkdir()
    with pytest.raises(StateError, match="cannot switch the link"):
        files.swap_link(tmp_path / "current", "a")
    assert names_in(tmp_path) == ["current"]


# --- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [0o640, 0o604, 0o620, 0o644, 0o660, 0o601])
def test_a_key_that_others_can_use_is_refused_with_the_command(tmp_path, wrong):
    path = tmp_path / "key.pem"
    files.write_file(path, b"secret")
    path.chmod(wrong)
    with pytest.raises(StateError, match=f"chmod 600 '{path}'") as caught:
        files.read_private(path)
    assert f"mode {wrong:04o}" in str(caught.value)


@pytest.mark.parametrize("fine", [0o600, 0o400])
def test_a_key_for_its_owner_alone_is_read(tmp_path, fine):
    files.write_file(tmp_path / "key.pem", b"secret")
    (tmp_path / "key.pem").chmod(fine)
    assert files.read_private(tmp_path / "key.pem") == b"secret"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_key_of_somebody_else_is_refused_even_to_root(tmp_path):
    files.write_file(tmp_path / "key.pem", b"secret")
    os.chown(tmp_path / "key.pem", NOBODY, -1)
    with pytest.raises(StateError, match=f"belongs to user {NOBODY}"):
        files.read_private(tmp_path / "key.pem")


def test_a_symbolic_link_is_not_followed_to_a_key(tmp_path):
    files.write_file(tmp_path / "real", b"secret")
    (tmp_path / "key.pem").symlink_to("real")
    with pytest.raises(StateError, match="symbolic link"):
        files.read_private(tmp_path / "key.pem")


def test_a_pipe_in_place_of_a_key_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "key.pem", 0o600)
    with pytest.raises(StateError, match="not a regular file"):
        files.read_private(tmp_path / "key.pem")


@pytest.mark.parametrize("read", [files.read_private, files.read_foreign])
def test_a_huge_file_is_not_read(tmp_path, read):
    files.write_file(tmp_path / "x", b"n" * files.FILE_MAX)
    assert len(read(tmp_path / "x")) == files.FILE_MAX
    files.write_file(tmp_path / "x", b"n" * (files.FILE_MAX + 1))
    with pytest.raises(StateError, match="larger than"):
        read(tmp_path / "x")


def test_a_file_of_somebody_else_may_be_read_on_request(tmp_path):
    (tmp_path / "theirs").write_bytes(b"data")
    (tmp_path / "theirs").chmod(0o644)
    assert files.read_foreign(tmp_path / "theirs") == b"data"


@pytest.mark.parametrize("mask", [0o077, 0])
def test_what_is_shared_is_for_one_group_whatever_the_umask(tmp_path, mask):
    directory, group = tmp_path / "a" / "shared", os.getegid()
    with umask(mask):
        for _ in range(2):
            files.share_directory(directory, group)
            files.share_file(directory / "file", b"data", group)
    assert (mode(directory), mode(directory / "file")) == (0o750, 0o640)
    assert {path.stat().st_gid for path in (directory, directory / "file")} == {group}
    assert names_in(directory) == ["file"]


def test_what_is_shared_with_nobody_is_private_though_it_was_open_before(tmp_path):
    tmp_path.chmod(0o755)
    files.share_directory(tmp_path, None)
    files.share_file(tmp_path / "file", b"data", None)
    assert (mode(tmp_path), mode(tmp_path / "file")) == (0o700, 0o600)


def test_a_group_that_we_may_not_give_to_is_explained_and_nothing_is_left(tmp_path):
    tmp_path.chmod(0o777)
    with unprivileged(), pytest.raises(StateError, match="cannot write"):
        files.share_file(tmp_path / "file", b"data", 0)
    assert names_in(tmp_path) == []
