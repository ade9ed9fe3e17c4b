"""How well a link and the issuing processes are, by what is known of them."""

from datetime import UTC, datetime, timedelta

import pytest

from agents.core.health import SILENCE_MAX, LinkState, ProcessState, crew_troubles, is_silent, judge_link

NOW = datetime(2026, 11, 23, 22, 18, tzinfo=UTC)
A_MOMENT = timedelta(microseconds=1)
UP, DOWN = LinkState(connected=True), LinkState(connected=False, last_error="e")


@pytest.mark.parametrize(
    ("state", "well", "words", "obstacle"),
    [
        ({}, True, "connected", None),
        ({"last_error": "e"}, True, "connected", None),
        ({"concern": "c"}, True, "connected; last concern: c", "c"),
        (
            {"blocked": "b", "concern": "c"},
            False,
            "blocked by the broker: b",
            "The broker blocks publishing (b): its operator must make room.",
        ),
        ({"trouble": "t", "blocked": "b"}, False, "in trouble: t", "t"),
        ({"connected": False, "last_error": "e", "blocked": "b"}, False, "not connected: e", "e"),
        ({"connected": False}, False, "not connected: connecting", None),
        ({"connected": False, "trouble": "t", "last_error": "e"}, False, "in trouble: t", "t"),
    ],
)
def test_the_worst_of_a_link_decides(state, well, words, obstacle):
    judgement = judge_link(LinkState(**{"connected": True, **state}))
    assert (judgement.well, judgement.words, judgement.obstacle) == (well, words, obstacle)


@pytest.mark.parametrize(
    ("said", "silent"), [(None, True), (NOW, False), (NOW - SILENCE_MAX + A_MOMENT, False), (NOW - SILENCE_MAX, True)]
)
def test_who_has_not_spoken_for_long_is_silent(said, silent):
    assert is_silent(said, NOW) is silent


def process(said_at=NOW, *links, pid=7):
    return ProcessState(pid, said_at, links)


def test_a_crew_that_is_complete_and_well_has_no_troubles():
    assert crew_troubles([process(NOW, UP), process(NOW)], 2, NOW) == ()


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (process(None), "process 7 has not spoken yet"),
        (process(NOW - SILENCE_MAX, UP), "process 7 is silent since 2026-11-23 22:17:45 UTC: it hangs; kill it"),
        (process(NOW, UP, DOWN, DOWN), "process 7 is not connected: e"),
    ],
)
def test_a_process_that_is_not_well_is_named(member, words):
    assert crew_troubles([process(NOW, UP, pid=6), member], 2, NOW) == (words,)


def test_processes_that_do_not_run_are_counted_before_those_that_are_not_well():
    (absent, unwell) = crew_troubles([process(None)], 3, NOW)
    assert absent.startswith("2 of 3 do not run: ")
    assert unwell.startswith("process 7 ")
