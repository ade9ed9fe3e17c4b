"""Faults of this agent or its surroundings, as opposed to `protocol.errors`, which are the partner's.

Every message says what was got, what was wanted and what to do next. `agents.cli` maps each to an exit code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from protocol.errors import Problem


class AgentError(Exception):
    """Something here is wrong; the message is for this agent's operator."""


class ConfigurationError(AgentError):
    """The command line, a configuration file or a policy file cannot be used as it is written."""


class UnusableFileError(ConfigurationError):
    """What was given, by an option called `name`, can be read and is not what it must be; `problems` say why."""

    def __init__(self, name: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(f"{name} cannot be used as it is.")
        self.problems = problems


class AgreementUnusableError(ConfigurationError):
    """The agreement with a partner, `partners/<name>.toml`, cannot be read: nobody can tell what that partner may."""


class StateError(AgentError):
    """The agent's own files or ledger are missing, damaged or not protected as they must be."""


class HomeBusyError(AgentError):
    """Another daemon runs on this home."""


class UnreachableError(AgentError):
    """The broker or the partner's channel cannot be reached, or does not let us in."""


class TimedOutError(AgentError):
    """What was waited for did not happen in time; nothing is lost."""


class LedgerUnavailableError(StateError):
    """The ledger cannot be read or written now (locked, disk full, read-only); what was asked has not happened."""


class NotVerifiedError(AgentError):
    """The channel came up wrong: the other end is not who the records say, or sees somebody else than us."""
