"""What `agent init` tells its operator to do next."""

import pytest

from agents.cli import exits
from agents.cli.group import make_group
from agents.cli.main import TABLE, agent
from agents.cli.options import DEFAULT_HOME


@pytest.fixture
def told(capsys, tmp_path, monkeypatch):
    """Make an agent; the lines that say what is next."""
    password = tmp_path / "password"
    password.touch(0o600)
    login = ["--broker", "amqp://broker.example", "--broker-password-file", str(password)]
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(*options, broker=True, home="a home"):
        where = ["--home", str(tmp_path / home)]
        words = ["init", "--name", "client-x", *where, *options, *(login if broker else [])]
        assert exits.run(make_group("agent", TABLE, agent), words) == exits.ExitCode.DONE
        return capsys.readouterr().out.splitlines()[3:]

    return run


def test_with_a_channel_a_partner_is_invited_and_the_agent_run(told, tmp_path):
    home = tmp_path / "a home"
    assert told("--endpoint", "localhost:9") == [
        "channel       will listen on 127.0.0.1:9; partners dial localhost:9",
        f"next          agent invite PARTNER --dns '**.PARTNER.example' --out FILE --home '{home}'",
        f"              agent run --home '{home}'",
    ]


def test_without_one_an_invitation_is_used(told, tmp_path):
    assert told() == [f"next          agent enroll --invitation FILE --dns NAME --home '{tmp_path / 'a home'}'"]


def test_without_a_broker_that_comes_first(told, tmp_path):
    first, then = told(broker=False)
    assert first.startswith(
        f"first         add [broker] with url and password_file to {tmp_path / 'a home' / 'agent.toml'}"
    )
    assert then.startswith("next          agent enroll")


def test_the_home_that_is_meant_anyway_is_not_named(told):
    assert told(home=DEFAULT_HOME.name) == ["next          agent enroll --invitation FILE --dns NAME"]


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        (("--endpoint", "c.example:9"), True),
        (("--endpoint", "c.example:9", "--listen", "[::1]:9"), True),
        (("--endpoint", "c.example:9", "--listen", "0.0.0.0:8"), False),
        (("--endpoint", "localhost:9"), False),
    ],
)
def test_a_channel_that_partners_cannot_reach_is_told(told, options, warned):
    assert ('set listen = "0.0.0.0:9" in agent.toml for partners elsewhere' in "\n".join(told(*options))) == warned
