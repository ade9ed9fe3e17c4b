"""`agent init`: the organisation's CA, the agent's identity, its channel certificate and its configuration."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli.options import DEFAULT_HOME, AsJson, Home
from agents.cli.output import Output, clean, fields

if TYPE_CHECKING:
    from agents.config.agent import AgentConfig

LOOPBACK = ("127.", "localhost:", "[::1]:")


def init(
    *,
    name: Annotated[str, typer.Option(metavar="NAME", help="Short name, as partners will know it: a-z, 0-9 and '-'.")],
    organization: Annotated[
        str, typer.Option(metavar="TITLE", help="The organisation's name for people; default: the short name.")
    ] = "",
    endpoint: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where partners reach our channel; needed to invite anybody.")
    ] = "",
    listen: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS:PORT",
            help="Where it listens; default: the endpoint's port on 127.0.0.1, which only this machine reaches.",
        ),
    ] = "",
    broker: Annotated[str, typer.Option(metavar="URL", help="The message broker: amqp[s]://HOST:PORT.")] = "",
    broker_user: Annotated[
        str, typer.Option(metavar="USER", help="Our user at the broker; default: the short name.")
    ] = "",
    broker_password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File with that user's password.")
    ] = None,
    broker_ca_file: Annotated[Path | None, typer.Option(metavar="FILE", help="CA of an amqps broker, PEM.")] = None,
    broker_certificate_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificate to log in with instead of a password, PEM.")
    ] = None,
    broker_key_file: Annotated[Path | None, typer.Option(metavar="FILE", help="Key of that certificate, PEM.")] = None,
    broker_virtual_host: Annotated[
        str, typer.Option(metavar="NAME", help="The broker's only virtual host; default: one for each issuer.")
    ] = "",
    key_type: Annotated[
        str, typer.Option(metavar="KIND", help="CA keys: P-256, P-384, P-521, RSA-3072 or RSA-4096.")
    ] = "P-256",
    passphrase_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Passphrase of the CA keys; default: one is made, in ca/.")
    ] = None,
    intermediate: Annotated[bool, typer.Option(help="Issue with an intermediate CA under the root.")] = True,
    import_ca: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Use the CA in this folder instead of a new root.")
    ] = None,
    import_passphrase_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Passphrase of the keys in that folder, if it is another one.")
    ] = None,
    if_missing: Annotated[
        bool, typer.Option("--if-missing", help="Do nothing if the home has this agent already.")
    ] = False,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Set up this organisation's agent: its own CA, identity and configuration, in one directory."""
    from agents.bootstrap.setup import BrokerAnswers, Setup, set_up
    from agents.config.agent import load_config

    login = BrokerAnswers(
        url=broker,
        user=broker_user,
        password_file=broker_password_file,
        ca_file=broker_ca_file,
        certificate_file=broker_certificate_file,
        key_file=broker_key_file,
        virtual_host=broker_virtual_host,
    )
    made = set_up(
        Setup(
            home=home,
            name=name,
            title=organization or name,
            endpoint=endpoint,
            listen=listen,
            broker=login,
            key_type=key_type,
            passphrase_file=passphrase_file,
            intermediate=intermediate,
            import_ca=import_ca,
            import_passphrase_file=import_passphrase_file,
            if_missing=if_missing,
        )
    )
    for warning in made.warnings:
        print(f"warning: {clean(warning)}", file=sys.stderr)
    config = load_config(made.home)
    facts = [("agent", made.name), ("home", made.home), ("root SHA-256", made.root), *_channel(config)]
    Output(as_json).show(made, fields([*facts, *_next_steps(config, made.home)]))


def _channel(config: AgentConfig) -> list[tuple[str, str]]:
    """Where it will listen; partners on other machines reach no loopback address."""
    if config.channel is None:
        return []
    listen, endpoint = config.channel.listen, config.channel.endpoint
    lines = [("channel", f"will listen on {listen}; partners dial {endpoint}")]
    if listen.startswith(LOOPBACK) and endpoint.host != "localhost":
        fix = f'set listen = "0.0.0.0:{endpoint.port}" in agent.toml for partners elsewhere'
        return [*lines, ("", f"only this machine reaches {listen}: {fix}")]
    return lines


def _next_steps(config: AgentConfig, home: Path) -> list[tuple[str, str]]:
    """What its operator does next with an agent that was just made."""
    here = "" if home == DEFAULT_HOME.expanduser() else f" --home {shlex.quote(str(home))}"
    if config.channel:
        steps = [
            ("next", f"agent invite PARTNER --dns '**.PARTNER.example' --out FILE{here}"),
            ("", f"agent run{here}"),
        ]
    else:
        steps = [("next", f"agent enroll --invitation FILE --dns NAME{here}")]
    if config.broker or config.brokers:
        return steps
    return [("first", f"add [broker] with url and password_file to {home / 'agent.toml'}, to enroll at all"), *steps]
