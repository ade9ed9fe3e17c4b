"""The configuration and the identity must be of the same organisation."""

import pytest

from agents.bootstrap.agent import Agent
from agents.bootstrap.asking import Ask
from agents.bootstrap.enrollment import plan, read_invitation
from agents.bootstrap.serving import make_daemon
from agents.errors import ConfigurationError
from protocol.csr import NameKind, SubjectName

ASK = Ask(issuer=None, names=(SubjectName(NameKind.DNS, "api.client-b.example"),))


@pytest.fixture
def renamed(homes):
    """An agent whose configuration names another organisation than the one it was made for."""
    file = homes / "client-b" / "agent.toml"
    file.write_text(file.read_text().replace('name = "client-b"', 'name = "client-e"'))
    agent = Agent(homes / "client-b")
    yield agent
    agent.ledger.close()


@pytest.mark.parametrize(
    "use", [make_daemon, lambda agent: plan(agent, ASK, read_invitation(agent.home.parent / "invitation", None))]
)
def test_a_name_that_is_not_the_identitys_is_refused_before_anything_is_begun(renamed, use):
    with pytest.raises(ConfigurationError) as caught:
        use(renamed)
    for words in (f"{renamed.home / 'agent.toml'} says name = 'client-e'", "was made for client-b", "agent init"):
        assert words in str(caught.value)
