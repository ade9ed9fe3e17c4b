import errno
import json
from pathlib import Path

import pytest
import typer

from agents import errors
from agents.cli import exits
from agents.cli.exits import ExitCode, Failure, explain, render
from protocol.errors import PathError, ProblemCode, RequestError, problem
from protocol.names import OrganisationName

PROBLEM = problem(ProblemCode.BAD_POP, "signature", "nothing", "a signature by the key", "Sign it.")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigurationError("x"), ExitCode.USAGE),
        (errors.HomeBusyError("x"), ExitCode.USAGE),
        (errors.StateError("x"), ExitCode.STATE_DAMAGED),
        (errors.LedgerUnavailableError("x"), ExitCode.STATE_DAMAGED),
        (errors.UnreachableError("x"), ExitCode.UNREACHABLE),
        (errors.TimedOutError("x"), ExitCode.TIMED_OUT),
        (errors.NotVerifiedError("x"), ExitCode.NEGATIVE),
        (errors.UnusableFileError("--csr x", (PROBLEM,)), ExitCode.USAGE),
        (RequestError(PROBLEM), ExitCode.NEGATIVE),
        (typer.BadParameter("x"), ExitCode.USAGE),
        (typer.Abort(), ExitCode.INTERRUPTED),
        (OSError(errno.EROFS, "Read-only file system", "/agent"), ExitCode.STATE_DAMAGED),
        (KeyError("x"), ExitCode.BUG),
    ],
)
def test_an_error_has_the_exit_code_of_its_kind(error, code, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert explain(error).code is code


def subclasses(cls):
    return {cls, *(found for sub in cls.__subclasses__() for found in subclasses(sub))}


def test_every_fault_of_our_own_has_an_exit_code_other_than_a_bugs():
    for cls in subclasses(errors.AgentError) - {errors.AgentError}:
        assert explain(cls("x")).code is not ExitCode.BUG


def test_a_partners_fault_is_explained_with_every_problem():
    failure = explain(PathError(PROBLEM, PROBLEM))
    assert failure.side == exits.PARTNER
    assert failure.problems == (PROBLEM, PROBLEM)


def test_a_file_that_was_given_here_is_not_called_the_partners():
    failure = explain(errors.UnusableFileError("--csr own.csr", (PROBLEM,)))
    assert (failure.side, failure.problems) == (exits.GIVEN, (PROBLEM,))
    assert failure.message == "--csr own.csr cannot be used as it is."


def test_a_name_that_the_operator_misspelled_is_a_usage_error():
    with pytest.raises(ValueError, match="organisation name") as caught:
        OrganisationName("Client B")
    failure = explain(caught.value)
    assert (failure.code, failure.side) == (ExitCode.USAGE, exits.COMMAND_LINE)


def test_a_bug_leaves_its_traceback_in_a_file_that_only_we_can_read(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    failure = explain(KeyError("the cause"))
    (report,) = tmp_path.iterdir()
    assert str(report) in failure.message
    assert "the cause" not in failure.message
    assert "KeyError: 'the cause'" in report.read_text()
    assert report.stat().st_mode & 0o777 == 0o600


def test_a_bug_is_shown_where_no_file_can_be_written(monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/dev/null/nowhere")
    assert "KeyError: 'the cause'" in explain(KeyError("the cause")).message


FAILURE = Failure(ExitCode.NEGATIVE, "RequestError", exits.PARTNER, "it is refused.", (PROBLEM,))


def test_a_failure_reads_what_where_and_what_to_do():
    assert render(FAILURE, as_json=False).splitlines() == [
        "Error on the partner's side: it is refused.",
        "  signature [badPOP]",
        "    got      nothing",
        "    allowed  a signature by the key",
        "    to do    Sign it.",
    ]


def test_a_failure_in_json_is_one_object_on_one_line():
    text = render(FAILURE, as_json=True)
    assert "\n" not in text
    assert json.loads(text) == {
        "error": {
            "code": 1,
            "kind": "RequestError",
            "message": "it is refused.",
            "problems": [PROBLEM.model_dump(mode="json")],
            "side": "on the partner's side",
        }
    }


def test_a_failure_cannot_steer_the_terminal():
    hostile = Failure(ExitCode.NEGATIVE, "RequestError", exits.PARTNER, "\x1b[2J\rdone")
    assert render(hostile, as_json=False) == r"Error on the partner's side: \x1b[2J\rdone"


def test_an_operating_system_error_names_its_path():
    failure = explain(PermissionError(errno.EACCES, "Permission denied", str(Path("home", "agent.toml"))))
    assert "home/agent.toml" in failure.message
