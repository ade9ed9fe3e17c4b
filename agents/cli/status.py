"""`agent status`: what runs, what is connected, what waits."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from agents.cli.exits import ExitCode
from agents.cli.options import DEFAULT_HOME, AsJson, Home
from agents.cli.output import Output, fields, table


def status(
    *,
    health: Annotated[
        bool, typer.Option("--health", help="Exit 1 unless the daemon runs, is connected and has no trouble.")
    ] = False,
    limit: Annotated[
        int, typer.Option(metavar="NUMBER", min=1, help="How many transactions to show, newest first.")
    ] = 20,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> ExitCode:
    """Show partners, links, transactions and certificates, as they are recorded and as the daemon says."""
    from agents.bootstrap.agent import Agent
    from agents.bootstrap.overview import overview

    seen = overview(Agent(home), limit)
    Output(as_json).show(seen, _text(seen))
    return ExitCode.NEGATIVE if health and not seen["healthy"] else ExitCode.DONE


def _text(seen: dict[str, Any]) -> str:
    head = fields(
        [
            ("agent", f"{seen['organisation']} in {seen['home']}"),
            ("root SHA-256", seen["root"]),
            ("daemon", _daemon(seen)),
            ("channel", seen["channel"] or "none open"),
            ("waiting", f"{seen['waiting_to_leave']} messages to leave, {seen['waiting_for_approval']} for approval"),
            ("quarantined", seen["quarantined"]),
        ]
    )
    parts = [head]
    parts += _section(
        "links", ("issuer", "as", "state"), [(one["issuer"], one["role"], _state(one)) for one in seen["links"]]
    )
    parts += _section(
        "partners", ("name", "agreed", "roots", "last channel"), [_partner(one) for one in seen["partners"]]
    )
    parts += _section(
        "transactions", ("id", "as", "partner", "state", "names"), [_line(one) for one in seen["transactions"]]
    )
    parts += _section(
        "certificates",
        ("serial", "issuer", "holder", "days left", "state"),
        [(one["serial"], one["issuer"], one["holder"], one["days_left"], one["state"]) for one in seen["certificates"]],
    )
    return "\n".join(parts)


def _daemon(seen: dict[str, Any]) -> str:
    if not seen["running"]:
        return "not running (start it with `agent run`)"
    if seen["silent"]:
        since = f"since {seen['said_at']}" if seen["said_at"] else "so far"
        return f"running, but silent {since}: it hangs or its disk is full, see its log; what follows may be old"
    return "running"


def _section(title: str, headings: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[str]:
    return [f"\n{title}", table(headings, rows)] if rows else []


def _state(link: dict[str, Any]) -> str:
    if link.get("trouble"):
        return f"in trouble: {link['trouble']}"
    if link.get("blocked"):
        return f"blocked by the broker: {link['blocked']}"
    if link.get("connected") and link.get("concern"):
        return f"connected; last concern: {link['concern']}"
    return "connected" if link.get("connected") else f"not connected: {link.get('last_error') or 'connecting'}"


def _partner(one: dict[str, Any]) -> tuple[Any, ...]:
    roots = ", ".join(f"{root[:16]}..." for root in one["roots"]) or "none yet"
    return one["name"], "yes" if one["agreed"] else "no", roots, one["last_channel"] or "never"


def _line(one: dict[str, Any]) -> tuple[Any, ...]:
    return one["id"], one["role"], one["partner"], one["state"], ", ".join(one["names"])
