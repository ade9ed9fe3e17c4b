"""What is known at the end of a simulation, and who is told while it runs."""

from __future__ import annotations

from dataclasses import dataclass

from agents.simulation.facts import Facts
from agents.simulation.plan import Plan
from agents.simulation.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened, `at` seconds from the start. The number is a request's, or 0."""

    at: float
    number: int
    what: str


@dataclass(frozen=True, slots=True)
class Outage:
    """A strike as it was carried out: what it hit, from when to when, in seconds from the start."""

    kind: str
    target: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that is known at the end."""

    plan: Plan
    facts: Facts
    verdict: Verdict
    happenings: tuple[Happening, ...]
    outages: tuple[Outage, ...]
    started_at: float
    """Seconds since 1970."""
    phases: tuple[tuple[str, float], ...]
    """What was done, and the seconds that it took."""


class Watch:
    """Is told what happens while it happens; this one does not care. Called from several threads."""

    def phase(self, title: str) -> None:
        """Another part of the work begins."""

    def happening(self, happening: Happening) -> None:
        """Something became of a request."""

    def strike(self, kind: str, target: str, *, over: bool) -> None:
        """A fault begins, or is over."""
