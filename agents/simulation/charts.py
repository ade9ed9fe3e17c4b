"""The charts of the report, as figures of Plotly without fonts and backgrounds: the page sets those by its theme."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from agents.simulation.outcome import Outage, Outcome
from agents.simulation.summary import DEAD_LETTERED, LOST, ORDER, Row, Summary
from protocol.transaction import State

COLOURS = {
    State.VERIFIED.value: "#2f9e6e",
    State.REFUSED.value: "#d9822b",
    DEAD_LETTERED: "#8a6fc8",
    LOST: "#d6455d",
    State.CREATED.value: "#7d8b99",
    State.SENT.value: "#4c8dca",
    State.PENDING.value: "#c2a83e",
    State.ISSUED.value: "#3aa6a0",
    State.INSTALLED.value: "#5fb08a",
}
STUCK = "#d6455d"
FAULT = "#d6455d"
ISSUERS = ("#4c8dca", "#d9822b", "#2f9e6e", "#8a6fc8", "#c2a83e", "#3aa6a0", "#d6455d", "#7d8b99")

PLACES = {
    State.CREATED.value: (0.001, 0.5),
    State.SENT.value: (0.2, 0.4),
    State.PENDING.value: (0.34, 0.8),
    State.ISSUED.value: (0.5, 0.4),
    State.INSTALLED.value: (0.68, 0.4),
    State.VERIFIED.value: (0.999, 0.4),
    State.REFUSED.value: (0.999, 0.9),
}
"""Where each state is drawn, as shares of width and height."""

BINS = 24
SLICES = 40
"""Bars of the distribution of latencies, and slices of time in the load."""

SHORT = {
    "issuer killed (kill -9)": "issuer killed",
    "requesters killed (kill -9)": "requesters killed",
    "broker killed (kill -9)": "broker killed",
    "connections reset": "reset",
    "connections refused": "refused",
    "link frozen": "frozen",
}


def timeline(outcome: Outcome, summary: Summary) -> go.Figure:
    """Every request from its record to its end, below the faults that struck meanwhile."""
    kinds = list(dict.fromkeys(outage.kind for outage in outcome.outages))
    share = 0.08 + 0.035 * len(kinds) if kinds else 0.001
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[share, 1 - share], vertical_spacing=0.03)
    least = max((outage.end for outage in outcome.outages), default=0.0) / 250
    for outage in outcome.outages:
        _outage(figure, outage, least)
    for state in dict.fromkeys(row.state for row in summary.rows):
        _requests(figure, state, [row for row in summary.rows if row.state == state and row.begin is not None])
    figure.update_yaxes(automargin=True, row=1, col=1)
    figure.update_yaxes(title_text="request", autorange="reversed", row=2, col=1)
    figure.update_xaxes(title_text="seconds from the start", row=2, col=1)
    figure.update_layout(height=560)
    return figure


def _outage(figure: go.Figure, outage: Outage, least: float) -> None:
    """A bar, at least `least` seconds wide, so that it is seen."""
    label = SHORT.get(outage.kind, outage.kind)
    end = max(outage.end, outage.begin + least)
    said = f"{outage.kind}<br>{outage.target}<br>{outage.begin:.1f} to {outage.end:.1f} s"
    line = {"color": FAULT, "width": 9}
    figure.add_scatter(
        x=[outage.begin, end], y=[label, label], mode="lines", line=line, showlegend=False, text=said,
        hovertemplate="%{text}<extra></extra>", row=1, col=1,
    )  # fmt: skip


def _requests(figure: go.Figure, state: str, rows: Sequence[Row]) -> None:
    """One trace for each state: a line from begin to end of each request, parted by gaps, and a mark at the end."""
    x: list[float | None] = []
    y: list[float | None] = []
    said: list[str] = []
    for row in rows:
        begin, end = row.begin or 0.0, (row.begin or 0.0) + (row.seconds or 0.0)
        x += [begin, end, None]
        y += [row.request.number, row.request.number, None]
        said += [_said(row)] * 3
    figure.add_scatter(
        x=x, y=y, mode="lines+markers", name=state, text=said, hovertemplate="%{text}<extra></extra>",
        line={"color": COLOURS.get(state, STUCK), "width": 1.5}, marker={"size": 4}, row=2, col=1,
    )  # fmt: skip


def _said(row: Row) -> str:
    request = row.request
    took = f"{row.seconds:.2f} s" if row.seconds is not None else "no trace"
    return f"request {request.number}: {request.kind}<br>{request.requester} to {request.issuer}<br>{row.state}, {took}"


def latencies(summary: Summary) -> go.Figure:
    """Seconds from request to verified channel, on a logarithmic scale, with percentiles."""
    values = [
        max(row.seconds, 0.001) for row in summary.rows if row.state == State.VERIFIED and row.seconds is not None
    ]
    figure = go.Figure()
    if values:
        low, high = math.log10(min(values)), math.log10(max(values)) + 1e-9
        width = max((high - low) / BINS, 1e-3)
        counts = Counter(min(int((math.log10(value) - low) / width), BINS - 1) for value in values)
        starts = [10 ** (low + index * width) for index in range(BINS)]
        ends = [10 ** (low + (index + 1) * width) for index in range(BINS)]
        figure.add_bar(
            x=[math.sqrt(start * end) for start, end in zip(starts, ends, strict=True)],
            y=[counts[index] for index in range(BINS)],
            width=[end - start for start, end in zip(starts, ends, strict=True)],
            marker_color=COLOURS["verified"], text=[f"{a:.2f} to {b:.2f} s" for a, b in zip(starts, ends, strict=True)],
            textposition="none", hovertemplate="%{text}: %{y}<extra></extra>", showlegend=False,
        )  # fmt: skip
    for name in ("p50", "p99"):
        if name in summary.latency:
            at = summary.latency[name]
            figure.add_vline(x=at, line_dash="dot", line_width=1.5, line_color="#8795a3")
            figure.add_annotation(
                x=math.log10(max(at, 0.001)), y=1.08, yref="paper", text=f"{name} {at:.2f} s", showarrow=False
            )
    figure.update_xaxes(type="log", title_text="seconds", dtick="D2" if len(values) > 1 else 1)
    figure.update_yaxes(title_text="enrollments")
    return figure.update_layout(height=320, bargap=0)


def flow(summary: Summary) -> go.Figure:
    """From which state to which, as requesters saw it."""
    names = [state.value for state in ORDER]
    used = [name for name in names if any(name in pair for pair in summary.transitions)]
    sums = Counter[str]()
    for (before, after), count in summary.transitions.items():
        sums[after] += count
        sums[before] += 0 if before != State.CREATED else count
    figure = go.Figure(
        go.Sankey(
            node={
                "label": [f"{name}<br>{sums[name]}" for name in used],
                "x": [PLACES[name][0] for name in used],
                "y": [PLACES[name][1] for name in used],
                "color": [COLOURS[name] for name in used],
                "pad": 18,
                "thickness": 14,
                "line": {"width": 0},
            },
            link={
                "source": [used.index(before) for before, _ in summary.transitions],
                "target": [used.index(after) for _, after in summary.transitions],
                "value": list(summary.transitions.values()),
                "color": "rgba(125,139,153,0.35)",
            },
        )
    )
    return figure.update_layout(height=320)


def refusals(summary: Summary) -> go.Figure:
    """How often each reason was given, by what was wrong."""
    totals = Counter[str]()
    for (reason, _), count in summary.refusals.items():
        totals[reason] += count
    reasons = [reason for reason, _ in reversed(totals.most_common())]
    figure = go.Figure()
    for index, kind in enumerate(sorted({kind for _, kind in summary.refusals})):
        counts = [summary.refusals.get((reason, kind), 0) for reason in reasons]
        figure.add_bar(
            x=counts, y=reasons, orientation="h", marker_color=ISSUERS[index % len(ISSUERS)], showlegend=False,
            text=[kind if count else "" for count in counts], textposition="inside", insidetextanchor="start",
            insidetextfont={"color": "#fff"},
            hovertemplate=f"{kind}: %{{x}}<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(automargin=True)
    figure.update_xaxes(rangemode="tozero")
    return figure.update_layout(barmode="stack", height=max(320, 60 + 34 * len(reasons)))


def load(outcome: Outcome, summary: Summary) -> go.Figure:
    """Requests that each issuer had answered to the end, over time."""
    ended: dict[str, list[float]] = {issuer: [] for issuer in outcome.plan.issuers}
    for row in summary.rows:
        if row.begin is not None and row.seconds is not None:
            ended[row.request.issuer].append(row.begin + row.seconds)
    last = max((at for times in ended.values() for at in times), default=1.0)
    width = max(1.0, math.ceil(last / SLICES))
    figure = go.Figure()
    for index, (issuer, times) in enumerate(ended.items()):
        counts = Counter(int(at / width) for at in times)
        slices = range(int(last / width) + 1)
        figure.add_bar(
            x=[(one + 0.5) * width for one in slices], y=[counts[one] for one in slices], width=width * 0.9,
            name=f"{issuer}: {len(times)}", marker_color=ISSUERS[index % len(ISSUERS)],
            hovertemplate=f"{issuer}: %{{y}} in {width:.0f} s<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title_text="seconds from the start")
    figure.update_yaxes(title_text=f"ended in {width:.0f} s")
    return figure.update_layout(barmode="stack", height=320)
