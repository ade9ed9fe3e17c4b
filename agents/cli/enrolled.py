"""What `agent enroll` says: what it would ask, what it goes on with, what became of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from agents.cli.exits import HERE, ExitCode, Failure, render
from agents.cli.output import Output, at, fields, problem_text

if TYPE_CHECKING:
    from pathlib import Path

    from agents.bootstrap.agent import Agent
    from agents.bootstrap.asking import Ask
    from agents.core.effects import TransactionKey
    from agents.ports import TransactionRecord
    from protocol.invitation import Invitation


def continues(before: TransactionRecord) -> str:
    """That nothing new is begun, and what would."""
    from agents.bootstrap.following import GOOD
    from protocol.transaction import Role, is_final

    begun = f"transaction {before.key.id} with {before.key.partner}, begun at {at(before.created_at)}"
    if before.state in GOOD:
        return f"this invitation was used, and the same asked for by {begun}; to enroll again, leave --invitation out"
    if is_final(Role.REQUESTER, before.state):
        return f"this invitation has expired, and was used by {begun}; to ask again, have the issuer make a new one"
    return f"continues {begun}"


def interrupted(transaction: TransactionKey, *, as_json: bool) -> ExitCode:
    """Ctrl-C ends the command, not the enrollment."""
    from agents.bootstrap.following import goes_on

    stopped = Failure(ExitCode.INTERRUPTED, KeyboardInterrupt.__name__, HERE, f"stopped; {goes_on(transaction)}")
    print(render(stopped, as_json=as_json), file=sys.stderr)
    return stopped.code


def show_continued(before: TransactionRecord, out: Output) -> ExitCode:
    """A dry run of what is under way already."""
    result = {"transaction": before.key.id, "issuer": before.key.partner, "state": before.state}
    out.show(result, f"Would ask for nothing new: {continues(before)}")
    return ExitCode.DONE


def show_plan(agent: Agent, ask: Ask, invited: Invitation | None, out: Output) -> ExitCode:
    """A dry run. Raises as `agents.bootstrap.enrollment.plan`."""
    from agents.bootstrap import enrollment
    from agents.config.reading import show_duration

    planned = enrollment.plan(agent, ask, invited)
    request = planned.request
    names = [str(name) for name in (request.names if request else ask.names)]
    key = request.key.kind if request else ask.key_kind
    shown = {
        "issuer": planned.issuer,
        "names": names,
        "key": key,
        "lifetime_seconds": ask.lifetime.total_seconds() if ask.lifetime else None,
        "broker": planned.broker,
    }
    lines = fields(
        [
            ("issuer", planned.issuer),
            ("names", ", ".join(names)),
            ("key", key),
            ("lifetime", show_duration(ask.lifetime) if ask.lifetime else "the issuer's default"),
            ("broker", planned.broker),
        ]
    )
    out.show(shown, f"Would ask, and has sent nothing:\n{lines}")
    return ExitCode.DONE


def show_outcome(agent: Agent, record: TransactionRecord, out: Output) -> ExitCode:
    """Where the enrollment stands at its end, and the exit code for that."""
    from agents.bootstrap.following import GOOD, acknowledged, notes

    recorded, left_out = acknowledged(agent, record.key), notes(agent, record.key)
    result = {
        "transaction": record.key.id,
        "issuer": record.key.partner,
        "state": record.state,
        "issuer_state": recorded,
        "begun_at": record.created_at,
        "serial": record.serial,
        "problems": [item.model_dump(mode="json") for item in record.problems],
        "notes": left_out,
        "credential": None,
    }
    if record.state not in GOOD:
        out.show(result, "\n".join([f"{record.state} by {record.key.partner}:", *map(problem_text, record.problems)]))
        return ExitCode.NEGATIVE
    said, code = verdict(record.state, recorded)
    result["credential"] = str(place(agent.home / "credentials" / record.key.partner, str(record.serial)))
    out.show(
        result,
        fields(
            [
                (str(record.state), f"serial {record.serial}"),
                (f"{record.key.partner} says", said),
                ("credential", result["credential"]),
                *(("note", note) for note in left_out),
            ]
        ),
    )
    return code


def place(credentials: Path, serial: str) -> Path:
    """Where the credential lies: under `current` while that is the one in force, which programs are pointed at."""
    current, own = credentials / "current", credentials / serial
    return current if current.resolve() == own.resolve() else own


def verdict(state: str, recorded: str | None) -> tuple[str, ExitCode]:
    """What the issuer's word means for a requester that has its credential, and the exit code for that."""
    match state, recorded:
        case _, None:
            return "nothing yet; `agent status` will show it", ExitCode.DONE
        case _, "lapsed":
            late = "lapsed: the confirmation came too late, and it no longer accepts this certificate; enroll again"
            return late, ExitCode.NEGATIVE
        case "verified", "delivered":
            unseen = "delivered: its own channel has not seen this certificate; ask its operator which channel that was"
            return unseen, ExitCode.NEGATIVE
        case _, said:
            return said, ExitCode.DONE
