"""The channel of an agent, put together from its home: whom it admits, and what of the home it needs."""

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from kit.clocks import HandClock

from agents.bootstrap.agent import Agent
from agents.bootstrap.serving import make_daemon, make_listener
from agents.bootstrap.setup import Setup, set_up
from agents.config.agreements import LOOK_SECONDS
from agents.config.policy import default_policy_text
from agents.core.effects import RecordCertificate, RecordPartner, Unit
from agents.core.pem import parse_certificates
from agents.errors import ConfigurationError, StateError
from protocol.certificate import fingerprint, serial_number
from protocol.errors import PathError
from protocol.messages import PeerView
from protocol.names import Fingerprint, OrganisationName, TransactionId
from protocol.path import load_certificate

B = OrganisationName("client-b")


@pytest.fixture
def agent(tmp_path):
    """An issuer that has an agreement with client-b."""
    set_up(Setup(home=tmp_path / "home", name="client-c", title="Client C", endpoint="localhost:9"))
    made = Agent(tmp_path / "home", clock=HandClock())
    made.policies.path(B).parent.mkdir()
    made.policies.path(B).write_text(default_policy_text(B, ["**.client-b.example"]))
    yield made
    made.ledger.close()


@pytest.fixture
def leaf(agent):
    """A certificate on record as client-b's; path and purpose are judged elsewhere."""
    text = (agent.home / "channel/fullchain.pem").read_bytes()
    certificate = parse_certificates(text, "fullchain.pem")[0]
    der = certificate.public_bytes(Encoding.DER)
    transaction = TransactionId("0195f1d4-8c00-7000-8000-000000000001")
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    issued = RecordCertificate(
        serial_number(certificate), agent.name, B, transaction, der, fingerprint(certificate), start, end
    )
    assert agent.ledger.commit([Unit((RecordPartner(B, start, agreed=True), issued))]) == (True,)
    return der


def test_a_partner_is_admitted_for_as_long_as_its_agreement_is_there(agent, leaf):
    assert make_listener(agent).admission(leaf) == B
    agent.policies.path(B).unlink()
    agent.clock.move(seconds=LOOK_SECONDS)
    with pytest.raises(PathError, match="client-b, with whom the issuer has no agreement any more"):
        make_listener(agent).admission(leaf)


def test_a_session_is_on_record_with_the_certificate_that_was_shown_when_it_is_answered(agent, leaf):
    seen = PeerView(
        certificate=Fingerprint.of(leaf),
        serial=serial_number(load_certificate(leaf)),
        subject="",
        names=(),
        tls_version="TLSv1.3",
        cipher="x",
    )
    assert agent.ledger.certificate(agent.name, seen.serial).shown_at is None
    make_listener(agent).sink(None, seen, B)
    assert agent.ledger.certificate(agent.name, seen.serial).shown_at == agent.clock.now()
    assert agent.ledger.last_session(B).we_saw == seen.model_dump_json()


def test_an_agreement_that_cannot_be_read_admits_nobody(agent, leaf):
    agent.policies.path(B).write_text("[names")
    with pytest.raises(ConfigurationError, match="not valid TOML"):
        make_listener(agent).admission(leaf)


def test_the_channel_needs_the_certificates_of_the_ca_and_not_its_key(agent):
    chain, anchors = agent.signer.chain(), agent.signer.trust_bundle()
    for path in (agent.home / "ca").glob("*.key.pem"):
        path.unlink()
    listener = make_listener(Agent(agent.home))
    assert (listener.intermediates, listener.client_anchors) == (chain, anchors)


def test_a_root_that_issues_by_itself_is_all_that_the_channel_goes_by(tmp_path):
    home = tmp_path / "home"
    set_up(Setup(home=home, name="client-c", title="Client C", endpoint="localhost:9", intermediate=False))
    listener = make_listener(Agent(home))
    assert (len(listener.client_anchors), listener.intermediates) == (1, ())


def test_a_daemon_that_would_issue_does_not_begin_without_the_ca_key(agent):
    (agent.home / "ca/issuing.key.pem").unlink()
    with pytest.raises(StateError, match=r"issuing\.key\.pem"):
        make_daemon(Agent(agent.home))
