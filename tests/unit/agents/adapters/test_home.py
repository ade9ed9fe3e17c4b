"""A home: made all or nothing, and used by one daemon at a time, whoever looks."""

import fcntl
import os
import subprocess
import sys

import pytest
from kit.crash import crash_points

from agents.adapters import files, home
from agents.adapters.home import HomeLock, finish_home, new_home
from agents.errors import ConfigurationError, HomeBusyError, StateError

PARTS = {"ca/key.pem", "identity/key.pem", "agent.toml", "ledger.sqlite"}


def fill(staging, content=b"new"):
    for name in PARTS:
        files.make_directory((staging / name).parent)
        files.create_file(staging / name, content)


def make(path):
    with new_home(path, "agent.toml") as staging:
        fill(staging)


def parts_of(path):
    found = (str(one.relative_to(path)) for one in path.rglob("*") if one.is_file())
    return {name for name in found if name != "run/agent.lock"}


# --- making ----------------------------------------------------------------------------------------------------------


def test_a_crash_at_any_point_leaves_nothing_or_all_once_it_is_finished(tmp_path):
    path, seen = tmp_path / "home", []
    for _ in crash_points(lambda: make(path)):
        complete = (path / "agent.toml").exists()
        assert not complete or parts_of(path) == PARTS
        finish_home(path, "agent.toml")
        seen.append((path / "agent.toml").exists())
        if seen[-1]:
            assert parts_of(path) == PARTS
            for part in ("ca", "identity", "agent.toml", "ledger.sqlite"):
                (path / part).rename(tmp_path / f"{part}-{len(seen)}")
        else:
            assert all(name.startswith(".new-") for name in parts_of(path))
    assert seen == sorted(seen)
    assert {False, True} == set(seen)
    assert parts_of(path) == PARTS


def test_a_crash_while_it_is_finished_is_finished_by_the_next(tmp_path):
    path, deaths = tmp_path / "home", 0
    files.make_directory(path / home.MADE)
    fill(path / home.MADE)
    for _ in crash_points(lambda: finish_home(path, "agent.toml")):
        deaths += 1
        assert not (path / "agent.toml").exists() or parts_of(path) == PARTS
    assert deaths > len(PARTS)
    assert parts_of(path) == PARTS


def test_what_lies_in_a_new_home_already_is_left_alone(tmp_path):
    (tmp_path / "lost+found").mkdir()
    make(tmp_path)
    assert {one.name for one in tmp_path.iterdir()} == {
        *("agent.toml", "ca", "identity", "ledger.sqlite", "run", "lost+found")
    }


@pytest.mark.parametrize("part", ["ca/key.pem", "ledger.sqlite"])
def test_a_home_that_has_something_of_an_agent_keeps_it(tmp_path, part):
    files.make_directory((tmp_path / part).parent)
    (tmp_path / part).write_bytes(b"old")
    with pytest.raises(ConfigurationError, match="exists already.* if the agent.toml .* was lost, restore it"):
        make(tmp_path)
    assert parts_of(tmp_path) == {part}
    assert (tmp_path / part).read_bytes() == b"old"


def test_what_cannot_be_made_leaves_a_home_that_can_be_tried_again(tmp_path):
    with pytest.raises(OSError, match="disk"), new_home(tmp_path, "agent.toml") as staging:
        files.create_file(staging / "one", b"1")
        raise OSError("disk")
    assert parts_of(tmp_path) == set()
    make(tmp_path)
    assert parts_of(tmp_path) == PARTS


def test_two_that_make_one_home_do_not_mix_their_files(tmp_path):
    with new_home(tmp_path, "agent.toml") as staging:
        with pytest.raises(HomeBusyError):
            make(tmp_path)
        fill(staging, b"first")
    assert {(tmp_path / name).read_bytes() for name in PARTS} == {b"first"}


def test_a_home_below_a_file_is_explained_by_the_maker(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StateError, match="A part of the path is a file"):
        make(tmp_path / "file" / "home")


# --- the lock --------------------------------------------------------------------------------------------------------


def test_a_lock_is_held_by_one_until_it_is_given_back(tmp_path):
    first, second = HomeLock(tmp_path), HomeLock(tmp_path)
    assert not second.is_held()
    first.acquire()
    assert second.is_held()
    with pytest.raises(HomeBusyError, match="already runs"):
        second.acquire()
    first.release()
    assert not second.is_held()
    second.acquire()


def test_a_killed_daemon_holds_nothing(tmp_path):
    program = (
        "import sys, pathlib; from agents.adapters.home import HomeLock;"
        "HomeLock(pathlib.Path(sys.argv[1])).acquire(); print('held', flush=True); sys.stdin.read()"
    )
    daemon = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with daemon:
        assert daemon.stdout.readline() == "held\n"
        assert HomeLock(tmp_path).is_held()
        daemon.kill()
    assert not HomeLock(tmp_path).is_held()


def test_whoever_looks_at_that_very_moment_keeps_no_daemon_from_starting(tmp_path, monkeypatch):
    lock = HomeLock(tmp_path)
    lock.acquire()
    lock.release()
    look = os.open(tmp_path / "run" / "agent.lock", os.O_RDONLY)
    fcntl.flock(look, fcntl.LOCK_SH)
    monkeypatch.setattr(home.time, "sleep", lambda _: os.close(look))
    lock.acquire()
    assert HomeLock(tmp_path).is_held()
