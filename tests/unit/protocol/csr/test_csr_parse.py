"""One strict boundary: any bytes give facts or `RequestError`; nothing of a request can be changed without notice."""

import pytest
from cryptography import x509
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kit.csr_forge import (
    COMMON_NAME,
    ECDSA_SHA256,
    KEY,
    PLAIN,
    SPKI,
    WINDOWS_VERSION,
    attribute,
    bits,
    dns,
    ia5,
    info,
    integer,
    named,
    problem_of,
    rdn,
    sequence,
    sign,
    tlv,
    utf8,
)

from protocol.csr import KeyKind, NameKind, SubjectAttribute, SubjectName, parse_csr
from protocol.errors import ProblemCode, RequestError
from protocol.messages import CSR_MAX

FULL_INFO = info(
    attribute(WINDOWS_VERSION, ia5("10.0.20348.2")),
    named(dns("api.client-b.example"), tlv(0x86, b"spiffe://client-b.example/api"), tlv(0x87, bytes([192, 0, 2, 1]))),
    name=sequence(rdn(COMMON_NAME, utf8("api.client-b.example"))),
)
FULL = sign(FULL_INFO)


def test_the_facts_of_a_request_are_all_that_it_says():
    parsed = parse_csr(FULL)
    assert parsed.der == FULL
    assert parsed.subject == (SubjectAttribute(COMMON_NAME, "api.client-b.example"),)
    assert parsed.names == (
        SubjectName(NameKind.DNS, "api.client-b.example"),
        SubjectName(NameKind.URI, "spiffe://client-b.example/api"),
        SubjectName(NameKind.IP, "192.0.2.1"),
    )
    assert (parsed.key.kind, parsed.key.spki, parsed.signature_hash) == (KeyKind.P256, SPKI, "SHA-256")
    assert parsed.extended_key_usages == ()
    assert parsed.left_out == ("attribute 1.3.6.1.4.1.311.13.2.3: Windows version",)


def test_size_is_judged_before_anything_else():
    assert parse_csr(FULL, limit=len(FULL)).der == FULL
    with pytest.raises(RequestError, match="at most 10 bytes"):
        parse_csr(FULL, limit=10)
    with pytest.raises(RequestError, match=f"{CSR_MAX + 1} bytes"):
        parse_csr(bytes(CSR_MAX + 1))


@pytest.mark.parametrize("version", [integer(1), integer(-1), tlv(0x02, b"\0\0"), tlv(0x02)])
def test_another_version_is_refused_as_such(version):
    assert problem_of(sign(info(PLAIN, version=version))).code is ProblemCode.UNSUPPORTED_VERSION


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (b"", "CSR"),
        (FULL + b"\0", "CSR"),
        (FULL + FULL, "CSR"),
        (FULL[:-1], "CSR"),
        (sequence(FULL_INFO, ECDSA_SHA256), "CSR"),
        (sequence(FULL_INFO, ECDSA_SHA256, bits(b""), bits(b"")), "CSR"),
        (sequence(FULL_INFO, ECDSA_SHA256, tlv(0x04)), "CSR"),
        (tlv(0x31, FULL), "CSR"),
        (sign(info(PLAIN, end=tlv(0xA1))), "CSR information"),
        (sign(sequence(integer(0), sequence(), SPKI)), "CSR information"),
        (sign(sequence(integer(0), sequence(), SPKI, tlv(0x31, PLAIN))), "CSR information"),
        (sign(sequence(sequence(), SPKI, tlv(0xA0))), "CSR information"),
        (sign(info(PLAIN, name=tlv(0x31))), "CSR information"),
        (sign(info(PLAIN, version=tlv(0x0A, b"\0"))), "CSR information"),
    ],
)
def test_more_less_or_something_else_than_one_request_is_refused(request_, field):
    problem = problem_of(request_)
    assert (problem.code, problem.field) == (ProblemCode.BAD_DATA_FORMAT, field)


def test_a_refusal_is_printable_and_short_whatever_the_request_says():
    problem = problem_of(sign(info(PLAIN, name=sequence(rdn(COMMON_NAME, utf8("\x1b[31m\n" * 2000))))))
    assert str(problem).isascii()
    assert str(problem).isprintable()


def test_nesting_costs_nothing_because_what_is_left_out_is_not_read():
    deep = b""
    for _ in range(15_000):
        deep = tlv(0x30, deep)
    assert len(deep) < CSR_MAX
    (left_out,) = parse_csr(sign(info(attribute("1.2.3.4", deep)))).left_out
    assert "1.2.3.4" in left_out
    assert problem_of(deep).field == "CSR"


def test_no_bit_of_a_request_can_be_flipped():
    for position in range(len(FULL) * 8):
        flipped = bytearray(FULL)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(RequestError):
            parse_csr(bytes(flipped))


def test_no_request_can_be_cut_short():
    for length in range(len(FULL)):
        with pytest.raises(RequestError):
            parse_csr(FULL[:length])


# --- any bytes -------------------------------------------------------------------------------------------------------


@st.composite
def mutations(draw, original):
    """One to three of: octets replaced, removed, inserted, or a slice of the original repeated."""
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 24))
        filling = draw(st.one_of(st.binary(max_size=24), st.just(bytes(data[start : start + length]) * 2)))
        data[start : start + length] = filling
    return bytes(data)


def repaired(data):
    """With the outermost length made right again, so that a mutation inside is reached."""
    return sequence(data[3:] if data[1:2] == b"\x81" else data[2:])


def judged(request):
    """The facts, or None where the request is refused; any other outcome fails the test."""
    try:
        return parse_csr(request)
    except RequestError as error:
        assert error.problems  # noqa: PT017 - what it carries is the point
        return None


@given(st.binary(max_size=200))
@example(b"")
def test_any_bytes_are_facts_or_the_one_error(data):
    assert judged(data) is None
    assert judged(sign(data)) is None


@given(mutations(FULL))
@settings(deadline=None)
def test_no_mutation_of_a_request_passes(data):
    assert (judged(data) is None) == (data != FULL)


@given(mutations(FULL_INFO))
@settings(deadline=None, max_examples=400)
def test_of_a_mutation_that_is_signed_anew_the_facts_are_what_another_reader_sees(data):
    for signed in (data, repaired(data)):
        parsed = judged(sign(signed))
        if parsed is not None:
            agrees_with_the_library(parsed)


def agrees_with_the_library(parsed):
    try:
        read = x509.load_der_x509_csr(parsed.der)
    except ValueError as error:
        assert "InvalidSetOrdering" in str(error)  # noqa: PT017 - the one thing in which we are more tolerant
        return
    assert read.public_key() == KEY.public_key()
    assert [n.value for n in parsed.names if n.kind is NameKind.DNS] == [
        name
        for extension in read.extensions
        if isinstance(extension.value, x509.SubjectAlternativeName)
        for name in extension.value.get_values_for_type(x509.DNSName)
    ]
    common_names = [a.value for a in read.subject if a.oid.dotted_string == COMMON_NAME]
    assert [a.value for a in parsed.subject if a.oid == COMMON_NAME] == common_names
