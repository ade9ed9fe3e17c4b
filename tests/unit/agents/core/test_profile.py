"""The shape of every certificate that the agent makes, read back from the signed result."""

import hashlib
import ipaddress
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from kit.certificates import NOW, forge_ca, new_key, usage

from agents.core import profile
from agents.core.answers import BACKDATE_MAX
from agents.core.pem import public_key_der
from agents.core.profile import BACKDATE, CertificateSpec, Issuer, Profile, build
from agents.errors import StateError
from protocol.csr import NameKind, SubjectAttribute, SubjectName
from protocol.envelope import CLOCK_SKEW_MAX
from protocol.names import DnsName, OrganisationName, SerialNumber
from protocol.path import KP_JWT, Purpose, verify_path

SERIAL = SerialNumber("7f" + "ab" * 19)
CLIENT = x509.ExtendedKeyUsageOID.CLIENT_AUTH
HOST = DnsName("c.example")
ROOT_KEY, ISSUING_KEY, LEAF_KEY = new_key(), new_key(), new_key()
SPKI = public_key_der(LEAF_KEY.public_key())
CA_USAGE, EE_USAGE = usage("key_cert_sign", "crl_sign"), usage("digital_signature")


def signed(spec, issuer, key):
    return build(spec, issuer, SERIAL).sign(key, hashes.SHA256())


def make_root(now=NOW, *, issues=False):
    spec = profile.root("Client C", public_key_der(ROOT_KEY.public_key()), now, issues=issues)
    return signed(spec, Issuer.of_root(spec), ROOT_KEY)


ROOT = make_root()
ISSUING = signed(
    profile.intermediate("Client C", public_key_der(ISSUING_KEY.public_key()), NOW),
    Issuer.of_certificate(ROOT),
    ROOT_KEY,
)


def client_spec(**changes):
    standard = {
        "profile": Profile.CHANNEL_CLIENT,
        "subject": (),
        "names": (SubjectName(NameKind.DNS, "api.b.example"),),
        "public_key": SPKI,
        "extended_key_usages": (CLIENT.dotted_string,),
        "not_before": NOW - BACKDATE,
        "not_after": NOW + timedelta(days=90),
    }
    return CertificateSpec(**(standard | changes))


def issued(spec):
    return signed(spec, Issuer.of_certificate(ISSUING), ISSUING_KEY)


def value(certificate, kind):
    return certificate.extensions.get_extension_for_class(kind).value


def critical(certificate):
    return {extension.oid for extension in certificate.extensions if extension.critical}


def test_the_profiles_between_organisations_form_paths_that_the_validator_accepts():
    identity = issued(profile.agent_identity(OrganisationName("client-c"), SPKI, NOW))
    server = issued(profile.channel_server(HOST, SPKI, NOW))
    assert verify_path(identity, [ISSUING], [ROOT], Purpose.ENVELOPE, NOW)
    assert verify_path(server, [ISSUING], [ROOT], Purpose.CHANNEL_SERVER, NOW, HOST)
    assert verify_path(issued(client_spec()), [ISSUING], [ROOT], Purpose.CHANNEL_CLIENT, NOW)


@pytest.mark.parametrize(("certificate", "path_length"), [(ROOT, None), (make_root(issues=True), 0), (ISSUING, 0)])
def test_a_ca_signs_certificates_and_crls_and_nothing_else(certificate, path_length):
    assert value(certificate, x509.BasicConstraints) == x509.BasicConstraints(ca=True, path_length=path_length)
    assert value(certificate, x509.KeyUsage) == CA_USAGE
    assert critical(certificate) == {x509.BasicConstraints.oid, x509.KeyUsage.oid}
    with pytest.raises(x509.ExtensionNotFound):
        value(certificate, x509.ExtendedKeyUsage)


