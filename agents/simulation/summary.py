"""What a simulation came to, in figures: one row for each request, latencies, transitions, refusals, load. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles

from agents.simulation.facts import Transaction
from agents.simulation.outcome import Happening, Outcome
from agents.simulation.plan import POISON, Kind, Request
from agents.simulation.verdict import Evidence
from protocol.names import OrganisationName
from protocol.transaction import State

HOUR_SECONDS = 3600.0

ORDER = (State.CREATED, State.SENT, State.PENDING, State.ISSUED, State.INSTALLED, State.VERIFIED, State.REFUSED)
"""States of a requester's transaction, each before those that can follow it."""

DEAD_LETTERED, LOST = "dead-lettered", "lost"


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one request. `begin` is in seconds from the start, right time; None where it left no trace."""

    request: Request
    state: str
    begin: float | None
    seconds: float | None
    """From being recorded at its sender until the last change of its state."""
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures."""

    rows: tuple[Row, ...]
    latency: Mapping[str, float]
    """Percentiles of the seconds from request to verified channel: `p50`, `p90`, `p99`, `most`; or empty."""
    transitions: Mapping[tuple[str, str], int]
    """State and the next one that was seen -> how often."""
    refusals: Mapping[tuple[str, str], int]
    """Reason and kind of request -> how often."""
    load: Mapping[OrganisationName, Mapping[str, int]]
    """Issuer -> state -> requests."""

    def count(self, *states: str) -> int:
        """How many requests ended in one of these states."""
        return sum(row.state in states for row in self.rows)


def summarise(outcome: Outcome) -> Summary:
    """The figures of an outcome."""
    evidence = Evidence(outcome.plan, outcome.facts)
    rows = tuple(_row(outcome, evidence, request) for request in outcome.plan.requests)
    return Summary(
        rows=rows,
        latency=percentiles([row.seconds for row in rows if row.state == State.VERIFIED and row.seconds is not None]),
        transitions=_transitions(outcome.happenings),
        refusals=Counter((reason, row.request.kind.value) for row in rows for reason in row.reasons),
        load={
            issuer: Counter(row.state for row in rows if row.request.issuer == issuer)
            for issuer in outcome.plan.issuers
        },
    )


def _row(outcome: Outcome, evidence: Evidence, request: Request) -> Row:
    if request.kind in POISON:
        return _poison(outcome, request)
    transaction = evidence.transaction(request)
    if transaction is None:
        return Row(request, LOST, None, None, ())
    begin = round(_begin(outcome, request, transaction), 3)
    seconds = (transaction.updated_at - transaction.created_at).total_seconds()
    return Row(request, transaction.state.value, begin, round(seconds, 3), transaction.problems)


def _begin(outcome: Outcome, request: Request, transaction: Transaction) -> float:
    """Its sender's clock was off, as planned."""
    ahead = outcome.plan.skews[outcome.plan.requesters.index(request.requester)]
    ahead += HOUR_SECONDS if request.kind is Kind.WRONG_CLOCK else 0.0
    return transaction.created_at.timestamp() - ahead - outcome.started_at


def _poison(outcome: Outcome, request: Request) -> Row:
    digest = outcome.facts.sealed.get(request.number)
    found = any(digest in digests for digests in outcome.facts.dead.values())
    sent = [one.at for one in outcome.happenings if one.number == request.number and one.what == "sent"]
    return Row(request, DEAD_LETTERED if found else LOST, sent[0] if sent else None, 0.0 if sent else None, ())


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Of seconds; empty without values."""
    if not values:
        return {}
    cuts = quantiles(values, n=100, method="inclusive") if len(values) > 1 else [values[0]] * 99
    named = {"p50": cuts[49], "p90": cuts[89], "p99": cuts[98], "most": max(values)}
    return {name: round(value, 3) for name, value in named.items()}


def _transitions(happenings: Sequence[Happening]) -> Counter[tuple[str, str]]:
    """Between states as requesters' operators saw them: quick ones may pass unseen."""
    last: dict[int, State] = {}
    counted: Counter[tuple[str, str]] = Counter()
    for happening in happenings:
        state = next((one for one in ORDER if one == happening.what), None)
        if state is None or not happening.number:
            continue
        before = last.get(happening.number)
        if before is not None and ORDER.index(before) < ORDER.index(state) and before is not State.VERIFIED:
            counted[before.value, state.value] += 1
        last[happening.number] = state if before is None or ORDER.index(before) < ORDER.index(state) else before
    return counted
