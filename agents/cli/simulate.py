"""`agent simulate`: onboard many partners on a bad day, on this machine, and judge what is left."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agents.cli.exits import ExitCode
from agents.cli.options import AsJson
from agents.cli.output import Output, fields
from agents.errors import ConfigurationError

if TYPE_CHECKING:
    from agents.simulation.outcome import Outcome
    from agents.simulation.parameters import Parameters
    from agents.simulation.summary import Summary

SHOWN_VIOLATIONS = 10

Requesters = Annotated[int, typer.Option(metavar="NUMBER", help="How many partners are onboarded.")]
Issuers = Annotated[int, typer.Option(metavar="NUMBER", help="How many issuers they enroll with.")]
Rate = Annotated[float, typer.Option(metavar="NUMBER", help="Requests a second, on average.")]
Enrollments = Annotated[
    int | None,
    typer.Option(
        metavar="NUMBER", help="How many requests in all, good and bad. Default: three for every two partners."
    ),
]
Duration = Annotated[
    str | None,
    typer.Option(metavar="DURATION", help="How long requests keep coming, for example 5m, instead of --enrollments."),
]
Day = Annotated[str, typer.Option(metavar="DAY", help="How bad the day is: none, mild or harsh.")]
Seed = Annotated[int, typer.Option(metavar="NUMBER", help="The same seed makes the same plan.")]
Report = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write a report: one HTML page that needs no network."),
]
Keep = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Work in this new directory and leave ledgers and logs there."),
]


def simulate(
    *,
    requesters: Requesters = 20,
    issuers: Issuers = 2,
    rate: Rate = 3.0,
    enrollments: Enrollments = None,
    duration: Duration = None,
    faults: Day = "mild",
    seed: Seed = 1,
    report: Report = None,
    keep: Keep = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Onboard many partners on this machine, with faults, and check what must hold afterwards.

    Real agents, ledgers, TLS channels and a private RabbitMQ. Exits with 0 only if every invariant holds.
    """
    from agents.config.reading import duration_option
    from agents.simulation.parameters import parameters
    from agents.simulation.summary import summarise

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop_once)
    lasts = duration_option("--duration", duration) if duration else None
    told = parameters(
        requesters=requesters,
        issuers=issuers,
        rate=rate,
        requests=enrollments,
        duration_seconds=lasts.total_seconds() if lasts else None,
        faults=_day(faults),
        seed=seed,
    )
    if report:
        _check_report(report)
    try:
        outcome = _run(told, keep, as_json=as_json)
    except KeyboardInterrupt:
        Output(as_json).say("Stopped; nothing is left running.")
        return ExitCode.INTERRUPTED
    summary = summarise(outcome)
    if report:
        _write(report, outcome, summary)
    Output(as_json).show(_result(outcome, summary), _text(outcome, summary, report))
    return ExitCode.DONE if outcome.verdict.holds else ExitCode.NEGATIVE


def _stop_once(*_: object) -> None:
    """End in order; whoever presses Ctrl-C again out of impatience does not leave processes behind by that."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _day(text: str) -> Any:
    from agents.simulation.parameters import Faults

    try:
        return Faults(text)
    except ValueError:
        raise ConfigurationError(f"--faults '{text}': wanted one of {', '.join(Faults)}.") from None


def _check_report(report: Path) -> None:
    """Before the simulation, not after it."""
    from agents.simulation.report import require_charts

    require_charts()
    if not report.absolute().parent.is_dir():
        raise ConfigurationError(f"--report {report}: there is no directory {report.absolute().parent}.")


def _run(told: Parameters, keep: Path | None, *, as_json: bool) -> Outcome:
    from agents.cli.live import watching
    from agents.simulation.run import Simulation

    with _directory(keep) as directory, watching(told, as_json=as_json) as watch:
        return Simulation(told, directory, watch).run()


@contextmanager
def _directory(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="agent-simulation-", ignore_cleanup_errors=True) as directory:
            yield Path(directory)
        return
    if keep.exists():
        raise ConfigurationError(f"{keep} exists: a simulation begins in a directory of its own.")
    yield keep


def _write(report: Path, outcome: Outcome, summary: Summary) -> None:
    from agents.simulation.report import render

    report.write_text(render(outcome, summary), encoding="utf-8")


def _result(outcome: Outcome, summary: Summary) -> dict[str, Any]:
    return {
        "holds": outcome.verdict.holds,
        "invariants": outcome.verdict.invariants,
        "parameters": outcome.plan.parameters,
        "counts": _counts(summary),
        "latency_seconds": summary.latency,
        "refusals": [
            {"reason": reason, "kind": kind, "count": count} for (reason, kind), count in summary.refusals.items()
        ],
        "load": summary.load,
        "faults": outcome.outages,
        "phases": [{"title": title, "seconds": seconds} for title, seconds in outcome.phases],
    }


def _counts(summary: Summary) -> dict[str, int]:
    states = dict.fromkeys(sorted(row.state for row in summary.rows))
    return {state: summary.count(state) for state in states}


def _text(outcome: Outcome, summary: Summary, report: Path | None) -> str:
    lines = []
    for invariant in outcome.verdict.invariants:
        lines.append(
            f"  {'holds   ' if invariant.holds else 'VIOLATED'}  {invariant.title} ({invariant.checked} checked)"
        )
        lines += [f"            {violation}" for violation in invariant.violations[:SHOWN_VIOLATIONS]]
        more = len(invariant.violations) - SHOWN_VIOLATIONS
        lines += [f"            and {more} more, see --json or --report"] if more > 0 else []
    latency = ", ".join(f"{name} {value:.2f} s" for name, value in summary.latency.items())
    ended = ", ".join(f"{count} {state}" for state, count in _counts(summary).items())
    facts = [
        ("  requests", ended),
        ("  time to a verified channel", latency or "none was verified"),
        ("  faults that struck", str(len(outcome.outages))),
        ("  seed", str(outcome.plan.parameters.seed)),
        *([("  report", str(report))] if report else []),
    ]
    return "\n".join(
        [
            "",
            "Every invariant holds." if outcome.verdict.holds else "INVARIANTS ARE VIOLATED.",
            *lines,
            "",
            fields(facts),
        ]
    )
