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
        bool,
        typer.Option(
            "--health", help="Only how the daemon fares; exit 1 unless it runs, is connected and has no trouble."
        ),
    ] = False,
    limit: Annotated[
        int, typer.Option(metavar="NUMBER", min=1, help="How many transactions to show, newest first.")
    ] = 20,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> ExitCode:
    """Show partners, links, transactions and certificates, as they are recorded and as the daemon says."""
    from agents.bootstrap.agent import Agent
    from agents.bootstrap.overview import condition, overview
    from agents.cli.overviews import text_of, text_of_condition

    agent, output = Agent(home), Output(as_json)
    if health:
        seen = condition(agent)
        output.show(seen, text_of_condition(seen))
        return ExitCode.DONE if seen["healthy"] else ExitCode.NEGATIVE
    seen = overview(agent, limit)
    output.show(seen, text_of(seen, agent.clock.now()))
    return ExitCode.DONE
