"""`agent pending`, `agent approve`, `agent deny`: requests that a person must decide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli.options import DEFAULT_HOME, AsJson, Home
from agents.cli.output import Output, at, fields, short, table

if TYPE_CHECKING:
    from agents.ports import TransactionRecord

Id = Annotated[str, typer.Argument(metavar="ID", help="Transaction id, or at least its last 8 characters.")]


def pending(*, home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """List the requests that wait for a person, oldest first."""
    from agents.bootstrap.agent import Agent
    from agents.bootstrap.approval import held

    records = held(Agent(home))
    rows = [(short(one.key.id), one.key.partner, at(one.created_at), ", ".join(one.names)) for one in records]
    text = table(("id ends in", "partner", "since", "names"), rows) if rows else "Nothing waits for approval."
    Output(as_json).show([_facts(one) for one in records], text)


def approve(id: Id, *, home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Approve a request; the daemon judges it by the policy once more, issues, and sends the certificate."""
    _decide(id, home, as_json=as_json, allow=True, reason="")


def deny(
    id: Id,
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; the requester reads it.")],
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Deny a request; the requester is told the reason."""
    _decide(id, home, as_json=as_json, allow=False, reason=reason)


def _decide(id: str, home: Path, *, as_json: bool, allow: bool, reason: str) -> None:
    from agents.bootstrap.agent import Agent
    from agents.bootstrap.approval import decide

    agent = Agent(home)
    record = decide(agent, id, allow=allow, reason=reason)
    running = agent.lock.is_held()
    word = "approved" if allow else "denied"
    note = "the daemon answers now" if running else "no daemon runs: the answer leaves with the next `agent run`"
    partner = agent.ledger.partner(record.key.partner)
    stranger = not allow and not (partner and partner.anchors)
    again = [("again", f"{record.key.partner} needs a new invitation to ask once more")] if stranger else []
    Output(as_json).show(
        _facts(record) | {"decision": word, "daemon_running": running, "needs_invitation": stranger},
        fields([(word, record.key.id), ("partner", record.key.partner), ("next", note), *again]),
    )


def _facts(record: TransactionRecord) -> dict[str, object]:
    return {
        "id": record.key.id,
        "partner": record.key.partner,
        "since": record.created_at,
        "expires_at": record.expires_at,
        "names": record.names,
    }
