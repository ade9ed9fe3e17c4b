"""The options that every command has, spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_HOME = Path("~/.apostille")

Home = Annotated[
    Path,
    typer.Option(
        "--home",
        metavar="DIR",
        envvar="AGENT_HOME",
        help="Which agent: the directory with its configuration, keys and ledger.",
        callback=Path.expanduser,
    ),
]
"""Directory of the agent; write the parameter as `home: Home = DEFAULT_HOME`."""

AsJson = Annotated[bool, typer.Option("--json", help="Print the result, and any error, as JSON.")]
"""Write the parameter as `as_json: AsJson = False`; hand it to `agents.cli.output.Output`."""
