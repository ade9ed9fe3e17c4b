"""How well a link, an issuing process and a daemon fare: the one judgement of what each says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

SILENCE_MAX = timedelta(seconds=15)
"""How long a process that is well may say nothing; each speaks every second."""


@dataclass(frozen=True, slots=True)
class LinkState:
    """What is known of a link to a broker: whether it is up, the alarm for which the broker takes no messages, what
    went wrong last, what made the last round of work on it fail, and what keeps a message waiting."""

    connected: bool
    blocked: str | None = None
    last_error: str | None = None
    trouble: str | None = None
    concern: str | None = None


@dataclass(frozen=True, slots=True)
class LinkJudgement:
    """Whether a link is well, in a few words how it fares, and as a sentence what keeps transactions waiting on it."""

    well: bool
    words: str
    obstacle: str | None


@dataclass(frozen=True, slots=True)
class ProcessState:
    """An issuing process that runs, when it last spoke (None: not yet), and what it said of its links."""

    pid: int
    said_at: datetime | None
    links: tuple[LinkState, ...]


def judge_link(state: LinkState) -> LinkJudgement:
    """The worst that is known of a link decides. A message that waits does not make it unwell: others may pass."""
    match state:
        case LinkState(trouble=str(why)):
            return LinkJudgement(well=False, words=f"in trouble: {why}", obstacle=why)
        case LinkState(connected=False, last_error=why):
            return LinkJudgement(well=False, words=f"not connected: {why or 'connecting'}", obstacle=why)
        case LinkState(blocked=str(why)):
            alarm = f"The broker blocks publishing ({why}): its operator must make room."
            return LinkJudgement(well=False, words=f"blocked by the broker: {why}", obstacle=alarm)
        case LinkState(concern=str(why)):
            return LinkJudgement(well=True, words=f"connected; last concern: {why}", obstacle=why)
        case _:
            return LinkJudgement(well=True, words="connected", obstacle=None)


def is_silent(said_at: datetime | None, now: datetime) -> bool:
    """Whether a process has said nothing for so long that it hangs, or never said anything."""
    return said_at is None or now - said_at >= SILENCE_MAX


def crew_troubles(members: Sequence[ProcessState], wanted: int, now: datetime) -> tuple[str, ...]:
    """What is wrong with the issuing processes of which there should be `wanted`; empty if they are well."""
    missing = wanted - len(members)
    absent = (f"{missing} of {wanted} do not run: the log says why they end or cannot be started",) if missing else ()
    return (*absent, *(trouble for member in members if (trouble := _trouble(member, now))))


def _trouble(member: ProcessState, now: datetime) -> str | None:
    if member.said_at is None:
        return f"process {member.pid} has not spoken yet"
    if is_silent(member.said_at, now):
        return f"process {member.pid} is silent since {member.said_at:%Y-%m-%d %H:%M:%S} UTC: it hangs; kill it"
    unwell = (one.words for one in map(judge_link, member.links) if not one.well)
    return next((f"process {member.pid} is {words}" for words in unwell), None)
