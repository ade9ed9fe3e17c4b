"""What the view of a running simulation counts and says."""

import io

import pytest
from kit.simulated import GOOD, PLAN, POISONOUS
from rich.console import Console

from agents.cli import live
from agents.cli.live import PlainProgress, Progress
from agents.simulation.outcome import Happening


def told(progress, *happenings):
    for number, what in happenings:
        progress.happening(Happening(1.0, number, what))
    return progress


def test_a_request_is_in_the_state_that_was_told_last():
    progress = told(Progress(PLAN), (GOOD.number, "created"), (GOOD.number, "sent"))
    assert progress.states() == {"sent": 1}
    assert progress.over() == 0


def test_a_final_state_ends_a_request_once():
    progress = told(Progress(PLAN), (GOOD.number, "verified"), (GOOD.number, "verified"))
    assert progress.over() == 1
    assert progress.throughput() == pytest.approx(1 / live.WINDOW_SECONDS)


def test_poison_has_ended_when_it_was_sent():
    progress = told(Progress(PLAN), (POISONOUS.number, "sent"))
    assert progress.states() == {"poison sent": 1}
    assert progress.over() == 1


def test_what_is_no_state_is_not_counted():
    progress = told(Progress(PLAN), (GOOD.number, "verified"), (GOOD.number, "replayed"), (0, "published again"))
    assert progress.states() == {"verified": 1}


def test_plain_lines_tell_phases_faults_and_progress(capsys):
    progress = PlainProgress(PLAN)
    progress.phase("onboarding")
    progress.strike("link frozen", "link of issuer-1", over=False)
    progress.strike("link frozen", "link of issuer-1", over=True)
    told(progress, (GOOD.number, "verified"))
    lines = [line.split(" s  ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "onboarding",
        "  link of issuer-1: link frozen",
        "  link of issuer-1: link frozen, over",
        f"  1 of {len(PLAN.requests)} ended (1 verified)",
    ]


def test_the_live_view_shows_states_and_faults():
    progress = told(Progress(PLAN), (GOOD.number, "verified"))
    progress.phase("onboarding")
    progress.strike("link frozen", "link of issuer-1", over=False)
    console = Console(file=io.StringIO(), width=120)
    console.print(live._view(progress))
    shown = console.file.getvalue()
    for words in (
        "onboarding",
        f"1 of {len(PLAN.requests)} requests ended",
        "verified",
        "link of issuer-1: link frozen",
    ):
        assert words in shown


def test_the_live_view_of_nothing_yet():
    console = Console(file=io.StringIO(), width=120)
    console.print(live._view(Progress(PLAN)))
    assert console.file.getvalue().count("none yet") == 2
