"""`agent status`: what runs, what is connected, what waits."""

from __future__ import annotations

from typing import Annotated

import typer

from agents.cli.exits import ExitCode
from agents.cli.options import DEFAULT_HOME, AsJson, Home
from agents.cli.output import Output


def status(
    *,
    health: Annotated[
        bool, typer.Option("--health", help="Exit 1 unless the daemon runs, is connected and has no trouble.")
    ] = False,
    limit: Annotated[
        int, typer.Option(metavar="NUMBER", min=1, help="How many transactions to show, newest first.")
    ] = 20,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> ExitCode:
    """Show partners, links, transactions and certificates, as they are recorded and as the daemon says."""
    from agents.bootstrap.agent import Agent
    from agents.bootstrap.overview import overview
    from agents.cli.overviews import text_of

    agent = Agent(home)
    seen = overview(agent, limit)
    Output(as_json).show(seen, text_of(seen, agent.clock.now()))
    return ExitCode.NEGATIVE if health and not seen["healthy"] else ExitCode.DONE
