"""`agent broker`: the definitions file for an operator's broker, and a private broker for trying things by hand."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli.options import AsJson
from agents.cli.output import Output, fields, to_json

if TYPE_CHECKING:
    from agents.bootstrap.broker import RunningBroker

Issuers = Annotated[
    list[str],
    typer.Option("--issuer", metavar="NAME", help="An organisation that others enroll with; may be repeated."),
]
Requesters = Annotated[
    list[str],
    typer.Option("--requester", metavar="NAME", help="An organisation that enrolls with them; may be repeated."),
]
PasswordFiles = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where passwords lie, or are made; default: logins with certificates only."),
]


def definitions(
    *, issuer: Issuers, requester: Requesters, password_files: PasswordFiles = None, as_json: AsJson = False
) -> None:
    """Print the definitions file of a RabbitMQ (its setting load_definitions) for these organisations.

    With --password-files, each organisation gets a password in a file of its own, which its operator needs; the
    definitions hold hashes only. Passwords that are there already stay as they are.
    """
    from agents.bootstrap.broker import Partnership, broker_definitions

    made = broker_definitions(Partnership.parse(issuer, requester), password_files)
    Output(as_json).show(made, to_json(made))


def run(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where the broker keeps everything.")],
    *,
    issuer: Issuers,
    requester: Requesters,
    port: Annotated[
        int | None, typer.Option(metavar="PORT", min=1, max=65535, help="Where to listen; default: any free port.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a private broker on this machine until Ctrl-C, for trying things by hand."""
    from agents.bootstrap.broker import Partnership, running_broker

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    partnership = Partnership.parse(issuer, requester)
    output = Output(as_json)
    output.say("Starting a broker; this takes some seconds ...")
    try:
        with running_broker(directory, partnership, port) as running:
            output.show({"kind": running.kind, "url": running.address, "logins": running.logins}, _describe(running))
            running.broker.wait()
    except KeyboardInterrupt:
        output.say("Stopped; nothing is left running.")


def _describe(running: RunningBroker) -> str:
    lines = [f"Up: {running.kind} at {running.address}", ""]
    for login in running.logins:
        role = "issuer" if login.organisation == login.issuer else "requester"
        pairs = [("virtual host", login.virtual_host), ("user", login.organisation)]
        lines += [f"{login.organisation}, {role}", fields([*pairs, ("password file", login.password_file)]), ""]
    return "\n".join([*lines, "Ctrl-C ends it."])
