"""The `agent` command: which commands there are. Each is imported only when it runs or shows its own help.

A command is a plain function with typer annotations. It takes `agents.cli.options.Home` and `AsJson`, prints through
`agents.cli.output`, returns nothing or an `agents.cli.exits.ExitCode`, and raises the errors of `protocol.errors` and
`agents.errors`, which `agents.cli.exits` explains.
"""

from __future__ import annotations

import sys
import warnings
from io import TextIOWrapper
from typing import Annotated

import typer

from agents.cli import exits
from agents.cli.group import Command, Table, make_group

TABLE: Table = {
    "Set up": (
        Command("init", "agents.cli.init", "init", "make this organisation's CA, identity and configuration"),
        Command("invite", "agents.cli.invite", "invite", "agree with a partner, and make its invitation"),
        Command("unpin", "agents.cli.unpin", "unpin", "remove the root pinned for a partner, for a new one"),
        Command("ledger upgrade", "agents.cli.ledger", "upgrade", "make the ledger's tables, or bring them up to date"),
    ),
    "Enroll": (
        Command(
            "run", "agents.cli.run", "run", "run the agent: answer partners, follow our requests, serve the channel"
        ),
        Command(
            "enroll", "agents.cli.enroll", "enroll", "ask an issuer for a certificate and verify the channel with it"
        ),
        Command("pending", "agents.cli.pending", "pending", "list requests that wait for a person"),
        Command("approve", "agents.cli.pending", "approve", "approve one of them"),
        Command("deny", "agents.cli.pending", "deny", "deny one of them, with a reason"),
    ),
    "Check": (
        Command("status", "agents.cli.status", "status", "what runs, what is connected, what waits"),
        Command("policy check", "agents.cli.policy", "check", "judge a certification request by a policy file"),
        Command(
            "channel check", "agents.cli.channel", "check", "open the channel to a partner; show what each end saw"
        ),
    ),
    "Message broker": (
        Command("broker definitions", "agents.cli.broker", "definitions", "print the definitions file for a RabbitMQ"),
        Command(
            "broker certify",
            "agents.cli.broker_certify",
            "certify",
            "make certificates and settings for a RabbitMQ over TLS",
        ),
        Command("broker run", "agents.cli.broker", "run", "run a private broker for trying things by hand"),
    ),
    "Try it": (
        Command("demo", "agents.cli.demo", "demo", "two organisations, a private broker, the whole story"),
        Command("simulate", "agents.cli.simulate", "simulate", "onboard many partners on a bad day, and judge it"),
    ),
}
"""Heading of the help page -> commands in the order of their use: name, module, function, one line of help."""


def _show_version(wanted: bool) -> None:  # noqa: FBT001 (typer passes it so)
    from importlib.metadata import version  # slow, and rarely wanted

    if wanted:
        typer.echo(f"agent {version('apostille')}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version and exit.")
]


def agent(*, version: Version = False) -> None:
    """Enroll with partner organisations over a message broker, and open mutually verified TLS channels to them."""


def main() -> None:
    """Run the command line that this process was started with, and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if not sys.warnoptions:  # libraries warn whoever programs with them, on standard error, between the lines of a log
        warnings.simplefilter("ignore")
    sys.exit(exits.run(make_group("agent", TABLE, agent), sys.argv[1:]))


if __name__ == "__main__":
    main()