def test_a_spec_says_which_profile_it_follows():
    name = OrganisationName("client-c")
    made = [
        profile.root("Client C", SPKI, NOW, issues=False),
        profile.root("Client C", SPKI, NOW, issues=True),
        profile.intermediate("Client C", SPKI, NOW),
        profile.agent_identity(name, SPKI, NOW),
        profile.channel_server(HOST, SPKI, NOW),
        profile.broker_login(name, SPKI, NOW),
    ]
    assert [spec.profile for spec in made] == [one for one in Profile if one is not Profile.CHANNEL_CLIENT]


def test_root_and_intermediate_differ_in_their_subjects():
    assert ROOT.subject.rfc4514_string() == "CN=Root CA,O=Client C"
    assert ISSUING.subject.rfc4514_string() == "CN=Issuing CA,O=Client C"
    assert ROOT.issuer == ROOT.subject == ISSUING.issuer


@pytest.mark.parametrize(
    ("spec", "usages", "name"),
    [
        (
            profile.agent_identity(OrganisationName("client-c"), SPKI, NOW),
            [KP_JWT],
            x509.UniformResourceIdentifier("apostille:client-c/agent"),
        ),
        (profile.channel_server(HOST, SPKI, NOW), [x509.ExtendedKeyUsageOID.SERVER_AUTH], x509.DNSName("c.example")),
        (client_spec(), [CLIENT], x509.DNSName("api.b.example")),
        (profile.broker_login(OrganisationName("client-b"), SPKI, NOW), [CLIENT], x509.DNSName("client-b")),
    ],
)
def test_an_end_entity_has_one_purpose_and_its_name_in_the_critical_extension(spec, usages, name):
    certificate = issued(spec)
    assert certificate.subject == x509.Name([])
    assert value(certificate, x509.KeyUsage) == EE_USAGE
    assert value(certificate, x509.BasicConstraints) == x509.BasicConstraints(ca=False, path_length=None)
    assert list(value(certificate, x509.ExtendedKeyUsage)) == usages
    assert list(value(certificate, x509.SubjectAlternativeName)) == [name]
    assert critical(certificate) == {x509.BasicConstraints.oid, x509.KeyUsage.oid, x509.SubjectAlternativeName.oid}


def test_a_subject_makes_the_alternative_names_uncritical():
    certificate = issued(client_spec(subject=(SubjectAttribute("2.5.4.3", "api"), SubjectAttribute("2.5.4.10", "B"))))
    assert certificate.subject.rfc4514_string() == "O=B,CN=api"
    assert x509.SubjectAlternativeName.oid not in critical(certificate)


def test_every_kind_of_name_is_written_as_its_kind():
    names = tuple(
        SubjectName(kind, text)
        for kind, text in [
            (NameKind.DNS, "api.b.example"),
            (NameKind.URI, "spiffe://b.example/api"),
            (NameKind.EMAIL, "ops@b.example"),
            (NameKind.IP, "2001:db8::1"),
        ]
    )
    assert list(value(issued(client_spec(names=names)), x509.SubjectAlternativeName)) == [
        x509.DNSName("api.b.example"),
        x509.UniformResourceIdentifier("spiffe://b.example/api"),
        x509.RFC822Name("ops@b.example"),
        x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
    ]


def test_the_extensions_that_nothing_was_asked_for_are_absent():
    certificate = issued(client_spec(names=(), extended_key_usages=(), subject=(SubjectAttribute("2.5.4.3", "api"),)))
    assert {extension.oid for extension in certificate.extensions} == {
        x509.SubjectKeyIdentifier.oid,
        x509.AuthorityKeyIdentifier.oid,
        x509.BasicConstraints.oid,
        x509.KeyUsage.oid,
    }


# --- key identifiers, serial numbers ---------------------------------------------------------------------------------


def test_the_key_identifier_is_the_fingerprint_that_the_ledger_knows():
    assert value(issued(client_spec()), x509.SubjectKeyIdentifier).digest == hashlib.sha256(SPKI).digest()


