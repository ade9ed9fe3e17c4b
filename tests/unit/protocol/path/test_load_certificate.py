"""`load_certificate` and `agent_organisation`: any bytes give a certificate that can be read, or the one error."""

import warnings

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.certificates import AGENT_URI, forge_ca, forge_identity, forge_leaf

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
    with pytest.raises(PathError, match=f"at most {CERTIFICATE_MAX} bytes"):
        load_certificate(DER + b"\x00" * CERTIFICATE_MAX)


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


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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
    "names", [[], [x509.DNSName("client-b")], [AGENT_URI, AGENT_URI], [x509.UniformResourceIdentifier("apostille://x")]]
)
def test_without_exactly_one_agent_uri_there_is_no_organisation(names):
    leaf = forge_leaf(ROOT, [KP_JWT], names, common_name="client-b").certificate
    with pytest.raises(PathError):
        agent_organisation(leaf)
