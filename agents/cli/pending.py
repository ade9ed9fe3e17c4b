"""`agent pending`, `agent approve`, `agent deny`: requests that a person must decide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli.options import DEFAULT_HOME, AsJson, Home
from agents.cli.output import Output, at, fields, short, table

if TYPE_CHECKING:
    from agents.bootstrap.approval import ShownRoot
    from agents.ports import TransactionRecord

Id = Annotated[str, typer.Argument(metavar="ID", help="Transaction id, or at least its last 8 characters.")]
Partner = Annotated[
    str, typer.Option(metavar="NAME", help="Who asks, where requests of several have the same transaction id.")
]


def pending(*, home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """List the requests that wait for a person, oldest first, each with the SHA-256 of the root that it shows."""
    from agents.bootstrap.agent import Agent
    from agents.bootstrap.approval import held, shown_root

    agent = Agent(home)
    records = held(agent)
    roots = [shown_root(agent, one) for one in records]
    rows = [(short(one.key.id), one.key.partner, at(one.created_at), ", ".join(one.names)) for one in records]
    lines = table(("id ends in", "partner", "since", "names"), rows, [_root_note(root) for root in roots])
    facts = [
        _facts(one, root) | {"root_pinned": bool(root and root.pinned)}
        for one, root in zip(records, roots, strict=True)
    ]
    Output(as_json).show(facts, lines if rows else "Nothing waits for approval.")


def approve(id: Id, *, partner: Partner = "", home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Approve a request. The daemon then judges it by the agreement once more, which may have changed: it sends the
    certificate, or a refusal with every reason."""
    _decide(id, partner, home, as_json=as_json, allow=True, reason="")


def deny(
    id: Id,
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; the requester reads it.")],
    partner: Partner = "",
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Deny a request; the requester is told the reason."""
    _decide(id, partner, home, as_json=as_json, allow=False, reason=reason)


def _decide(id: str, partner: str, home: Path, *, as_json: bool, allow: bool, reason: str) -> None:
    from agents.bootstrap.agent import Agent
    from agents.bootstrap.approval import decide, shown_root
    from protocol.transaction import Role

    agent = Agent(home)
    record = decide(agent, id, allow=allow, reason=reason, partner=partner)
    root = shown_root(agent, record)
    running = agent.lock.is_held()
    word = "approved" if allow else "denied"
    does = "judges it by the agreement once more, and answers" if allow else "answers"
    note = f"the daemon now {does}" if running else f"no daemon runs: the next `agent run` {does}"
    asker = agent.ledger.partner(record.key.partner)
    stranger = not allow and not (asker and asker.pinned_as(Role.REQUESTER))
    again = [("again", f"{record.key.partner} needs a new invitation to ask once more")] if stranger else []
    Output(as_json).show(
        _facts(record, root) | {"decision": word, "daemon_running": running, "needs_invitation": stranger},
        fields(
            [
                (word, record.key.id),
                ("partner", record.key.partner),
                ("root SHA-256", root.fingerprint if root else "not on record"),
                ("next", note),
                *again,
            ]
        ),
    )


def _root_note(root: ShownRoot | None) -> str:
    """Fits a line with its fingerprint in full: two people compare it by voice."""
    if root is None:
        return "root not on record"
    return f"{'pinned' if root.pinned else 'new'} root {root.fingerprint}"


def _facts(record: TransactionRecord, root: ShownRoot | None) -> dict[str, object]:
    return {
        "id": record.key.id,
        "partner": record.key.partner,
        "since": record.created_at,
        "expires_at": record.expires_at,
        "names": record.names,
        "root": root.fingerprint if root else None,
    }
