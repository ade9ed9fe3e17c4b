"""`agent run`: the daemon."""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer

from agents.cli.options import DEFAULT_HOME, AsJson, Home


def run(
    *,
    log: Annotated[str, typer.Option(help="Form of the log: auto, json or text.")] = "auto",
    debug: Annotated[bool, typer.Option("--debug", help="Log more.")] = False,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Run the agent: answer partners' requests, follow our own, serve the channel. Ends on SIGTERM or Ctrl-C.

    With --json the log is JSON too, whatever --log says.
    """
    from agents.bootstrap.agent import Agent

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    agent = Agent(home, log_form="json" if as_json else log, debug=debug)
    agent.lock.acquire()
    try:
        agent.daemon().run(stop)
    finally:
        agent.ledger.close()
        agent.lock.release()
