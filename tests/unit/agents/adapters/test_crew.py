"""Issuing processes beside the daemon's own: started, missed, replaced more and more rarely, ended."""

import subprocess
import sys

import pytest
from kit.clocks import HandClock
from kit.services import TestLog

from agents.adapters.crew import PAUSE_FIRST, PAUSE_MAX, STEADY_SECONDS, IssuingCrew

LASTING = [sys.executable, "-c", "import time; time.sleep(60)"]
ENDING = [sys.executable, "-c", "raise SystemExit(3)"]
HEARD = {1: {"pid": 7}, 2: None}


@pytest.fixture
def crew(tmp_path):
    """Two processes that any program stands in for, and a clock that a test moves."""
    made = IssuingCrew(tmp_path, 2, HEARD.get, HandClock(), TestLog())
    yield made
    made.stop(10.0)


def pids(crew):
    return {member.pid for member in crew.members()}


def ended(crew):
    """How many processes were said to have ended, and what is said of the last."""
    lines = [fields for _, event, fields in crew._log.lines if event == "an issuing process ended"]
    return len(lines), (lines or [None])[-1]


def test_members_are_those_that_run_with_what_was_said_in_their_place(crew, monkeypatch):
    assert crew.members() == ()
    monkeypatch.setattr(crew, "_command", LASTING)
    crew.tend()
    assert [member.said for member in crew.members()] == [{"pid": 7}, None]
    assert crew.wanted == 2


def test_a_process_that_runs_is_left_alone(crew, monkeypatch):
    monkeypatch.setattr(crew, "_command", LASTING)
    crew.tend()
    before = pids(crew)
    crew.tend()
    assert pids(crew) == before


def test_processes_that_end_again_and_again_are_replaced_after_pauses_that_grow(crew, monkeypatch, eventually):
    monkeypatch.setattr(crew, "_command", ENDING)
    pauses = []
    for round_ in range(1, 9):
        crew.tend()
        eventually(lambda: not crew.members())
        crew.tend()
        count, last = ended(crew)
        assert (count, last["code"]) == (2 * round_, 3)
        pauses.append(last["next_in_seconds"])
        crew._clock.move(seconds=pauses[-1] - 0.01)
        crew.tend()
        assert ended(crew)[0] == count
        assert [place.process for place in crew._places] == [None, None]
        crew._clock.move(seconds=0.02)
    assert pauses == [PAUSE_FIRST * 2**number for number in range(6)] + [PAUSE_MAX] * 2


def test_after_a_process_that_lived_long_the_pause_is_short_again(crew, monkeypatch, eventually):
    monkeypatch.setattr(crew, "_command", LASTING)
    for place in crew._places:
        place.pause = PAUSE_MAX
    crew.tend()
    crew._clock.move(seconds=STEADY_SECONDS)
    for place in crew._places:
        place.process.kill()
    eventually(lambda: not crew.members())
    crew.tend()
    assert ended(crew)[1]["next_in_seconds"] == PAUSE_FIRST


def test_a_process_that_cannot_be_started_is_tried_again_after_a_pause(crew, monkeypatch):
    monkeypatch.setattr(crew, "_command", ["/nowhere/python"])
    for _ in range(2):
        with pytest.raises(OSError, match="nowhere"):
            crew.tend()
    crew.tend()
    assert crew.members() == ()
    monkeypatch.setattr(crew, "_command", LASTING)
    crew._clock.move(seconds=PAUSE_FIRST)
    crew.tend()
    assert len(crew.members()) == 2


def test_nobody_is_left_after_the_end(crew, monkeypatch):
    monkeypatch.setattr(crew, "_command", LASTING)
    crew.tend()
    ended = [place.process for place in crew._places]
    crew.stop(10.0)
    assert all(one.poll() is not None for one in ended)
    assert crew.members() == ()


class Hanging:
    """A process that does not end when it is told to."""

    def __init__(self, clock):
        self.clock, self.killed = clock, False

    def terminate(self):
        pass

    def wait(self, timeout=None):
        if not self.killed:
            self.clock.move(seconds=timeout)
            raise subprocess.TimeoutExpired("agent", timeout)

    def kill(self):
        self.killed = True


def test_many_that_hang_are_waited_for_no_longer_than_one(crew):
    hanging = [Hanging(crew._clock) for _ in crew._places]
    for place, process in zip(crew._places, hanging, strict=True):
        place.process = process
    before = crew._clock.monotonic()
    crew.stop(10.0)
    assert all(process.killed for process in hanging)
    assert crew._clock.monotonic() - before == 10.0
