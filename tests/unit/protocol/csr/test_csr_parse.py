"""One strict boundary: any bytes give facts or `RequestError`; nothing of a request can be changed without notice."""

import pytest
from kit.csr_forge import (
    COMMON_NAME,
    ECDSA_SHA256,
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


@pytest.mark.parametrize(
    ("version", "octets"),
    [(integer(1), "01"), (integer(-1), "ff"), (tlv(0x02, b"\0\0"), "0000"), (tlv(0x02), "none")],
)
def test_another_version_is_refused_as_such(version, octets):
    problem = problem_of(sign(info(PLAIN, version=version)))
    assert (problem.code, problem.got) == (ProblemCode.UNSUPPORTED_VERSION, f"version octets {octets}")


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
