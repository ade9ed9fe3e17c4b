"""What keeps the listener of the channel from opening."""

from __future__ import annotations

import ssl

import pytest
from cryptography.hazmat.primitives import serialization
from kit.channel import HOST, World
from kit.pki import DAY, Authority, now

from agents.adapters.tls import TlsChannelListener, listener, selftest
from agents.adapters.tls.context import server_context
from agents.errors import ConfigurationError, StateError
from agents.ports import ChannelCredential


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_an_address_in_use_is_said_in_plain_words(world):
    with world.listening() as endpoint, pytest.raises(ConfigurationError, match=r"another program listens there"):
        world.listener(port=endpoint.port).start()


@pytest.mark.parametrize("address", [("192.0.2.1", 0), ("no.such.host.invalid", 0), ("a" * 300, 1)])
def test_an_address_that_is_not_ours_is_a_configuration_error(world, address):
    with pytest.raises(ConfigurationError, match=r"cannot listen on"):
        with_listen(world, address).start()


def with_listen(world, address):
    made = world.listener()
    made.listen = address
    return made


@pytest.mark.parametrize(
    ("dates", "wanted"),
    [((-9, -1), "in force from"), ((1, 9), "in force from")],
    ids=["expired", "not yet valid"],
)
def test_a_server_certificate_that_is_not_in_force(world, dates, wanted):
    start, end = (now() + days * DAY for days in dates)
    with pytest.raises(StateError, match=wanted):
        world.listener(world.authority.server(HOST, not_before=start, not_after=end)).start()


def test_a_server_certificate_without_a_name(world):
    with pytest.raises(StateError, match=r"carries no DNS name"):
        world.listener(world.authority.server(common_name="nameless")).start()


def broken(world, chain=None, key=None):
    good = world.credential(world.server)
    made = world.listener()
    made.credential = ChannelCredential(chain or good.chain_path, key or good.key_path)
    return made


def test_a_missing_certificate(world):
    with pytest.raises(StateError, match=r"cannot read .*nothing.pem: No such file"):
        broken(world, chain=str(world.directory / "nothing.pem")).start()


def test_a_missing_key(world):
    with pytest.raises(StateError, match=r"cannot read .*nothing.pem: No such file"):
        broken(world, key=str(world.directory / "nothing.pem")).start()


def test_a_key_of_another_certificate(world):
    with pytest.raises(StateError, match=r"do not belong together"):
        broken(world, key=world.credential(world.client).key_path).start()


def test_a_file_that_holds_no_certificate(world):
    with pytest.raises(StateError, match=r"no certificate chain in PEM"):
        broken(world, chain=world.credential(world.server).key_path).start()


def test_an_encrypted_key_is_refused_without_asking_the_terminal(world):
    path = world.directory / "encrypted.pem"
    encryption = serialization.BestAvailableEncryption(b"secret")
    encoding, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(world.server.key.private_bytes(encoding, kind, encryption))
    with pytest.raises(StateError, match=r"unencrypted PKCS#8 key"):
        broken(world, key=str(path)).start()


def test_no_anchors_for_clients(world):
    made = world.listener()
    made.client_anchors = made.intermediates = ()
    with pytest.raises(StateError, match=r"no usable trust anchors"):
        made.start()


def test_an_intermediate_that_is_no_certificate(world):
    made = world.listener()
    made.intermediates = (made.intermediates[0] + b"\0",)
    with pytest.raises(StateError, match=r"own CA certificates|trust anchors"):
        made.start()


# --- the self-test ---------------------------------------------------------------------------------------------------


def context(world):
    made, _ = server_context(world.credential(world.server), world.anchors)
    return made


def test_the_self_test_passes_the_context_that_is_used(world):
    selftest.prove_refusal(context(world), HOST, now())


@pytest.mark.parametrize("mode", [ssl.CERT_NONE, ssl.CERT_OPTIONAL])
def test_a_context_that_does_not_demand_a_certificate_fails_the_self_test(world, mode):
    weak = context(world)
    weak.verify_mode = mode
    with pytest.raises(StateError, match=r"without a certificate must fail .* but got: no failure"):
        selftest.prove_refusal(weak, HOST, now())


def test_a_context_that_accepts_a_stranger_fails_the_self_test(world, monkeypatch):
    stranger = Authority("stranger")
    weak, _ = server_context(world.credential(world.server), (*world.anchors, stranger.root.der))
    chain, key = stranger.client("a.example").write(world.directory, "stranger")
    monkeypatch.setattr(selftest, "_show_strangers_certificate", lambda shown, _now: shown.load_cert_chain(chain, key))
    with pytest.raises(StateError, match=r"unknown issuer must fail .* but got: no failure"):
        selftest.prove_refusal(weak, HOST, now())


def test_a_failure_for_another_reason_proves_nothing(world):
    with pytest.raises(StateError, match=r"must fail with PEER_DID_NOT"):
        selftest.prove_refusal(context(world), "elsewhere.example", now())


def test_a_listener_whose_context_is_weak_does_not_open(world, monkeypatch):
    def weak(*arguments):
        made, leaf = server_context(*arguments)
        made.verify_mode = ssl.CERT_OPTIONAL
        return made, leaf

    monkeypatch.setattr(listener, "server_context", weak)
    opened = []
    monkeypatch.setattr(listener, "_bind", lambda *address: opened.append(address))
    with pytest.raises(StateError, match=r"The channel stays closed"):
        world.listener().start()
    assert not opened


def test_the_listener_shows_no_key_when_printed(world):
    made = world.listener()
    assert isinstance(made, TlsChannelListener)
    assert "PRIVATE" not in repr(made)
