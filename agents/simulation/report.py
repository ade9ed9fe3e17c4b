"""The report: one HTML page that holds everything it needs and may fetch nothing, which its own policy enforces."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from importlib.util import find_spec
from string import Template
from typing import Any

from agents.errors import ConfigurationError
from agents.simulation.outcome import Outcome
from agents.simulation.summary import DEAD_LETTERED, Row, Summary
from agents.simulation.verdict import Invariant
from protocol.transaction import State

SHOWN_VIOLATIONS = 50


def require_charts() -> None:
    """Raises `ConfigurationError` if the library that draws is not installed: better before a simulation than after."""
    if find_spec("plotly") is None:
        raise ConfigurationError(
            "--report needs the library that draws its charts: pip install 'apostille[simulation]' (make setup has it)."
        )


def render(outcome: Outcome, summary: Summary) -> str:
    """The page."""
    from plotly.offline import get_plotlyjs  # noqa: PLC0415 - an extra that need not be installed

    template = Template(files("agents.simulation").joinpath("report.html").read_text())
    broken = sum(not invariant.holds for invariant in outcome.verdict.invariants)
    return template.substitute(
        title=escape(_title(outcome)),
        subtitle=escape(_subtitle(outcome)),
        verdict_class="violated" if broken else "holds",
        verdict=f"{broken} of the invariants violated" if broken else "Every invariant holds",
        tiles="".join(
            f"<div class=tile><b>{escape(value)}</b><span>{escape(of)}</span></div>"
            for value, of in _tiles(outcome, summary)
        ),
        invariants="".join(map(_invariant, outcome.verdict.invariants)),
        kinds=_kinds(summary.rows),
        parameters=_table(_parameters(outcome)),
        footer="Made by <code>agent simulate</code>. Times are of one machine that ran everything: compare them with "
        "each other, not with yours. docs/SIMULATION.md says what a simulation can and cannot tell.",
        library=get_plotlyjs().replace("</script", "<\\/script"),
        figures=json.dumps(_figures(outcome, summary), allow_nan=False).replace("<", "\\u003c"),
    )


def _figures(outcome: Outcome, summary: Summary) -> dict[str, Any]:
    from agents.simulation import charts  # noqa: PLC0415 - an extra that need not be installed

    made = {
        "timeline": charts.timeline(outcome, summary),
        "latencies": charts.latencies(summary),
        "flow": charts.flow(summary),
        "refusals": charts.refusals(summary),
        "load": charts.load(outcome, summary),
    }
    return {name: json.loads(figure.update_layout(template=None).to_json()) for name, figure in made.items()}


def _title(outcome: Outcome) -> str:
    told = outcome.plan.parameters
    day = {"none": "a good day", "mild": "a mild day", "harsh": "a harsh day"}[told.faults]
    return f"Onboarding {_many(told.requesters, 'partner')} at {_many(told.issuers, 'issuer')}, on {day}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _subtitle(outcome: Outcome) -> str:
    at = datetime.fromtimestamp(outcome.started_at, UTC)
    seconds = sum(seconds for _, seconds in outcome.phases)
    return f"{at:%Y-%m-%d %H:%M} UTC, seed {outcome.plan.parameters.seed}, {seconds:.0f} s in all"


def _tiles(outcome: Outcome, summary: Summary) -> Iterable[tuple[str, str]]:
    yield str(summary.count(State.VERIFIED)), "certificates verified"
    yield str(summary.count(State.REFUSED)), "requests refused"
    yield str(summary.count(DEAD_LETTERED)), "messages dead-lettered"
    yield str(len(outcome.outages)), "faults struck"
    if summary.latency:
        yield f"{summary.latency['p50']:.2f} s", "half were verified in"
        yield f"{summary.latency['p99']:.1f} s", "99 of 100 in"


def _invariant(invariant: Invariant) -> str:
    shown = [f"<li>{escape(one)}</li>" for one in invariant.violations[:SHOWN_VIOLATIONS]]
    more = len(invariant.violations) - len(shown)
    shown += [f"<li>and {more} more</li>"] if more else []
    kind = "" if invariant.holds else " class=broken"
    violations = f"<ul>{''.join(shown)}</ul>" if shown else ""
    return f"<li{kind}>{escape(invariant.title)} <span class=soft>({invariant.checked} checked)</span>{violations}</li>"


def _kinds(rows: Iterable[Row]) -> str:
    counts = Counter((row.request.kind.value, row.state) for row in rows)
    return _table((f"{kind}: {state}", str(count)) for (kind, state), count in counts.most_common())


def _parameters(outcome: Outcome) -> Iterable[tuple[str, str]]:
    told = outcome.plan.parameters
    yield "requesters", str(told.requesters)
    yield "issuers", str(told.issuers)
    yield "requests", f"{told.requests}, {told.rate:g} a second on average"
    yield "faults", told.faults.value
    yield "seed", str(told.seed)
    yield "clocks of requesters", f"off by up to {told.trouble.skew_seconds:g} s"
    for title, seconds in outcome.phases:
        yield title, f"{seconds:.1f} s"


def _table(pairs: Iterable[tuple[str, str]]) -> str:
    rows = (f"<tr><td>{escape(name)}</td><td class=number>{escape(value)}</td></tr>" for name, value in pairs)
    return f"<table>{''.join(rows)}</table>"
