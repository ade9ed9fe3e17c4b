"""Issuer processes beside the daemon's own: started, missed, replaced, ended."""

import sys

import pytest
from kit.services import TestLog

from agents.adapters.crew import IssuingCrew

LASTING = [sys.executable, "-c", "import time; time.sleep(60)"]
ENDING = [sys.executable, "-c", "raise SystemExit(3)"]


@pytest.fixture
def crew(tmp_path):
    """Two processes that any program stands in for."""
    made = IssuingCrew(tmp_path, 2, TestLog())
    yield made
    made.stop(10.0)


def test_a_crew_is_complete_once_it_was_seen_to_run(crew, monkeypatch):
    monkeypatch.setattr(crew, "_command", LASTING)
    crew.tend()
    assert (crew.running, crew.wanted) == (0, 2)
    crew.tend()
    assert crew.running == 2


def test_processes_that_end_again_and_again_are_missed_and_replaced(crew, monkeypatch, eventually):
    monkeypatch.setattr(crew, "_command", ENDING)
    crew.tend()
    first = list(crew._crew)
    eventually(lambda: all(one.poll() == 3 for one in first))
    crew.tend()
    assert crew.running == 0
    assert not {one.pid for one in first} & {one.pid for one in crew._crew}
    assert [event for _, event, _ in crew._log.lines] == ["an issuing process ended"] * 2


def test_a_process_that_cannot_be_started_leaves_the_true_number(crew, monkeypatch):
    monkeypatch.setattr(crew, "_command", ["/nowhere/python"])
    with pytest.raises(OSError, match="nowhere"):
        crew.tend()
    assert crew.running == 0


def test_nobody_is_left_after_the_end(crew, monkeypatch):
    monkeypatch.setattr(crew, "_command", LASTING)
    crew.tend()
    ended = list(crew._crew)
    crew.stop(10.0)
    assert all(one.poll() is not None for one in ended)