def test_the_authority_key_identifier_leads_to_the_issuer():
    assert value(issued(client_spec()), x509.AuthorityKeyIdentifier).key_identifier == (
        value(ISSUING, x509.SubjectKeyIdentifier).digest
    )
    assert value(ROOT, x509.AuthorityKeyIdentifier).key_identifier == value(ROOT, x509.SubjectKeyIdentifier).digest


def test_the_key_identifier_of_a_foreign_ca_is_repeated_as_it_is():
    foreign = forge_ca("foreign")  # identifies its key by SHA-1 of the bits
    certificate = signed(client_spec(), Issuer.of_certificate(foreign.certificate), foreign.key)
    assert value(certificate, x509.AuthorityKeyIdentifier).key_identifier == (
        value(foreign.certificate, x509.SubjectKeyIdentifier).digest
    )


def test_a_foreign_ca_without_a_key_identifier_gets_ours():
    foreign = forge_ca("foreign", identifiers=False)
    certificate = signed(client_spec(), Issuer.of_certificate(foreign.certificate), foreign.key)
    expected = hashlib.sha256(public_key_der(foreign.key.public_key())).digest()
    assert value(certificate, x509.AuthorityKeyIdentifier).key_identifier == expected


def test_the_serial_number_is_the_given_one_and_fits_twenty_octets():
    certificate = issued(client_spec())
    assert certificate.serial_number == SERIAL.to_int()
    assert b"\x02\x14" + SERIAL.to_int().to_bytes(20) in certificate.public_bytes(serialization.Encoding.DER)


# --- validity --------------------------------------------------------------------------------------------------------


def test_validity_is_in_whole_seconds_and_begins_before_the_moment_of_issue():
    start, end = profile.validity(NOW.replace(microsecond=999_999), timedelta(days=1))
    assert (start, end) == (NOW - BACKDATE, NOW + timedelta(days=1))


def test_certificates_are_dated_back_by_as_much_as_clocks_may_differ_and_a_requester_expects():
    assert CLOCK_SKEW_MAX == BACKDATE <= BACKDATE_MAX


@pytest.mark.parametrize(
    ("certificate", "lifetime"),
    [(ROOT, profile.ROOT_LIFETIME), (ISSUING, profile.INTERMEDIATE_LIFETIME)],
)
def test_cas_last_as_long_as_their_profile_says(certificate, lifetime):
    assert certificate.not_valid_before_utc == NOW - BACKDATE
    assert certificate.not_valid_after_utc == NOW + lifetime


def test_no_certificate_outlives_its_issuer():
    late = NOW + profile.INTERMEDIATE_LIFETIME - timedelta(days=10)
    certificate = issued(profile.channel_server(HOST, SPKI, late))
    assert certificate.not_valid_after_utc == ISSUING.not_valid_after_utc


def test_no_certificate_begins_before_its_issuer():
    certificate = issued(profile.channel_server(HOST, SPKI, NOW - timedelta(minutes=2)))
    assert certificate.not_valid_before_utc == ISSUING.not_valid_before_utc


@pytest.mark.parametrize("late", [profile.INTERMEDIATE_LIFETIME + BACKDATE, timedelta(days=4000)])
def test_an_expired_ca_issues_nothing_and_says_so(late):
    with pytest.raises(StateError, match="CN=Issuing CA,O=Client C is valid until 2031-02-28"):
        issued(profile.channel_server(HOST, SPKI, NOW + late))


# --- hashes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (ec.generate_private_key(ec.SECP256R1()), "sha256"),
        (ec.generate_private_key(ec.SECP384R1()), "sha384"),
        (ec.generate_private_key(ec.SECP521R1()), "sha512"),
        (rsa.generate_private_key(65537, 2048), "sha256"),
    ],
)
def test_the_hash_is_as_strong_as_the_key(key, expected):
    assert profile.signature_hash(key.public_key()).name == expected


@pytest.mark.parametrize("key", [ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256K1())])
def test_a_key_of_another_kind_is_no_ca_key(key):
    with pytest.raises(StateError, match="only RSA, P-256, P-384 and P-521"):
        profile.signature_hash(key.public_key())
