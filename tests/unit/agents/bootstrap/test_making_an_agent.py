"""`agent init` cut off at the moments at which something gets its final name, and done again."""

import shutil

import pytest
from kit.crash import crash_points

from agents.bootstrap.agent import Agent
from agents.bootstrap.setup import Setup, set_up
from agents.errors import ConfigurationError


def client_b(home, **answers):
    return Setup(home=home, name="client-b", title="Client B", endpoint="localhost:8443", if_missing=True, **answers)


def works(home):
    """Whether every part of the agent opens."""
    agent = Agent(home)
    agent.ledger.close()
    return agent.signer.trust_bundle()[0] == agent.identity.chain[-1] and agent.channel_credential() is not None


def test_an_init_killed_at_any_point_is_made_good_by_the_next(tmp_path):
    home, ends = tmp_path / "home", []
    set_up(client_b(tmp_path / "warm"))  # so that the children import nothing
    for _ in crash_points(lambda: set_up(client_b(home)), {"os.rename", "os.rmdir"}):
        ends.append((home / "agent.toml").exists())
        made = set_up(client_b(home))
        assert made.name == "client-b"
        assert works(home)
        assert set_up(client_b(home)) == made
        shutil.rmtree(home)
    assert ends.count(False) > 5
    assert works(home)


def test_a_home_finished_after_a_crash_is_the_agent_that_was_asked_for_first(tmp_path):
    home = tmp_path / "home"
    set_up(client_b(home))
    (home / ".made").mkdir(mode=0o700)
    for name in ("ledger.sqlite", "agent.toml"):
        (home / name).rename(home / ".made" / name)
    with pytest.raises(ConfigurationError, match="has the agent client-b already"):
        set_up(Setup(home=home, name="client-c", title="Client C"))
    assert works(home)


def test_a_file_is_no_home_and_stays_as_it_is(tmp_path):
    (tmp_path / "home").write_text("a letter")
    with pytest.raises(ConfigurationError, match="home is a file"):
        set_up(client_b(tmp_path / "home"))
    assert (tmp_path / "home").read_text() == "a letter"
