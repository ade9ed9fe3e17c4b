"""Extensions: two are read, harmless ones are left out and reported, the rest refuse the request."""

import pytest
from kit.csr_forge import (
    BASIC_CONSTRAINTS,
    EKU,
    KEY_IDENTIFIER,
    KEY_USAGE,
    SAN,
    asking_for,
    dns,
    extension,
    info,
    integer,
    oid,
    problem_of,
    sequence,
    sign,
    tlv,
)

from protocol.csr import parse_csr
from protocol.csr.extensions import EXTENSIONS_MAX, PURPOSES_MAX
from protocol.errors import ProblemCode

NAMES = extension(SAN, sequence(dns("api.client-b.example")))
CLIENT_AUTH, SERVER_AUTH = "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"
TRUE, FALSE = b"\x01\x01\xff", b"\x01\x01\x00"
A_CA = [sequence(TRUE), sequence(TRUE, integer(0)), sequence(integer(0)), sequence(FALSE), sequence() + b"\0", b""]


def request(*extensions):
    return sign(info(asking_for(*extensions)))


def test_names_and_purposes_are_read_critical_or_not():
    purposes = sequence(oid(CLIENT_AUTH), oid(SERVER_AUTH))
    parsed = parse_csr(request(extension(EKU, purposes, TRUE), extension(SAN, sequence(dns("a.example")), TRUE)))
    assert parsed.extended_key_usages == (CLIENT_AUTH, SERVER_AUTH)
    assert [n.value for n in parsed.names] == ["a.example"]
    assert parsed.left_out == ()


def test_a_request_without_names_or_purposes_asks_for_none():
    parsed = parse_csr(request(extension(KEY_IDENTIFIER, b"\x04\x01x")))
    assert (parsed.names, parsed.extended_key_usages) == ((), ())


@pytest.mark.parametrize(
    ("type_", "value", "words"),
    [
        (KEY_IDENTIFIER, b"\x04\x01x", "subject key identifier"),
        ("2.5.29.35", sequence(), "authority key identifier"),
        (KEY_USAGE, b"\x03\x02\x07\x80", "key usage"),
        (BASIC_CONSTRAINTS, sequence(), "not a CA"),
    ],
)
@pytest.mark.parametrize("critical", [b"", TRUE])
def test_what_the_profile_or_the_issuer_decides_is_left_out_and_reported(type_, value, words, critical):
    (left_out,) = parse_csr(request(NAMES, extension(type_, value, critical))).left_out
    assert words in left_out


def test_an_unknown_extension_is_left_out_and_reported_by_its_identifier():
    (left_out,) = parse_csr(request(NAMES, extension("2.16.840.1.113730.1.13", b"a comment"))).left_out
    assert "2.16.840.1.113730.1.13" in left_out
    assert "a comment" not in left_out


@pytest.mark.parametrize("value", A_CA)
def test_a_request_to_become_a_ca_or_unclear_about_it_is_refused(value):
    problem = problem_of(request(NAMES, extension(BASIC_CONSTRAINTS, value)))
    assert problem.code is ProblemCode.UNACCEPTED_EXTENSION
    assert problem.allowed == "basicConstraints with CA:FALSE and no path length"
    assert "CA:FALSE" in problem.fix


@pytest.mark.parametrize(
    ("extensions", "got"),
    [
        ([NAMES, extension("1.2.3.4", b"", TRUE)], "critical extension 1.2.3.4"),
        ([NAMES, NAMES], "the same extension twice"),
        ([extension("1.2.3.4", b"a"), extension("1.2.3.4", b"b")], "the same extension twice"),
        ([extension(SAN, sequence(dns("a")), FALSE)], "'critical' is not TRUE in DER"),
        ([extension(SAN, sequence(dns("a")), b"\x01\x01\x01")], "'critical' is not TRUE in DER"),
        ([extension(SAN, sequence(dns("a")), b"\x01\x00")], "'critical' is not TRUE in DER"),
        ([extension(SAN, sequence(dns("a")), b"\x0a\x01\xff")], "'critical' is not TRUE in DER"),
        ([sequence(oid(SAN), tlv(0x03, b"\0"))], "without identifier or value"),
        ([sequence(integer(1), tlv(0x04))], "without identifier or value"),
        ([extension(EKU, sequence(oid(CLIENT_AUTH), oid(CLIENT_AUTH)))], "the same extended key usage twice"),
    ],
)
def test_duplicates_unknown_critical_extensions_and_loose_encodings_are_refused(extensions, got):
    problem = problem_of(request(*extensions))
    assert problem.code is ProblemCode.UNACCEPTED_EXTENSION
    assert got in problem.got


@pytest.mark.parametrize(
    "item",
    [
        sequence(),
        sequence(oid(SAN)),
        sequence(oid(SAN), TRUE, tlv(0x04), tlv(0x04)),
        extension(EKU, sequence()),
        extension(EKU, sequence(oid(CLIENT_AUTH)) + b"\0"),
        extension(EKU, sequence(integer(1))),
        extension(EKU, sequence(*(oid(f"1.2.{arc}") for arc in range(PURPOSES_MAX + 1)))),
        tlv(0x31),
    ],
)
def test_an_extension_of_another_structure_is_refused(item):
    assert problem_of(request(item)).code is ProblemCode.BAD_DATA_FORMAT


def test_the_number_of_extensions_is_one_to_the_limit():
    unknown = [extension(f"1.2.3.{arc}", b"") for arc in range(EXTENSIONS_MAX + 1)]
    assert len(parse_csr(request(*unknown[:-1])).left_out) == EXTENSIONS_MAX
    assert "more than 16" in problem_of(request(*unknown)).got
    assert "0 entries" in problem_of(request()).got
