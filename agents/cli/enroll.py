"""`agent enroll`: ask an issuer for a certificate, and follow the request until the channel is verified."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli.enrolled import continues, interrupted, show_continued, show_outcome, show_plan
from agents.cli.exits import ExitCode
from agents.cli.options import DEFAULT_HOME, AsJson, Home
from agents.cli.output import Output

if TYPE_CHECKING:
    from protocol.csr import KeyKind, SubjectName


def enroll(
    *,
    invitation: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The issuer's invitation; '-' is standard input.")
    ] = None,
    issuer: Annotated[
        str, typer.Option(metavar="NAME", help="The issuer, where several are known and there is no invitation.")
    ] = "",
    dns: Annotated[list[str], typer.Option(metavar="NAME", help="DNS name to ask for; may be repeated.")] = [],
    uri: Annotated[list[str], typer.Option(metavar="URI", help="URI to ask for; may be repeated.")] = [],
    email: Annotated[
        list[str], typer.Option(metavar="ADDRESS", help="E-mail address to ask for; may be repeated.")
    ] = [],
    ip: Annotated[list[str], typer.Option(metavar="ADDRESS", help="IP address to ask for; may be repeated.")] = [],
    common_name: Annotated[str, typer.Option(metavar="NAME", help="Common name, where the agreement wants one.")] = "",
    key_type: Annotated[
        str, typer.Option(metavar="KIND", help="Key to make: P-256, P-384, P-521, Ed25519 or RSA.")
    ] = "P-256",
    csr: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Enroll this PKCS#10 request; its key stays where it is."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --csr: its key, not encrypted, to verify the channel."),
    ] = None,
    lifetime: Annotated[str, typer.Option(metavar="DURATION", help="Wanted lifetime, for example 30d.")] = "",
    wait: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="How long to follow it here.")] = 60.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be asked; make and send nothing.")
    ] = False,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> ExitCode:
    """Enroll with an issuer: send it a certification request, take the certificate, and verify the channel with it."""
    from agents.bootstrap import enrollment
    from agents.bootstrap.agent import Agent
    from agents.bootstrap.earlier import earlier
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
    agent, out = Agent(home, terse=True), Output(as_json)
    invited = enrollment.read_invitation(*_source(invitation))
    enrollment.warn_of_readers(invitation, agent.log)
    before = earlier(agent, ask, invited)
    if dry_run:
        return show_continued(before, out) if before else show_plan(agent, ask, invited, out)
    transaction = before.key if before else enrollment.start(agent, ask, invited)
    out.say(continues(before) if before else f"transaction {transaction.id} with {transaction.partner}")
    try:
        record = follow(agent, transaction, wait, lambda record: out.say(f"  {record.state}"))
    except KeyboardInterrupt:
        return interrupted(transaction, as_json=as_json)
    return show_outcome(agent, record, out)


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
