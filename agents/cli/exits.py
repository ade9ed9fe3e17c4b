"""The one place where an error becomes an exit code and a message.

On standard error: what happened, on whose side, and what to do; with `--json` one object `{"error": {...}}` instead,
on standard error too, so that standard output carries results only.
"""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from typer import Abort, Exit
from typer.exceptions import TyperException

from agents import errors
from agents.cli.output import clean, problem_text, to_json

if TYPE_CHECKING:
    from typer.core import TyperGroup

    from protocol.errors import Problem


class ExitCode(IntEnum):
    """What a script can tell from the exit status."""

    DONE = 0
    NEGATIVE = 1
    """A negative answer: refused, not verified."""
    USAGE = 2
    """The command line, the configuration, or a file that was given cannot be used as it is."""
    UNREACHABLE = 3
    """The broker or the partner cannot be reached."""
    TIMED_OUT = 4
    STATE_DAMAGED = 5
    """The agent's own files or ledger are damaged, or its disk does not take what must be written."""
    BUG = 70
    INTERRUPTED = 130
    """Stopped from the keyboard, as shells report it (128 + SIGINT)."""
    READER_GONE = 141
    """Nobody reads our output any more, as shells report it (128 + SIGPIPE)."""


@dataclass(frozen=True)
class Failure:
    """An error, explained. `problems` are those of what a partner sent or of what was given."""

    code: ExitCode
    kind: str
    side: str
    message: str
    problems: tuple[Problem, ...] = ()


HERE, PARTNER, BETWEEN = "on this side", "on the partner's side", "between the two sides"
COMMAND_LINE, GIVEN, PROGRAM = "on the command line", "in what was given", "in this program"

KINDS: dict[type[BaseException], tuple[ExitCode, str]] = {
    TyperException: (ExitCode.USAGE, COMMAND_LINE),
    Abort: (ExitCode.INTERRUPTED, HERE),
    KeyboardInterrupt: (ExitCode.INTERRUPTED, HERE),
    errors.ConfigurationError: (ExitCode.USAGE, HERE),
    errors.UnusableFileError: (ExitCode.USAGE, GIVEN),
    errors.HomeBusyError: (ExitCode.USAGE, HERE),
    errors.StateError: (ExitCode.STATE_DAMAGED, HERE),
    errors.UnreachableError: (ExitCode.UNREACHABLE, BETWEEN),
    errors.TimedOutError: (ExitCode.TIMED_OUT, BETWEEN),
    errors.NotVerifiedError: (ExitCode.NEGATIVE, BETWEEN),
    OSError: (ExitCode.STATE_DAMAGED, HERE),
}
"""A subclass counts as the nearest class above it that is listed. What a partner sent wrong is not listed, because its
classes are slow to import: every `protocol.errors.ProtocolError` is a negative answer. Anything else is a bug."""


def run(group: TyperGroup, arguments: list[str]) -> int:
    """Run a command line and return its exit code; every error is explained on standard error."""
    try:
        code = _invoke(group, arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        return ExitCode.READER_GONE
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (the last resort: no traceback reaches a user)
        failure = explain(error)
        print(render(failure, as_json="--json" in arguments), file=sys.stderr)
        return failure.code
    return code


def _invoke(group: TyperGroup, arguments: list[str]) -> int:
    """Run a command line; its errors are raised here, where typer's own `main` would print some and exit."""
    try:
        with group.make_context("agent", list(arguments)) as context:
            code = group.invoke(context)
    except Exit as leaving:
        code = leaving.exit_code
    return code if isinstance(code, int) else ExitCode.DONE


def explain(error: BaseException) -> Failure:
    """What `error` means for the operator; the traceback of an unexpected one goes to a file that the message names."""
    kind = type(error).__name__
    for cls in type(error).__mro__:
        if cls in KINDS:
            code, side = KINDS[cls]
            return Failure(code, kind, side, _words(error), getattr(error, "problems", ()))
    return _of_a_partner(error, kind) or Failure(ExitCode.BUG, kind, PROGRAM, _report_bug(error))


def render(failure: Failure, *, as_json: bool) -> str:
    """The failure as text for a person or as one line of JSON."""
    if as_json:
        return to_json({"error": asdict(failure)}, indent=None)
    if failure.kind == "NoArgsIsHelpError":
        return failure.message
    return clean("\n".join([f"Error {failure.side}: {failure.message}", *map(problem_text, failure.problems)]))


def _words(error: BaseException) -> str:
    if isinstance(error, TyperException):
        return _usage(error)
    if isinstance(error, Abort | KeyboardInterrupt):
        return "Stopped; nothing more was done."
    if isinstance(error, OSError):
        return f"{error}. Check that this path exists, that its permissions allow it and that the disk has room."
    return str(error)


def _usage(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    if context is None or type(error).__name__ == "NoArgsIsHelpError":
        return error.format_message()
    hint = f" See '{context.command_path} --help'."
    return f"{error.format_message().rstrip('.')}.{hint}".replace("?.", "?")


def _of_a_partner(error: BaseException, kind: str) -> Failure | None:
    from protocol.errors import NameSyntaxError, ProtocolError  # pydantic is slow

    if not isinstance(error, ProtocolError):
        return None
    if isinstance(error, NameSyntaxError):  # those in a message become a MessageError; this one was typed here
        return Failure(ExitCode.USAGE, kind, COMMAND_LINE, "a name is not written as it must be.", error.problems)
    return Failure(ExitCode.NEGATIVE, kind, PARTNER, "what was received cannot be accepted.", error.problems)


def _report_bug(error: BaseException) -> str:
    """Keep the traceback in a new file that only this user can read, and say where."""
    import tempfile
    import traceback

    text = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile("w", prefix="agent-bug-", suffix=".txt", delete=False) as report:
            report.write(text)
    except OSError:
        return f"this should not happen, and its report cannot be written: {text}"
    return f"this should not happen ({type(error).__name__}). Send the file {report.name} to the makers of the program."


def _discard_output() -> None:
    """Let the interpreter's own last flush go nowhere instead of failing."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
