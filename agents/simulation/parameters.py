"""What a simulation is told: how many, how fast, how much trouble; and what each degree of trouble means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from agents.errors import ConfigurationError

REQUESTERS_MAX, ISSUERS_MAX, REQUESTS_MAX = 5_000, 16, 50_000
"""More than a machine that runs all of them can hold."""

REQUESTS_PER_REQUESTER = 1.5
"""Where nobody says how many requests there are."""

RATE_MAX = 200.0


class Faults(StrEnum):
    """How bad the day is."""

    NONE = "none"
    MILD = "mild"
    HARSH = "harsh"


class StrikeKind(StrEnum):
    """What can happen to the network, the broker and the agents."""

    KILL_ISSUER = "issuer killed (kill -9)"
    KILL_REQUESTERS = "requesters killed (kill -9)"
    RESTART_BROKER = "broker restarted"
    KILL_BROKER = "broker killed (kill -9)"
    RESET = "connections reset"
    FREEZE = "link frozen"
    REFUSE = "connections refused"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One degree of trouble. `strikes` is how many of each kind there are in a minute, at least one in all."""

    strikes: Mapping[StrikeKind, float]
    repeated: float
    """Share of the requests that are published once more while they are under way."""
    replayed: float
    """Share of the requests whose messages are all published again, last first, after they have ended."""
    skew_seconds: float
    """Clocks of requesters are off by up to this much, either way; five minutes are allowed by the protocol."""
    outage_seconds: tuple[float, float]
    """How long a link stays frozen or refused, or a killed process away."""


_K = StrikeKind
TROUBLES: Mapping[Faults, Trouble] = MappingProxyType(
    {
        Faults.NONE: Trouble({}, 0.0, 0.0, 0.0, (0.0, 0.0)),
        Faults.MILD: Trouble(
            {_K.KILL_ISSUER: 0.5, _K.RESET: 2.0, _K.FREEZE: 1.0, _K.RESTART_BROKER: 0.5}, 0.05, 0.05, 20.0, (1.0, 4.0)
        ),
        Faults.HARSH: Trouble(
            {
                _K.KILL_ISSUER: 3.0,
                _K.KILL_REQUESTERS: 1.0,
                _K.RESTART_BROKER: 0.4,
                _K.KILL_BROKER: 0.5,
                _K.RESET: 6.0,
                _K.FREEZE: 3.0,
                _K.REFUSE: 2.0,
            },
            0.2,
            0.2,
            120.0,
            (2.0, 15.0),
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Parameters:
    """What is simulated. `rate` is requests a second, on average. Made by `parameters`, which checks them."""

    requesters: int
    issuers: int
    rate: float
    requests: int
    faults: Faults
    seed: int

    @property
    def seconds(self) -> float:
        """How long requests keep coming."""
        return self.requests / self.rate

    @property
    def trouble(self) -> Trouble:
        """What `faults` means."""
        return TROUBLES[self.faults]


def parameters(  # noqa: PLR0913 - the options of the command
    *,
    requesters: int,
    issuers: int,
    rate: float,
    requests: int | None,
    duration_seconds: float | None,
    faults: Faults,
    seed: int,
) -> Parameters:
    """Checked parameters. Raises `ConfigurationError` that says what is allowed.

    How many requests there are is said directly, or by how long they keep coming, or left to the number of requesters.
    """
    _require("--requesters", requesters, 1, REQUESTERS_MAX)
    _require("--issuers", issuers, 1, ISSUERS_MAX)
    _require("--rate", rate, 0.1, RATE_MAX)
    if requests is not None and duration_seconds is not None:
        raise ConfigurationError("--enrollments and --duration say the same thing twice: give one of them.")
    if requests is None:
        by_time = rate * duration_seconds if duration_seconds is not None else requesters * REQUESTS_PER_REQUESTER
        requests = max(requesters, round(by_time))
    _require("--enrollments", requests, requesters, REQUESTS_MAX)
    return Parameters(requesters, issuers, rate, requests, faults, seed)


def _require(option: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise ConfigurationError(
            f"{option} is {value:g}: wanted {least:g} to {most:g}. Every requester makes at least one request."
        )
