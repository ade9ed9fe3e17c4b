"""`agent enroll`: ask an issuer for a certificate, and follow the request until the channel is verified."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli.exits import ExitCode
from agents.cli.options import DEFAULT_HOME, AsJson, Home
from agents.cli.output import Output, fields, problem_text

if TYPE_CHECKING:
    from agents.bootstrap.agent import Agent
    from agents.bootstrap.enrollment import Ask
    from agents.ports import TransactionRecord
    from protocol.csr import KeyKind, SubjectName
    from protocol.invitation import Invitation


def enroll(  # noqa: PLR0913 - the options of a command
    *,
    invitation: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The issuer's invitation; '-' is standard input.")
    ] = None,
    issuer: Annotated[
        str, typer.Option(metavar="NAME", help="The issuer, where several are known and there is no invitation.")
    ] = "",
    dns: Annotated[list[str], typer.Option(metavar="NAME", help="DNS name to ask for; may be repeated.")] = [],  # noqa: B006
    uri: Annotated[list[str], typer.Option(metavar="URI", help="URI to ask for; may be repeated.")] = [],  # noqa: B006
    email: Annotated[
        list[str], typer.Option(metavar="ADDRESS", help="E-mail address to ask for; may be repeated.")
    ] = [],  # noqa: B006
    ip: Annotated[list[str], typer.Option(metavar="ADDRESS", help="IP address to ask for; may be repeated.")] = [],  # noqa: B006
    common_name: Annotated[str, typer.Option(metavar="NAME", help="Common name, where the agreement wants one.")] = "",
    key_type: Annotated[
        str, typer.Option(metavar="KIND", help="Key to make: P-256, P-384, P-521, Ed25519 or RSA.")
    ] = "P-256",
    csr: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Enroll this PKCS#10 request; its key stays put.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --csr: its key, to verify the channel.")
    ] = None,
    lifetime: Annotated[str, typer.Option(metavar="DURATION", help="Wanted lifetime, for example 30d.")] = "",
    wait: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="How long to follow the enrollment.")] = 60.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be asked; make and send nothing.")
    ] = False,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> ExitCode:
    """Enroll with an issuer: send it a certification request, take the certificate, and verify the channel with it."""
    from agents.bootstrap import enrollment
    from agents.bootstrap.agent import Agent
    from agents.bootstrap.following import follow
    from agents.config.reading import duration_option

    kind, names = _key_kind(key_type), _names(dns, uri, email, ip)
    ask = enrollment.Ask(
        issuer=issuer or None,
        names=names,
        common_name=common_name or None,
        key_kind=kind,
        csr_file=csr,
        key_file=key,
        lifetime=duration_option("--lifetime", lifetime),
    )
    agent, out = Agent(home), Output(as_json)
    invited = enrollment.read_invitation(*_source(invitation))
    enrollment.warn_of_readers(invitation, agent.log)
    if dry_run:
        return _show_plan(agent, ask, invited, out)
    transaction = enrollment.start(agent, ask, invited)
    out.say(f"transaction {transaction.id} with {transaction.partner}")
    record = follow(agent, transaction, wait, lambda record: out.say(f"  {record.state}"))
    return _show(agent, record, out)


def _source(path: Path | None) -> tuple[Path | None, str | None]:
    from protocol.invitation import TEXT_MAX

    return (None, sys.stdin.read(TEXT_MAX + 1)) if str(path) == "-" else (path, None)


def _key_kind(text: str) -> KeyKind:
    from agents.errors import ConfigurationError
    from protocol.csr import KeyKind

    found = next((kind for kind in KeyKind if kind.lower() == text.lower()), None)
    if found is None:
        raise ConfigurationError(f"--key-type '{text}': wanted one of {', '.join(KeyKind)}.")
    return found


def _names(dns: list[str], uri: list[str], email: list[str], ip: list[str]) -> tuple[SubjectName, ...]:
    from protocol.csr import NameKind, SubjectName

    asked = {NameKind.DNS: dns, NameKind.URI: uri, NameKind.EMAIL: email, NameKind.IP: ip}
    return tuple(SubjectName(kind, value) for kind, values in asked.items() for value in values)


def _show_plan(agent: Agent, ask: Ask, invited: Invitation | None, out: Output) -> ExitCode:
    from agents.bootstrap import enrollment

    planned = enrollment.plan(agent, ask, invited)
    request = planned.request
    shown = {
        "issuer": planned.issuer,
        "names": [str(name) for name in (request.names if request else ask.names)],
        "key": request.key.kind if request else ask.key_kind,
        "lifetime_seconds": ask.lifetime.total_seconds() if ask.lifetime else None,
        "broker": planned.broker,
    }
    lines = fields([(key, ", ".join(value) if isinstance(value, list) else value) for key, value in shown.items()])
    out.show(shown, f"Would ask, and has sent nothing:\n{lines}")
    return ExitCode.DONE


def _show(agent: Agent, record: TransactionRecord, out: Output) -> ExitCode:
    from agents.bootstrap.following import GOOD, acknowledged

    recorded = acknowledged(agent, record.key)
    result = {
        "transaction": record.key.id,
        "issuer": record.key.partner,
        "state": record.state,
        "issuer_state": recorded,
        "serial": record.serial,
        "problems": [item.model_dump(mode="json") for item in record.problems],
        "credential": None,
    }
    if record.state not in GOOD:
        out.show(result, "\n".join([f"{record.state} by {record.key.partner}:", *map(problem_text, record.problems)]))
        return ExitCode.NEGATIVE
    directory = agent.home / "credentials" / record.key.partner
    result["credential"] = str(directory / ("current" if record.state == "verified" else str(record.serial)))
    out.show(
        result,
        fields(
            [
                (str(record.state), f"serial {record.serial}"),
                (f"{record.key.partner} says", _SAID.get(recorded, recorded)),
                ("credential", result["credential"]),
            ]
        ),
    )
    return ExitCode.NEGATIVE if recorded == "lapsed" else ExitCode.DONE


_SAID = {
    None: "nothing yet; `agent status` will show it",
    "lapsed": "lapsed: the confirmation came too late, and it no longer accepts this certificate; enroll again",
}
