"""An overview of an agent, as `agents.bootstrap.overview` makes it, for people: lines of 80 characters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from agents.cli.output import at, fields, short, table, wrapped

Seen = dict[str, Any]
"""An overview, or one thing in it."""

QUARANTINE_HINT = (
    "Quarantined are messages that were of no use: of strangers, damaged, signed under another root, or out of time. "
    'They changed nothing. The log of `agent run` says why ("message unusable"); the ledger keeps the latest in its '
    "table quarantine, at most a thousand of each virtual host. If a partner waits for an answer in vain, tell it the "
    "reason."
)

ROOTS_DIFFER = "These differ: ask its operator, by telephone, which root is its own."

PROBLEMS_HINT = "Every problem in full, and what to do about it: agent status --json"


def text_of_condition(seen: Seen) -> str:
    """How the agent fares, and nothing of what is on record."""
    return "\n".join(filter(None, [fields(_condition(seen)), _links(seen)]))


def text_of(seen: Seen, now: datetime) -> str:
    """The whole overview; `now` tells how long certificates have left."""
    transactions, certificates = seen["transactions"], seen["certificates"]
    parts = [
        *_unusable(seen["partners"]),
        _head(seen, now),
        _links(seen),
        _section(
            "partners",
            ("name", "we issue to it", "last channel", "root pinned as"),
            map(_partner, seen["partners"]),
            list(map(_roots, seen["partners"])),
        ),
        _section(
            "transactions",
            ("id ends in", "as", "partner", "state", "names"),
            map(_transaction, transactions),
            [_first_problem(one) for one in transactions],
        ),
        PROBLEMS_HINT if any(one["problems"] for one in transactions) else "",
        _section(
            "certificates",
            ("serial", "issuer", "holder", "state"),
            [_certificate(one, now) for one in certificates],
            _renewals(certificates),
        ),
    ]
    return "\n".join(filter(None, parts))


def _condition(seen: Seen) -> list[tuple[str, Any]]:
    return [
        ("agent", f"{seen['organisation']} in {seen['home']}"),
        ("daemon", _daemon(seen)),
        *([("channel", _channel(seen))] if seen["running"] else []),
    ]


def _head(seen: Seen, now: datetime) -> str:
    head = fields(
        [
            *_condition(seen),
            ("root SHA-256", seen["root"]),
            ("identity", _identity(seen["identity_until"], now)),
            ("waiting", f"{seen['waiting_to_leave']} messages to leave, {seen['waiting_for_approval']} for approval"),
            ("quarantined", seen["quarantined"]),
        ]
    )
    return f"{head}\n{wrapped(QUARANTINE_HINT)}" if seen["quarantined"] else head


def _identity(until: datetime, now: datetime) -> str:
    if now <= until:
        return f"valid until {at(until)}"
    return f"expired {at(until)}: partners refuse it (`agent init`)"


def _daemon(seen: Seen) -> str:
    if seen["died_at"]:
        return f"not running: killed or crashed about {_at(seen['died_at'])}; start it again with `agent run`"
    if not seen["running"]:
        return "not running (start it with `agent run`)"
    if seen["silent"]:
        since = f"since {_at(seen['said_at'])}" if seen["said_at"] else "so far"
        return f"running, but silent {since}: it hangs or its disk is full, see its log; what follows may be old"
    if crew := seen["issuing_processes"]:
        return "; ".join([f"running, issuing processes {crew['running']} of {crew['wanted']}", *crew["troubles"]])
    return "running"


def _channel(seen: Seen) -> str:
    if seen["channel"]:
        return f"listens on {seen['channel']}"
    return "does not listen: agent.toml has no [channel], which only issuers need"


def _section(title: str, headings: Sequence[str], rows: Iterable[Sequence[Any]], notes: Sequence[str] = ()) -> str:
    filled = list(rows)
    return f"\n{title}\n{table(headings, filled, notes)}" if filled else ""


def _links(seen: Seen) -> str:
    return _section("links", ("issuer", "as", "state"), map(_link, seen["links"]))


def _link(link: Seen) -> tuple[Any, ...]:
    return link["issuer"], link["role"], link["state"]


def _partner(one: Seen) -> tuple[Any, ...]:
    roles = ", ".join(root["acts_as"] for root in one["roots"]) or "none"
    last = _at(one["last_channel"]) if one["last_channel"] else "never"
    return one["name"], "yes" if one["agreed"] else "no", last, roles


def _roots(one: Seen) -> str:
    """The SHA-256 of each in full, on a line of its own: two people compare them by voice."""
    lines = [f"{root['acts_as']} {root['sha256']}" for root in one["roots"]]
    return "\n".join([*lines, ROOTS_DIFFER] if len({root["sha256"] for root in one["roots"]}) > 1 else lines)


def _unusable(partners: Iterable[Seen]) -> Iterable[str]:
    """Agreements that nothing is issued by."""
    troubles = ((one["name"], one.get("agreement_unusable")) for one in partners)
    return (
        wrapped(f"The agreement with {name} cannot be used, and {name} is refused: {why}")
        for name, why in troubles
        if why
    )


def _transaction(one: Seen) -> tuple[Any, ...]:
    return short(one["id"]), one["role"], one["partner"], one["state"], ", ".join(one["names"])


def _first_problem(one: Seen) -> str:
    """Why it ended as it did."""
    return next((f"{found['field']}: {found['got']}; allowed: {found['allowed']}" for found in one["problems"]), "")


def _certificate(one: Seen, now: datetime) -> tuple[Any, ...]:
    state = f"{_span(one['not_after'] - now)} left" if one["state"] == "in force" else one["state"]
    return one["serial"], one["issuer"], one["holder"], state


def _renewals(certificates: Sequence[Seen]) -> list[str]:
    """When to enroll again: of the latest credential from each issuer that we hold and that is in force."""
    held = [one for one in certificates if one["renew_after"] and one["state"] == "in force"]
    latest = {one["issuer"]: one for one in reversed(held)}.values()
    return [f"enroll again after {at(one['renew_after'])}" if one in latest else "" for one in certificates]


def _span(span: timedelta) -> str:
    """A time that is left, rounded to what people think in."""
    for unit, length in (("days", timedelta(days=1)), ("hours", timedelta(hours=1))):
        if span >= 1.5 * length:
            return f"{round(span / length)} {unit}"
    return f"{round(span / timedelta(minutes=1))} min"


def _at(iso: str) -> str:
    return at(datetime.fromisoformat(iso))
