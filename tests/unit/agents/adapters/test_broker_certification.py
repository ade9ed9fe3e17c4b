"""The broker's own CA and what it certifies: made once, made anew in time, and never for anybody else."""

import stat
from datetime import timedelta
from functools import partial

import pytest
from cryptography import x509
from kit.certificates import NOW

from agents.adapters.broker import certification
from agents.adapters.broker.certification import certify, open_authority
from agents.adapters.entropy import SystemEntropy
from agents.core.profile import END_ENTITY_LIFETIME, broker_login, channel_server
from agents.errors import StateError
from protocol.names import DnsName, OrganisationName

ENTROPY = SystemEntropy()
B = partial(broker_login, OrganisationName("client-b"))
HOST = partial(channel_server, DnsName("broker.example"))


@pytest.fixture
def authority(tmp_path):
    return open_authority(tmp_path / "authority", NOW, ENTROPY)


@pytest.fixture
def certified(tmp_path, authority):
    """Certify a holder: whether something was made, and its certificate."""

    def run(spec_of=B, now=NOW, by=authority):
        made = certify(tmp_path / "holder", spec_of, by, now, ENTROPY, None)
        return made, x509.load_pem_x509_certificate((tmp_path / "holder" / "certificate.pem").read_bytes())

    return run


def test_the_authority_is_made_once_and_is_private(tmp_path, authority):
    again = open_authority(tmp_path / "authority", NOW + timedelta(days=300), ENTROPY)
    assert again.certificate == authority.certificate
    assert authority.certificate.subject.rfc4514_string() == "CN=Root CA,O=Message broker"
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "authority").iterdir()}
    assert modes == {0o600}


def test_an_authority_whose_making_was_interrupted_is_made_anew(tmp_path, authority):
    (tmp_path / "authority" / "certificate.pem").unlink()
    assert open_authority(tmp_path / "authority", NOW, ENTROPY).certificate != authority.certificate


def test_the_authority_certifies_holders_and_no_other_authority(authority):
    constraints = authority.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert constraints == x509.BasicConstraints(ca=True, path_length=0)


@pytest.mark.parametrize("offset", [timedelta(days=3651), -timedelta(days=1)])
def test_an_authority_that_is_not_valid_now_says_how_it_is_replaced_and_what_follows(tmp_path, authority, offset):
    with pytest.raises(StateError, match="valid from 2026-03-01 to 2036-02-27") as caught:
        open_authority(tmp_path / "authority", NOW + offset, ENTROPY)
    said = str(caught.value)
    assert f"remove {tmp_path / 'authority'}, run `agent broker certify` again" in said
    assert "all logins anew" in said
    assert "agent init" not in said


@pytest.mark.parametrize("damage", [b"", b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"])
def test_a_damaged_authority_is_not_replaced(tmp_path, authority, damage):
    (tmp_path / "authority" / "key.pem").write_bytes(damage)
    with pytest.raises(StateError, match="Restore it from a backup"):
        open_authority(tmp_path / "authority", NOW, ENTROPY)


def test_an_authority_without_its_key_is_not_replaced(tmp_path, authority):
    (tmp_path / "authority" / "key.pem").unlink()
    with pytest.raises(StateError, match=r"key\.pem"):
        open_authority(tmp_path / "authority", NOW, ENTROPY)


def test_a_holder_has_a_certificate_of_the_authority_with_its_key_and_the_authority(tmp_path, authority, certified):
    made, certificate = certified()
    assert made
    certificate.verify_directly_issued_by(authority.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["client-b"]
    assert x509.load_pem_x509_certificate((tmp_path / "holder" / "ca.pem").read_bytes()) == authority.certificate
    assert {path.name for path in (tmp_path / "holder").iterdir()} == {"ca.pem", "certificate.pem", "key.pem"}


def test_what_is_there_stays_for_two_thirds_of_its_life(certified):
    _, first = certified()
    assert certified(now=NOW + 0.6 * END_ENTITY_LIFETIME) == (False, first)
    made, second = certified(now=NOW + 0.7 * END_ENTITY_LIFETIME)
    assert made
    assert second.not_valid_after_utc > first.not_valid_after_utc


def test_another_name_or_purpose_is_another_certificate(certified):
    certified()
    made, certificate = certified(HOST)
    assert made
    assert certified(HOST) == (False, certificate)


@pytest.mark.parametrize("name", ["certificate.pem", "key.pem"])
@pytest.mark.parametrize("damage", [None, b"", b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"])
def test_what_is_missing_or_damaged_is_made_anew(tmp_path, certified, name, damage):
    _, first = certified()
    path = tmp_path / "holder" / name
    path.write_bytes(damage) if damage is not None else path.unlink()
    made, second = certified()
    assert made
    assert second.public_key() != first.public_key()
    assert certified() == (False, second)


def test_a_key_that_does_not_belong_to_the_certificate_is_made_anew(tmp_path, certified):
    certified()
    other = (tmp_path / "authority" / "key.pem").read_bytes()
    (tmp_path / "holder" / "key.pem").write_bytes(other)
    assert certified()[0]


def test_a_certificate_of_another_authority_is_made_anew(tmp_path, certified):
    certified()
    other = open_authority(tmp_path / "another", NOW, ENTROPY)
    made, certificate = certified(by=other)
    assert made
    certificate.verify_directly_issued_by(other.certificate)


def test_a_crash_between_key_and_certificate_is_mended_the_next_time(tmp_path, certified, monkeypatch):
    real = certification.share_file

    def crash_at_the_certificate(path, data, group):
        if path.name == "certificate.pem":
            raise KeyboardInterrupt
        real(path, data, group)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(certification, "share_file", crash_at_the_certificate)
        certified()
    assert certified()[0]
    assert not certified()[0]
