"""Which keys an agent asks to have certified: those of the channel, and none that signs envelopes or certificates."""

import pytest

from agents.bootstrap.agent import Agent
from agents.bootstrap.asking import Ask
from agents.bootstrap.enrollment import plan, read_invitation
from agents.core.pem import parse_private_key
from agents.errors import ConfigurationError
from protocol.csr import NameKind, SubjectName, build_csr

API = (SubjectName(NameKind.DNS, "api.client-b.example"),)


def signing_key(agent: Agent, name: str):
    passphrase = None if name == "identity" else (agent.home / "ca/passphrase").read_bytes().strip()
    path = next(agent.home.glob("identity/*key.pem")) if name == "identity" else agent.home / f"ca/{name}.key.pem"
    return parse_private_key(path.read_bytes(), passphrase, name)


@pytest.mark.parametrize("name", ["identity", "issuing", "root"])
def test_a_key_that_signs_envelopes_or_certificates_is_refused_before_anything_is_recorded(
    homes, requester, tmp_path, name
):
    csr = tmp_path / "own.csr"
    csr.write_bytes(build_csr(signing_key(requester, name), API, None).der)
    with pytest.raises(ConfigurationError, match="make a new key"):
        plan(requester, Ask(issuer=None, csr_file=csr), read_invitation(homes / "invitation", None))
    assert requester.ledger.partners() == ()
