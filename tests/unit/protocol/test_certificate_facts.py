import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from kit.certificates import CLIENT, distinguished_name, forge_ca, forge_client, forge_leaf

from protocol.certificate import fingerprint, public_key_info, serial_number, subject_names, unknown_names
from protocol.csr import NameKind, SubjectName
from protocol.names import Fingerprint

CA = forge_ca("root")


def with_names(*names):
    return forge_leaf(CA, [CLIENT], names, common_name="a").certificate


def test_names_of_every_known_kind_are_listed_in_order():
    certificate = with_names(
        x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
        x509.DNSName("a.example"),
        x509.UniformResourceIdentifier("spiffe://a.example/x"),
        x509.RFC822Name("a@a.example"),
    )
    assert subject_names(certificate) == (
        SubjectName(NameKind.IP, "192.0.2.1"),
        SubjectName(NameKind.DNS, "a.example"),
        SubjectName(NameKind.URI, "spiffe://a.example/x"),
        SubjectName(NameKind.EMAIL, "a@a.example"),
    )


def test_names_of_unknown_kinds_are_told_apart():
    certificate = with_names(x509.DirectoryName(distinguished_name("a")), x509.DNSName("a.example"))
    assert subject_names(certificate) == (SubjectName(NameKind.DNS, "a.example"),)
    assert unknown_names(certificate) == ("DirectoryName",)


def test_a_certificate_without_alternative_names_has_none():
    assert subject_names(CA.certificate) == unknown_names(CA.certificate) == ()


def test_the_facts_are_those_of_the_certificate():
    client = forge_client(CA)
    certificate = client.certificate
    assert serial_number(certificate).to_int() == certificate.serial_number
    assert fingerprint(certificate) == Fingerprint.of(certificate.public_bytes(Encoding.DER))
    spki = client.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public_key_info(certificate) == spki
