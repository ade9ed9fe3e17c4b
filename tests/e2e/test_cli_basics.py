import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from kit.patience import PATIENCE

from agents.cli.main import TABLE

AGENT = Path(sys.executable).with_name("agent")
COMMANDS = [command for commands in TABLE.values() for command in commands]


def agent(*arguments, **environment):
    return subprocess.run(
        [AGENT, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "COLUMNS": "100", **environment},
    )


def test_help_and_version_are_answered():
    assert "Usage: agent" in agent("--help").stdout
    assert agent("--version").stdout.split()[0] == "agent"


HELP_THEN_MODULES = """
import sys
from agents.cli.main import main

sys.argv = ["agent", "--help"]
try:
    main()
finally:
    slow = {"pydantic", "cryptography", "pika", "sqlalchemy", "rich", "joserfc"}
    print(slow & {name.split(".")[0] for name in sys.modules}, file=sys.stderr)
"""


def test_help_imports_nothing_slow():
    found = subprocess.run(
        [sys.executable, "-c", HELP_THEN_MODULES], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert found.stderr == "set()\n"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_in_the_table_exists_and_explains_itself(command):
    assert callable(getattr(import_module(command.module), command.function))
    answer = agent(*command.name.split(), "--help")
    assert answer.returncode == 0
    assert f"Usage: agent {command.name}" in answer.stdout
    assert "--json" in answer.stdout
    assert re.findall(r"<.*>|\{[a-z].*\}", answer.stdout) == [], "values are named in capitals, whatever their type"


def test_an_unknown_command_is_a_usage_error_on_standard_error():
    answer = agent("frobnicate")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "No such command 'frobnicate'" in answer.stderr


def test_an_error_with_json_is_json_on_standard_error():
    answer = agent("frobnicate", "--json")
    assert answer.stdout == ""
    assert json.loads(answer.stderr)["error"]["code"] == 2


def test_a_reader_that_goes_away_does_not_make_the_agent_complain():
    pipe = subprocess.Popen(
        [sys.executable, "-c", "import os, sys; os.close(0)"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    pipe.wait(timeout=PATIENCE)
    answer = subprocess.run([AGENT, "--help"], stdout=pipe.stdin, stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
    pipe.stdin.close()
    assert (answer.returncode, answer.stderr) == (141, b"")


def test_a_terminal_that_knows_only_ascii_is_served():
    assert agent("--help", PYTHONIOENCODING="ascii").returncode == 0
