"""`load_certificate` and `agent_organisation`: any bytes give a certificate that can be read, or the one error."""

import warnings
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.certificates import AGENT_URI, DAY, NOW, forge_ca, forge_identity, forge_leaf

from protocol.errors import PathError, ProblemCode
from protocol.messages import CERTIFICATE_MAX
from protocol.path import KP_JWT, agent_organisation, load_certificate

ROOT = forge_ca("root")
LEAF = forge_identity(ROOT).certificate
DER = LEAF.public_bytes(serialization.Encoding.DER)
SAN = bytes.fromhex("0603551d11")


def test_a_certificate_is_loaded_as_it_is():
    assert load_certificate(DER) == LEAF


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x30",
        b"\x30\x80\x00\x00",
        DER[:-1],
        DER + b"\x00",
        DER + DER,
        LEAF.public_bytes(serialization.Encoding.PEM),
        LEAF.tbs_certificate_bytes,
    ],
    ids=["nothing", "a tag", "indefinite length", "cut", "one more byte", "two", "PEM", "unsigned"],
)
def test_whatever_is_not_exactly_one_der_certificate_is_refused(data):
    with pytest.raises(PathError) as caught:
        load_certificate(data)
    assert caught.value.problems[0].code is ProblemCode.BAD_DATA_FORMAT


def test_size_is_checked_before_anything_is_parsed():
    with pytest.raises(PathError) as caught:
        load_certificate(DER + b"\x00" * CERTIFICATE_MAX)
    (problem,) = caught.value.problems
    assert (problem.got, problem.allowed) == (f"{len(DER) + CERTIFICATE_MAX} bytes", f"at most {CERTIFICATE_MAX} bytes")


def test_a_certificate_may_be_as_large_as_the_limit():
    def filled(octets):
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(octets))
        leaf = forge_identity(ROOT, extra=[(unknown, False)], serial=1)
        return leaf.certificate.public_bytes(serialization.Encoding.DER)

    octets = 2 * CERTIFICATE_MAX - len(filled(CERTIFICATE_MAX))
    largest = next(der for der in (filled(octets) for _ in range(200)) if len(der) == CERTIFICATE_MAX)
    assert load_certificate(largest)


def test_a_repeated_extension_is_refused():
    # Rename the authority key identifier to a second subject key identifier, which parses lazily only.
    twice = DER.replace(bytes.fromhex("0603551d23"), bytes.fromhex("0603551d0e"))
    with pytest.raises(PathError, match=r"2\.5\.29\.14"):
        load_certificate(twice)


@pytest.mark.parametrize("action", ["error", "ignore"])
def test_a_serial_number_that_is_not_positive_is_refused(action):
    # The library only warns (RFC 5280 section 4.1.2.2).
    serial = LEAF.serial_number.to_bytes(20).lstrip(b"\x00")
    at = DER.index(serial)
    with warnings.catch_warnings(), pytest.raises(PathError, match="serial number"):
        warnings.simplefilter(action)
        load_certificate(DER[:at] + bytes([serial[0] | 0x80]) + DER[at + 1 :])


@pytest.mark.filterwarnings("ignore:Attribute's length")
def test_a_name_is_as_long_as_its_characters():
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Ж" * 64, _validate=False)])
    builder = x509.CertificateBuilder(name, name, ROOT.key.public_key(), 1, NOW, NOW + DAY)
    certificate = builder.sign(ROOT.key, hashes.SHA256())
    assert load_certificate(certificate.public_bytes(serialization.Encoding.DER)) == certificate


def test_the_serial_number_1_is_the_smallest():
    first = forge_identity(ROOT, serial=1).certificate
    der = first.public_bytes(serialization.Encoding.DER)
    assert load_certificate(der) == first
    with warnings.catch_warnings(), pytest.raises(PathError, match="serial number"):
        warnings.simplefilter("ignore")
        load_certificate(der.replace(b"\x02\x01\x02\x02\x01\x01", b"\x02\x01\x02\x02\x01\x00", 1))


