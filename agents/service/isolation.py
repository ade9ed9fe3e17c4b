"""Each item fails alone: a fault of this program that one item brings to light must not stop the others.

Faults of the agent's surroundings (`AgentError`: the ledger is down, the CA has expired) concern all items and pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from agents.errors import AgentError
from agents.ports import Log

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fault:
    """An item on which this program failed, and why, for this agent's operator."""

    reason: str


def alone(step: Callable[[], T], log: Log, doing: str, **fields: object) -> T | Fault:
    """The result of `step`, or the fault that ended it, which is logged with its traceback. Raises `AgentError`."""
    try:
        return step()
    except AgentError:
        raise
    except Exception as error:
        log.exception("a fault in the program", doing=doing, fix="report this with the log", **fields)
        return Fault(f"a fault in this program while {doing} ({type(error).__name__}); its log has the details")
