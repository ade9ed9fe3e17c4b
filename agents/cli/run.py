"""`agent run`: the daemon."""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli.options import DEFAULT_HOME, Home

if TYPE_CHECKING:
    from agents.bootstrap.agent import Agent

PARENT_SECONDS = 1.0
"""How soon an issuing process notices that its daemon is gone, and how often it says how it fares."""

SWITCH_SECONDS = 0.0005
"""How long one thread computes while another waits for its turn: the broker links have little to do, and soon."""

LOG_FORMS = ("auto", "json", "text")


def run(
    *,
    log: Annotated[str, typer.Option(metavar="FORM", help="Form of the log: auto, json or text.")] = "auto",
    debug: Annotated[bool, typer.Option("--debug", help="Log more.")] = False,
    issue_for: Annotated[int, typer.Option(metavar="PID", hidden=True)] = 0,
    number: Annotated[int, typer.Option(hidden=True)] = 1,
    home: Home = DEFAULT_HOME,
    as_json: Annotated[bool, typer.Option("--json", help="Log in JSON, whatever --log says; any error too.")] = False,
) -> None:
    """Run the agent: answer partners' requests, follow our own, serve the channel. Ends on SIGTERM or Ctrl-C."""
    from agents.bootstrap.agent import Agent
    from agents.errors import ConfigurationError

    if log not in LOG_FORMS:
        raise ConfigurationError(f"--log '{log}': wanted one of {', '.join(LOG_FORMS)}.")
    leave_no_core()
    stop = threading.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: stop.set())
    agent = Agent(home, log_form="json" if as_json else log, debug=debug)
    look_for_cycles_less_often()
    sys.setswitchinterval(SWITCH_SECONDS)
    if issue_for:
        _issue(agent, number, issue_for, stop)
        return
    from agents.bootstrap.serving import make_daemon

    agent.lock.acquire()
    try:
        make_daemon(agent).run(stop)
        agent.forget_health()
    finally:
        agent.ledger.close()
        agent.lock.release()


def leave_no_core() -> None:
    """Let no crash of this process, or of one that it starts, write memory to disk: the CA key lies open in it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def look_for_cycles_less_often() -> None:
    """An issuance makes many small objects and no cycles: looking for cycles as often as usual costs a tenth of it."""
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


def _issue(agent: Agent, number: int, daemon: int, stop: threading.Event) -> None:
    """Issue beside the daemon with this process id, which started this process, for as long as it lives."""
    from agents.bootstrap.serving import issue_beside

    issue_beside(agent, number, lambda: os.getppid() == daemon and not stop.wait(PARENT_SECONDS))
    agent.ledger.close()
