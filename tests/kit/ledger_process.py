"""Another process on a ledger: `python -m kit.ledger_process MODE URL [ARGUMENT]` prints one JSON value per line."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from kit.ledger_units import consumed, key, noted, opened, stored, unit

from agents.adapters.ledger import open_ledger
from agents.errors import AgentError

INVITATIONS = 40


def tell(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def race(url: str, argument: str) -> None:
    """Say that we are ready, wait for a line, then try to use each invitation for our own transaction."""
    ledger = open_ledger(url)
    ledger.partners()
    tell("ready")
    sys.stdin.readline()
    mine = int(argument)
    tell([ledger.commit([unit(consumed(n, by=mine), noted())])[0] for n in range(INVITATIONS)])


def stop_in_commit(url: str, _: str) -> None:
    """Begin to commit, and stop after the first statement."""
    ledger = open_ledger(url)
    perform = ledger._recorder._perform

    def then_stop(*arguments: Any) -> None:
        perform(*arguments)
        tell("in the middle")
        time.sleep(600)

    ledger._recorder._perform = then_stop
    ledger.commit([unit(opened(1), stored(1)), unit(opened(2), stored(2))])


def commit_for_ever(url: str, _: str) -> None:
    """Commit batches of eight transactions, and tell the number of each batch once it is recorded."""
    ledger = open_ledger(url)
    batch = 0
    while True:
        numbers = range(8 * batch, 8 * batch + 8)
        ledger.commit([unit(opened(n, key=key(n)), stored(n)) for n in numbers])
        tell(batch)
        batch += 1


def commit_once(url: str, _: str) -> None:
    """Open the ledger and commit; tell the error if there is one."""
    try:
        tell(list(open_ledger(url).commit([unit(noted())])))
    except AgentError as error:
        tell([type(error).__name__, str(error)])


if __name__ == "__main__":
    {"race": race, "stop": stop_in_commit, "forever": commit_for_ever, "once": commit_once}[sys.argv[1]](
        sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else ""
    )
