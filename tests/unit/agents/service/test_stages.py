"""Work that goes through its stages together with other work, or by itself."""

import pytest
from kit.services import TestLog

from agents.errors import LedgerUnavailableError
from agents.service.isolation import Fault
from agents.service.stages import at_once, together


def work(name, stages, seen, error=None):
    """Note each stage; end with the name, or with `error` in the last stage."""
    for stage in range(stages):
        seen.append((stage, name))
        yield
    if error:
        raise error
    return name


def test_all_go_through_one_stage_before_any_enters_the_next():
    seen = []
    results = together([work("a", 2, seen), work("b", 1, seen), work("c", 2, seen)], TestLog(), "working")
    assert seen == [(0, "a"), (0, "b"), (0, "c"), (1, "a"), (1, "c")]
    assert results == ["a", "b", "c"]


def test_work_without_a_pause_has_its_result_too():
    assert together([work("a", 0, []), work("b", 3, [])], TestLog(), "working") == ["a", "b"]


def test_no_work_has_no_results():
    assert together([], TestLog(), "working") == []


def test_work_that_fails_ends_alone():
    log = TestLog()
    first, second, third = together(
        [work("a", 3, []), work("b", 1, [], TypeError("a fault")), work("c", 3, [])], log, "working"
    )
    assert (first, third) == ("a", "c")
    assert isinstance(second, Fault)
    assert len(log.faults()) == 1


def test_a_fault_of_the_surroundings_ends_all_work():
    down = LedgerUnavailableError("the disk is full")
    with pytest.raises(LedgerUnavailableError):
        together([work("a", 1, []), work("b", 1, [], down)], TestLog(), "working")


def test_work_at_once_goes_through_all_stages():
    seen = []
    assert at_once(work("a", 3, seen)) == "a"
    assert seen == [(0, "a"), (1, "a"), (2, "a")]


def test_work_at_once_fails_as_it_is():
    with pytest.raises(TypeError):
        at_once(work("a", 1, [], TypeError("a fault")))
