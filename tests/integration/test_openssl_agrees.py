"""A third party's verdict: OpenSSL accepts what we issue for the right purpose, and refuses it for any other."""

import subprocess
from datetime import UTC, datetime

import pytest
from kit.certificates import CLIENT

from agents.adapters import files
from agents.adapters.entropy import SystemEntropy
from agents.adapters.keystore import load_identity, open_signer, organisation_files
from agents.adapters.keystore.authority import sign
from agents.core import profile
from agents.core.organisation import KeyType, OrganisationPlan
from agents.core.pem import certificates_pem, parse_certificates, parse_private_key, public_key_der
from agents.core.profile import CertificateSpec, Issuer, Profile, build
from protocol.csr import NameKind, SubjectName
from protocol.names import DnsName, OrganisationName
from protocol.path import load_certificate

HOST, PASSPHRASE = DnsName("channel.client-c.example"), b"correct horse"


@pytest.fixture(scope="module", params=KeyType)
def home(request, tmp_path_factory):
    home = tmp_path_factory.mktemp("openssl") / "home"
    plan = OrganisationPlan(OrganisationName("client-c"), "Client C", PASSPHRASE, request.param, endpoint_host=HOST)
    files.create_files(home, organisation_files(plan, datetime.now(UTC), SystemEntropy()))
    return home


def openssl(*arguments):
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)


def verify(home, leaf, *options):
    """OpenSSL's strict verdict on a leaf with our chain."""
    common = ("-x509_strict", "-CAfile", home / "ca/root.cert.pem", "-untrusted", home / "ca/issuing.cert.pem")
    return openssl("verify", *common, *options, leaf).returncode == 0


@pytest.fixture
def client_certificate(home, tmp_path):
    """A channel client's certificate, as the policy would have it."""
    now = datetime.now(UTC)
    key = parse_private_key((home / "channel/key.pem").read_bytes(), None, "x")
    spec = CertificateSpec(
        Profile.CHANNEL_CLIENT,
        (),
        (SubjectName(NameKind.DNS, "api.client-b.example"),),
        public_key_der(key.public_key()),
        (CLIENT.dotted_string,),
        *profile.validity(now, profile.END_ENTITY_LIFETIME),
    )
    issuing = parse_certificates((home / "ca/issuing.cert.pem").read_bytes(), "x")[0]
    ca_key = parse_private_key((home / "ca/issuing.key.pem").read_bytes(), PASSPHRASE, "x")
    certificate = sign(build(spec, Issuer.of_certificate(issuing), SystemEntropy().serial_number()), ca_key)
    (tmp_path / "client.pem").write_bytes(certificates_pem([certificate]))
    return tmp_path / "client.pem"


def test_the_root_is_a_strict_root(home):
    assert (
        openssl("verify", "-x509_strict", "-CAfile", home / "ca/root.cert.pem", home / "ca/root.cert.pem").returncode
        == 0
    )


def test_the_server_certificate_serves_and_does_nothing_else(home):
    leaf = home / "channel/fullchain.pem"
    assert verify(home, leaf, "-purpose", "sslserver", "-verify_hostname", HOST)
    assert not verify(home, leaf, "-purpose", "sslserver", "-verify_hostname", "other.example")
    assert not verify(home, leaf, "-purpose", "sslclient")


def test_the_client_certificate_opens_channels_and_serves_none(home, client_certificate):
    assert verify(home, client_certificate, "-purpose", "sslclient")
    assert not verify(home, client_certificate, "-purpose", "sslserver")


def test_the_identity_is_good_for_no_tls_at_all(home):
    leaf = home / "identity/chain.pem"
    assert verify(home, leaf)
    assert not verify(home, leaf, "-purpose", "sslclient")
    assert not verify(home, leaf, "-purpose", "sslserver")


def test_another_organisations_root_vouches_for_nothing_here(home, tmp_path):
    other = tmp_path / "other"
    plan = OrganisationPlan(OrganisationName("client-d"), "Client C", PASSPHRASE)
    files.create_files(other, organisation_files(plan, datetime.now(UTC), SystemEntropy()))
    options = ("-untrusted", home / "ca/issuing.cert.pem", home / "channel/fullchain.pem")
    assert openssl("verify", "-CAfile", other / "ca/root.cert.pem", *options).returncode != 0


def test_the_ca_key_opens_with_the_passphrase_and_only_with_it(home):
    key = home / "ca/issuing.key.pem"
    assert openssl("pkey", "-in", key, "-noout", "-passin", f"pass:{PASSPHRASE.decode()}").returncode == 0
    assert openssl("pkey", "-in", key, "-noout", "-passin", "pass:wrong").returncode != 0


def test_openssl_reads_the_same_serial_number_and_names(home):
    arguments = ("-in", home / "identity/chain.pem", "-noout", "-serial", "-ext", "subjectAltName")
    serial, text = openssl("x509", *arguments).stdout.split("\n", 1)
    leaf = load_certificate(load_identity(home).chain[0])
    assert int(serial.removeprefix("serial="), 16) == leaf.serial_number
    assert "URI:apostille:client-c/agent" in text
    assert "critical" in text


def test_the_signer_is_the_ca_that_openssl_verified(home):
    signer = open_signer(home, PASSPHRASE, datetime.now(UTC))
    assert signer.certificate() == load_identity(home).chain[1]
