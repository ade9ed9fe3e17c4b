"""The states of an enrollment in both roles, as one table; the diagrams in docs/PROTOCOL.md are generated from it.

A pair of state and event that is not in the table is an error, never ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """Our part in one transaction (RFC 2986: requester; RFC 5280: issuer)."""

    REQUESTER = "requester"
    ISSUER = "issuer"


class State(StrEnum):
    """Where a transaction stands. `received` is the issuer's starting point and is never stored."""

    CREATED = "created"
    SENT = "sent"
    RECEIVED = "received"
    PENDING = "pending"
    ISSUED = "issued"
    INSTALLED = "installed"
    VERIFIED = "verified"
    CONFIRMED = "confirmed"
    DELIVERED = "delivered"
    REFUSED = "refused"
    EXPIRED = "expired"
    FAILED = "failed"
    LAPSED = "lapsed"


class Event(StrEnum):
    """What can happen to a transaction."""

    PUBLISHED = "request published"
    HELD = "held for approval"
    GRANTED = "certificate issued"
    DECLINED = "refused"
    TIMED_OUT = "no answer in time"
    INSTALLED = "credential installed"
    UNUSABLE = "credential unusable"
    CHANNEL_VERIFIED = "channel verified"
    KEY_ELSEWHERE = "key kept elsewhere"
    CONFIRMED = "confirmation received"
    UNSEEN = "confirmation of a channel not seen here"
    REJECTED = "rejection received"
    UNCONFIRMED = "no confirmation in time"


class TransitionError(Exception):
    """An event that cannot happen in a state."""


_S, _E = State, Event
_WAITING = (_S.CREATED, _S.SENT, _S.PENDING)

TABLE: Mapping[Role, Mapping[tuple[State, Event], State]] = MappingProxyType(
    {
        Role.REQUESTER: MappingProxyType(
            {
                (_S.CREATED, _E.PUBLISHED): _S.SENT,
                # The reply can overtake the broker's confirm, so all three waiting states take it.
                **{(state, _E.HELD): _S.PENDING for state in _WAITING},
                **{(state, _E.GRANTED): _S.ISSUED for state in _WAITING},
                **{(state, _E.DECLINED): _S.REFUSED for state in _WAITING},
                **{(state, _E.TIMED_OUT): _S.EXPIRED for state in _WAITING},
                (_S.ISSUED, _E.INSTALLED): _S.INSTALLED,
                (_S.ISSUED, _E.UNUSABLE): _S.FAILED,
                (_S.INSTALLED, _E.CHANNEL_VERIFIED): _S.VERIFIED,
                (_S.INSTALLED, _E.KEY_ELSEWHERE): _S.DELIVERED,
                (_S.INSTALLED, _E.UNUSABLE): _S.FAILED,
            }
        ),
        Role.ISSUER: MappingProxyType(
            {
                (_S.RECEIVED, _E.HELD): _S.PENDING,
                **{(state, _E.GRANTED): _S.ISSUED for state in (_S.RECEIVED, _S.PENDING)},
                **{(state, _E.DECLINED): _S.REFUSED for state in (_S.RECEIVED, _S.PENDING)},
                (_S.PENDING, _E.TIMED_OUT): _S.EXPIRED,
                (_S.ISSUED, _E.CONFIRMED): _S.CONFIRMED,
                (_S.ISSUED, _E.UNSEEN): _S.DELIVERED,
                (_S.ISSUED, _E.KEY_ELSEWHERE): _S.DELIVERED,
                (_S.ISSUED, _E.REJECTED): _S.LAPSED,
                (_S.ISSUED, _E.UNCONFIRMED): _S.LAPSED,
            }
        ),
    }
)


def step(role: Role, state: State, event: Event) -> State:
    """The state after `event`. Raises `TransitionError` for a pair that the table does not list."""
    try:
        return TABLE[role][state, event]
    except KeyError:
        raise TransitionError(f"a {role}'s transaction that is {state} cannot take '{event}'") from None


def is_final(role: Role, state: State) -> bool:
    """Whether no event leads out of `state`."""
    return all(before is not state for before, _ in TABLE[role])


def unfinished(role: Role) -> frozenset[State]:
    """The states that something leads out of."""
    return frozenset(before for before, _ in TABLE[role])


def states_before(role: Role, event: Event) -> frozenset[State]:
    """The states in which `event` can happen."""
    return frozenset(before for before, happening in TABLE[role] if happening is event)


def states_after(role: Role, *events: Event) -> frozenset[State]:
    """The states to which one of `events` leads."""
    return frozenset(after for (_, event), after in TABLE[role].items() if event in events)


def states_from(role: Role, state: State) -> frozenset[State]:
    """`state`, and every state that can come after it."""
    found = {state}
    for _ in State:  # no way is longer than there are states
        found |= {after for (before, _), after in TABLE[role].items() if before in found}
    return frozenset(found)


def mermaid(role: Role) -> str:
    """The table of one role as a Mermaid state diagram, one line per transition, in the table's order."""
    lines = [f"    {before} --> {after}: {event}" for (before, event), after in TABLE[role].items()]
    start = State.CREATED if role is Role.REQUESTER else State.RECEIVED
    ends = [f"    {state} --> [*]" for state in State if is_final(role, state) and state in TABLE[role].values()]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {start}", *lines, *ends])
