import sys

import pytest

from agents.cli import exits
from agents.cli.group import Command, make_group

SOURCE = '''
from __future__ import annotations

from agents.cli.exits import ExitCode
from agents.cli.options import DEFAULT_HOME, AsJson, Home
from agents.cli.output import Output


def look(home: Home = DEFAULT_HOME, as_json: AsJson = False) -> ExitCode:
    """Look at it closely."""
    Output(as_json).show({"home": home}, f"looked at {home}")
    return ExitCode.NEGATIVE


def fail() -> None:
    raise KeyError("the cause")


def stop() -> None:
    raise KeyboardInterrupt


def leave() -> None:
    raise BrokenPipeError
'''
TABLE = {
    "Set up": (Command("missing", "agents_no_such_module", "x", "Is not there"),),
    "Look": (
        Command("look", "cli_sample", "look", "Look at it"),
        Command("deep look", "cli_sample", "look", "Look deeply at it"),
        Command("deep missing", "agents_no_such_module", "x", "Is not there either"),
        Command("fail", "cli_sample", "fail", "Fail"),
        Command("stop", "cli_sample", "stop", "Stop"),
        Command("leave", "cli_sample", "leave", "Leave"),
    ),
    "Empty": (),
}


def describe() -> None:
    """Do things."""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    (tmp_path / "cli_sample.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cli_sample", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("AGENT_HOME", raising=False)

    def run(*arguments):
        code = exits.run(make_group("agent", TABLE, describe), list(arguments))
        return code, *capsys.readouterr()

    return run


def test_help_lists_every_command_under_its_heading_and_imports_none(run):
    code, out, _ = run("--help")
    assert code == 0
    assert out.index("Set up:") < out.index("Look:") < out.index("deep look")
    assert "Is not there either" in out
    assert "Empty" not in out
    assert "cli_sample" not in sys.modules


def test_the_help_of_a_command_is_its_docstring_and_its_options(run):
    code, out, _ = run("look", "--help")
    assert code == 0
    assert "Look at it closely." in out
    assert "AGENT_HOME" in out
    assert "--json" in out


def test_no_command_at_all_shows_the_help_and_is_a_usage_error(run):
    code, out, err = run()
    assert (code, out) == (2, "")
    assert err.startswith("Usage: agent")


def test_what_a_command_returns_is_the_exit_code(run):
    assert run("look", "--home", "here") == (1, "looked at here\n", "")


def test_a_command_of_a_group_runs_with_json(run):
    assert run("deep", "look", "--home", "here", "--json") == (1, '{\n  "home": "here"\n}\n', "")


def test_the_help_of_a_group_lists_its_commands(run):
    _, out, _ = run("deep", "--help")
    assert "Look deeply at it" in out
    assert "Set up" not in out


def test_the_environment_says_which_agent_and_a_tilde_is_expanded(run, monkeypatch):
    monkeypatch.setenv("AGENT_HOME", "~/agent")
    monkeypatch.setenv("HOME", "/home-of-ours")
    assert run("look")[1] == "looked at /home-of-ours/agent\n"


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        (["lok"], "Did you mean 'look'?"),
        (["deep", "lok"], "Did you mean 'look'?"),
        (["look", "--hme"], "Possible options: --help, --home"),
    ],
)
def test_a_mistyped_word_is_answered_with_what_was_meant(run, typed, answer):
    code, out, err = run(*typed)
    assert (code, out) == (2, "")
    assert answer in err


def test_a_usage_error_says_where_to_read_on(run):
    assert "See 'agent deep look --help'." in run("deep", "look", "surplus")[2]


def test_a_bug_is_reported_without_a_traceback(run):
    code, out, err = run("fail")
    assert (code, out) == (70, "")
    assert "Traceback" not in err
    assert "agent-bug-" in err


def test_the_keyboard_stops_a_command_as_shells_expect(run):
    assert run("stop") == (130, "", "Error on this side: Stopped; nothing more was done.\n")


def test_a_reader_that_went_away_is_no_error_of_ours(run, monkeypatch):
    monkeypatch.setattr(exits, "_discard_output", lambda: None)
    assert run("leave") == (141, "", "")
