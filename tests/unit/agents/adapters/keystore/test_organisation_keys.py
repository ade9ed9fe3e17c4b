"""The ceremony of `agent init` and the opening of what it made, on a real disk."""

import shutil
import stat
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from kit.certificates import NOW

from agents.adapters import files
from agents.adapters.entropy import SystemEntropy
from agents.adapters.keystore import (
    channel_server_credential,
    load_identity,
    open_signer,
    organisation_files,
    trust_bundle,
)
from agents.core.organisation import KeyType, OrganisationPlan
from agents.core.pem import parse_certificates, private_key_pem, public_key_der
from agents.core.policy import Held
from agents.core.profile import BACKDATE, CertificateSpec, Profile
from agents.errors import ConfigurationError, StateError
from protocol.csr import NameKind, SubjectName
from protocol.names import DnsName, OrganisationName, SerialNumber
from protocol.path import Purpose, load_certificate, verify_path

NAME, HOST, PASSPHRASE = OrganisationName("client-c"), DnsName("channel.client-c.example"), b"correct horse"


def plan(**changes):
    return OrganisationPlan(
        **{"name": NAME, "title": "Client C", "passphrase": PASSPHRASE, "endpoint_host": HOST} | changes
    )


def create(home, **changes):
    files.create_files(home, organisation_files(plan(**changes), NOW, SystemEntropy()))
    return home


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return create(tmp_path_factory.mktemp("organisation") / "home")


@pytest.fixture
def home(template, tmp_path):
    """A home of one's own to damage."""
    return shutil.copytree(template, tmp_path / "home")


def loaded(ders):
    return [load_certificate(der) for der in ders]


def files_in(home):
    return {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}


ALL_FILES = {
    "ca/root.key.pem",
    "ca/root.cert.pem",
    "ca/issuing.key.pem",
    "ca/issuing.cert.pem",
    "identity/key.pem",
    "identity/chain.pem",
    "channel/key.pem",
    "channel/fullchain.pem",
}

# --- the ceremony ----------------------------------------------------------------------------------------------------


def test_a_home_holds_exactly_the_files_of_an_organisation_all_private(template):
    assert files_in(template) == ALL_FILES
    for path in template.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_without_a_channel_there_is_no_channel_certificate(tmp_path):
    home = create(tmp_path / "home", endpoint_host=None)
    assert files_in(home) == {name for name in ALL_FILES if not name.startswith("channel")}
    assert channel_server_credential(home) is None


def test_without_an_intermediate_the_root_issues(tmp_path):
    home = create(tmp_path / "home", intermediate=False)
    assert files_in(home) == {name for name in ALL_FILES if "issuing" not in name}
    signer = open_signer(home, PASSPHRASE, NOW)
    assert signer.chain() == ()
    assert signer.trust_bundle() == (signer.certificate(),)
    assert len(load_identity(home).chain) == 2
    (root,) = loaded(signer.trust_bundle())
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0


@pytest.mark.parametrize("key_type", KeyType)
def test_every_key_type_on_offer_makes_a_ca_that_partners_accept(tmp_path, key_type):
    home = create(tmp_path / "home", key_type=key_type)
    chain = loaded(load_identity(home).chain)
    assert verify_path(chain[0], chain[1:], chain[2:], Purpose.ENVELOPE, NOW)
    for authority in chain[1:]:
        key = authority.public_key()
        kind = f"rsa-{key.key_size}" if isinstance(key, rsa.RSAPublicKey) else f"p-{key.curve.key_size}"
        assert kind == key_type


def test_lifetimes_are_ten_five_and_one_years(template):
    leaf, issuing, root = loaded(load_identity(template).chain)
    days = [(one.not_valid_after_utc - NOW).days for one in (leaf, issuing, root)]
    assert days == [365, 1825, 3650]


def test_ca_keys_are_encrypted_and_the_others_are_not(template):
    for name in ("root", "issuing"):
        assert b"BEGIN ENCRYPTED PRIVATE KEY" in (template / "ca" / f"{name}.key.pem").read_bytes()
    for name in ("identity", "channel"):
        assert b"BEGIN PRIVATE KEY" in (template / name / "key.pem").read_bytes()


def test_every_key_is_another_one(template):
    certificates = [
        *loaded(load_identity(template).chain),
        parse_certificates((template / "channel/fullchain.pem").read_bytes(), "x")[0],
    ]
    assert len({public_key_der(one.public_key()) for one in certificates}) == 4
    assert len({one.serial_number for one in certificates}) == 4


