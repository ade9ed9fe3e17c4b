"""What keeps an agent from inviting anybody is told by itself, without what was in order."""

import pytest

from agents.bootstrap.agent import Agent
from agents.bootstrap.agreement import agree
from agents.config.policy import default_policy_text
from agents.errors import ConfigurationError


def refusal(agent, expires="7d"):
    with pytest.raises(ConfigurationError) as caught:
        agree(agent, "client-d", ("**.client-d.example",), expires, manual=False, out=None)
    return str(caught.value)


def test_an_agent_without_a_channel_is_told_to_add_one_and_nothing_of_durations(homes):
    file = homes / "client-c" / "agent.toml"
    file.write_text(file.read_text().split("[channel]")[0])
    said = refusal(Agent(homes / "client-c"))
    assert f"{file} needs a [broker] and a [channel] section" in said
    assert "--expires" not in said


@pytest.mark.parametrize("expires", ["", "0d", "367d", "soon"])
def test_a_duration_that_is_none_is_told_alone(issuer, expires):
    said = refusal(issuer, expires)
    assert said.startswith(f"--expires '{expires}': wanted ")
    assert "channel" not in said


def test_an_organisation_does_not_invite_itself_also_where_an_agreement_in_its_name_lies(issuer):
    file = issuer.policies.path(issuer.name)
    file.write_text(default_policy_text(issuer.name, ["**.client-c.example"]))
    with pytest.raises(ConfigurationError, match="is this organisation itself"):
        agree(issuer, "client-c", (), "7d", manual=False, out=None)
