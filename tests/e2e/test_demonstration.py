"""`agent demo` tells the whole story, leaves nothing behind, and what it prints to try next works."""

import os
import shlex
import signal
from pathlib import Path

from kit.agents import agent, eventually


def processes_at(directory):
    """Command lines of live processes that work in, or were told of, a directory."""
    return {pid: line for pid, line in all_processes() if str(directory) in line}


def all_processes():
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                yield int(entry.name), f"{line} {(entry / 'cwd').readlink()} {(entry / 'environ').read_text()}"
            except OSError:  # it has ended meanwhile
                continue


def test_the_demonstration_ends_well_and_leaves_nothing_behind(tmp_path):
    told = agent("demo", "--json", TMPDIR=str(tmp_path)).expect(0).json
    assert told["confirmed_by_both"]
    assert told["states"] == {"client-b": "verified", "client-c": "confirmed"}
    assert told["requester_saw"]["tls_version"] == told["issuer_saw"]["tls_version"] == "TLSv1.3"
    assert all(step["done"] for step in told["steps"])
    eventually(lambda: not processes_at(tmp_path), "nothing runs in the demonstration's directory")
    assert list(tmp_path.iterdir()) == []


def test_a_kept_demonstration_goes_on_and_its_next_commands_work(tmp_path):
    kept = tmp_path / "kept"
    told = agent("demo", "--keep", kept).expect(0).out
    assert "Verified on both sides." in told
    lines = [line.strip() for line in told.splitlines()]
    commands = [line for line in lines if line.startswith("agent ")]
    (kill,) = (line for line in lines if line.startswith("kill "))
    try:
        assert len(commands) == 4
        for command in commands:
            agent(*shlex.split(command)[1:]).expect(0)
    finally:
        for pid in map(int, kill.split()[1:]):
            os.kill(pid, signal.SIGTERM)
    eventually(lambda: not processes_at(kept), "nothing runs in the kept directory")


def test_a_directory_that_exists_is_not_taken_over(tmp_path):
    agent("demo", "--keep", tmp_path).expect(2).says(f"--keep {tmp_path}: got a path where a directory is there")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_taken_for_a_new_directory(tmp_path):
    file = tmp_path / "file"
    file.write_text("kept")
    said = agent("demo", "--keep", file).expect(2)
    said.says(f"--keep {file}: got a path where a file is there", "wanted a new directory", "where nothing is yet")
    agent("demo", "--keep", file / "below").expect(2).says("where none can be made (Not a directory)")
    assert file.read_text() == "kept"
