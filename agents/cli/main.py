"""The `agent` command: which commands there are. Each is imported only when it runs or shows its own help.

A command is a plain function with typer annotations, in a file of its own. It takes `agents.cli.options.Home` and
`AsJson`, prints through `agents.cli.output`, returns nothing or an `agents.cli.exits.ExitCode`, and raises the errors
of `protocol.errors` and `agents.errors`, which `agents.cli.exits` explains.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from agents.cli import exits
from agents.cli.group import Table, make_group

TABLE: Table = {
    "Set up": (),
    "Enroll": (),
    "Check": (),
    "Message broker": (),
    "Try it": (),
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
    sys.exit(exits.run(make_group("agent", TABLE, agent), sys.argv[1:]))