@pytest.mark.parametrize(("right", "wrong"), [(b"leaf", b"l\xffaf"), (b"root", b"r\xffot")])
def test_a_subject_or_issuer_that_is_no_text_is_refused(right, wrong):
    der = forge_identity(ROOT, common_name="leaf").certificate.public_bytes(serialization.Encoding.DER)
    with pytest.raises(PathError):
        load_certificate(der.replace(right, wrong))


@pytest.mark.parametrize("moment", [b"20550101", b"20600101"])
def test_a_beginning_or_an_end_before_the_calendar_is_refused(moment):
    start, end = datetime(2055, 1, 1, tzinfo=UTC), datetime(2060, 1, 1, tzinfo=UTC)
    der = forge_identity(ROOT, start=start, end=end).certificate.public_bytes(serialization.Encoding.DER)
    assert load_certificate(der)
    with pytest.raises(PathError):
        load_certificate(der.replace(moment, b"00000101"))


def test_an_unknown_signature_algorithm_is_refused():
    with pytest.raises(PathError):
        load_certificate(DER.replace(bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a8648ce3d040309")))


def test_a_signature_with_an_unknown_parameter_is_refused():
    key, sha256 = rsa.generate_private_key(65537, 2048), bytes.fromhex("0609608648016503040201")
    builder = x509.CertificateBuilder(LEAF.issuer, LEAF.subject, key.public_key(), 1, NOW, NOW + DAY)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    der = builder.sign(key, hashes.SHA256(), rsa_padding=pss).public_bytes(serialization.Encoding.DER)
    assert load_certificate(der)
    # The hash of the message is named first, then that of the mask; both twice in a certificate.
    message, mask = (sha256 + b"\x05\x00\xa1", sha256 + b"\x05\x00\xa2")
    assert (der.count(message), der.count(mask)) == (2, 2)
    with pytest.raises(PathError):
        load_certificate(der.replace(mask, sha256[:-1] + b"\x77" + b"\x05\x00\xa2"))


def test_an_unknown_version_is_refused():
    with pytest.raises(PathError):
        load_certificate(DER.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020107"), 1))


def test_a_kind_of_name_that_cannot_be_read_is_refused():
    # x400Address [3] in place of the URI [6]: a kind that the library knows of and does not read.
    at = DER.index(SAN)
    position = DER.index(b"\x86", at)
    changed = DER[:position] + b"\xa3" + DER[position + 1 :]
    with pytest.raises(PathError):
        load_certificate(changed)


def test_a_key_of_an_unknown_kind_is_refused():
    changed = DER.replace(bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d0209"))
    with pytest.raises(PathError):
        load_certificate(changed)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, len(DER) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_certificate_gives_a_readable_one_or_the_one_error(changes):
    data = bytearray(DER)
    for position, value in changes:
        data[position] = value
    try:
        certificate = load_certificate(bytes(data))
        agent_organisation(certificate)
    except PathError:
        return
    assert certificate.public_bytes(serialization.Encoding.DER) == bytes(data)


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_as_one_error(data):
    with pytest.raises(PathError):
        load_certificate(data)


def test_the_organisation_of_an_agent_is_read_from_its_uri():
    assert agent_organisation(LEAF) == "client-b"


@pytest.mark.parametrize(
    "names",
    [
        [],
        [x509.DNSName("client-b")],
        [x509.DNSName(AGENT_URI.value)],
        [x509.DirectoryName(ROOT.subject)],
        [AGENT_URI, AGENT_URI],
        [x509.UniformResourceIdentifier("apostille:x")],
    ],
)
def test_without_exactly_one_agent_uri_there_is_no_organisation(names):
    leaf = forge_leaf(ROOT, [KP_JWT], names, common_name="client-b").certificate
    with pytest.raises(PathError) as caught:
        agent_organisation(leaf)
    (problem,) = caught.value.problems
    assert problem.code is ProblemCode.SIGNER_NOT_TRUSTED
    assert (problem.got == "none") is (not names)
