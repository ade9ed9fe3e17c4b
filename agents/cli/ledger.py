"""`agent ledger`: the ledger's tables are made, or brought up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.cli.options import DEFAULT_HOME, AsJson, Home
from agents.cli.output import Output

if TYPE_CHECKING:
    from agents.bootstrap.ledger import Upgraded


def upgrade(*, home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Make the ledger's tables where there are none, and bring those of an older version up to date.

    Where the ledger is says [ledger] in agent.toml; a database must be there already. Stop the agent first, and make a
    backup: no command leads back. The ledger of a newer version is left as it is.
    """
    from agents.bootstrap.agent import Agent
    from agents.bootstrap.ledger import upgrade as perform

    done = perform(Agent(home))
    Output(as_json).show({"ledger": done.place, "from": done.before, "to": done.after}, _text(done))


def _text(done: Upgraded) -> str:
    if done.before is None:
        return f"Made a new ledger with schema {done.after}: {done.place}"
    if done.before == done.after:
        return f"Nothing to do: the ledger has schema {done.after} already: {done.place}"
    return f"Upgraded the ledger from schema {done.before} to {done.after}: {done.place}"