# --- the signer ------------------------------------------------------------------------------------------------------


def test_the_signer_shows_its_chain_and_its_anchor(template):
    signer = open_signer(template, PASSPHRASE, NOW)
    _, issuing, root = load_identity(template).chain
    assert signer.certificate() == issuing
    assert signer.chain() == (issuing,)
    assert signer.trust_bundle() == trust_bundle(template) == (root,)


def client_spec():
    return CertificateSpec(
        profile=Profile.CHANNEL_CLIENT,
        subject=(),
        names=(SubjectName(NameKind.DNS, "api.client-b.example"),),
        public_key=public_key_der(rsa.generate_private_key(65537, 2048).public_key()),
        extended_key_usages=(x509.ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string,),
        not_before=NOW - BACKDATE,
        not_after=NOW + timedelta(days=90),
    )


@pytest.mark.parametrize("forged", [None, b"der", client_spec(), Held(client_spec(), "a person must look")])
def test_the_signer_signs_nothing_that_the_policy_did_not_approve(template, forged):
    with pytest.raises(TypeError, match="Approved only"):
        open_signer(template, PASSPHRASE, NOW).issue(forged, SerialNumber("1"))


def test_a_wrong_passphrase_opens_nothing(template):
    with pytest.raises(ConfigurationError, match="passphrase does not open"):
        open_signer(template, b"battery staple", NOW)


@pytest.mark.parametrize("offset", [timedelta(days=1826), -timedelta(days=1)])
def test_a_ca_that_is_not_valid_now_is_not_opened(template, offset):
    with pytest.raises(StateError, match="Issuing CA.* is valid from 2026-03-01 to 2031-02-28"):
        open_signer(template, PASSPHRASE, NOW + offset)


@pytest.mark.parametrize("lost", ["issuing.cert.pem", "issuing.key.pem"])
def test_the_root_does_not_take_over_when_a_file_of_the_intermediate_is_lost(home, lost):
    (home / "ca" / lost).unlink()
    with pytest.raises(StateError, match=lost):
        open_signer(home, PASSPHRASE, NOW)


def test_a_ca_key_that_is_not_its_certificates_is_refused(home):
    shutil.copy(home / "ca/root.key.pem", home / "ca/issuing.key.pem")
    with pytest.raises(StateError, match="do not belong together"):
        open_signer(home, PASSPHRASE, NOW)


@pytest.mark.parametrize("name", ["ca/issuing.key.pem", "ca/issuing.cert.pem", "ca/root.cert.pem"])
def test_ca_files_that_others_can_use_are_refused(home, name):
    (home / name).chmod(0o640)
    with pytest.raises(StateError, match="chmod 600"):
        open_signer(home, PASSPHRASE, NOW)


# --- identity and channel --------------------------------------------------------------------------------------------


def test_the_identity_seals_envelopes_for_its_organisation(template):
    identity = load_identity(template)
    chain = loaded(identity.chain)
    assert verify_path(chain[0], chain[1:], chain[2:], Purpose.ENVELOPE, NOW)
    assert public_key_der(identity.key.public_key()) == public_key_der(chain[0].public_key())


def test_an_identity_key_of_another_identity_is_refused(home, tmp_path):
    other = create(tmp_path / "other")
    shutil.copy(other / "identity/key.pem", home / "identity/key.pem")
    with pytest.raises(StateError, match="do not belong together"):
        load_identity(home)


def test_an_identity_key_that_others_can_read_is_refused(home):
    (home / "identity/key.pem").chmod(0o644)
    with pytest.raises(StateError, match="chmod 600"):
        load_identity(home)


def test_a_damaged_identity_is_refused_by_name(home):
    (home / "identity/key.pem").write_bytes(private_key_pem(rsa.generate_private_key(65537, 2048))[:100])
    with pytest.raises(StateError, match="identity"):
        load_identity(home)


def test_the_channel_shows_its_name_without_the_root(template):
    credential = channel_server_credential(template)
    assert credential.key_path == str(template / "channel/key.pem")
    leaf, issuing = parse_certificates((template / "channel/fullchain.pem").read_bytes(), "x")
    assert verify_path(leaf, [issuing], loaded(trust_bundle(template)), Purpose.CHANNEL_SERVER, NOW, HOST)


def test_a_channel_key_that_is_not_its_certificates_is_refused(home):
    shutil.copy(home / "identity/key.pem", home / "channel/key.pem")
    with pytest.raises(StateError, match="do not belong together"):
        channel_server_credential(home)
