"""`agent init --if-missing`: an init step that may run at every start."""

import pytest

from agents.cli import exits
from agents.cli.group import make_group
from agents.cli.main import TABLE, agent


@pytest.fixture
def init(capsys, tmp_path):
    """Run the command: exit code, standard output, standard error."""

    def run(*arguments):
        words = ["init", "--home", str(tmp_path / "home"), *arguments]
        code = exits.run(make_group("agent", TABLE, agent), words)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def files(tmp_path):
    return {path: path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file()}


def test_the_second_time_it_says_the_same_and_changes_nothing(init, tmp_path):
    first = init("--if-missing", "--name", "client-b")
    made = files(tmp_path)
    assert first[0] == 0
    assert init("--if-missing", "--name", "client-b") == first
    assert files(tmp_path) == made


@pytest.mark.parametrize("again", [["--name", "client-b"], ["--if-missing", "--name", "client-c"]])
def test_another_agent_in_the_home_or_no_such_wish_is_a_usage_error(init, tmp_path, again):
    init("--name", "client-b")
    made = files(tmp_path)
    code, out, err = init(*again)
    assert (code, out) == (exits.ExitCode.USAGE, "")
    assert f"has the agent client-b already. Edit {tmp_path / 'home' / 'agent.toml'} to change its settings" in err
    assert files(tmp_path) == made
