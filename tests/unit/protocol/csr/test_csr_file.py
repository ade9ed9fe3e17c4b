"""A file gives the DER of exactly one request, or a problem that says what the file is instead."""

from base64 import b64encode
from textwrap import wrap

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.csr_forge import PLAIN, info, sign

from protocol.csr import parse_csr, read_csr_file
from protocol.csr.file import FILE_MAX
from protocol.errors import ProblemCode, RequestError

REQUEST = sign(info(PLAIN))


def pem(data=REQUEST, label="CERTIFICATE REQUEST", end="\n", width=64):
    body = wrap(b64encode(data).decode(), width)
    return end.join([f"-----BEGIN {label}-----", *body, f"-----END {label}-----", ""]).encode()


def refused(data):
    with pytest.raises(RequestError) as caught:
        read_csr_file(data)
    (problem,) = caught.value.problems
    assert (problem.code, problem.field) == (ProblemCode.BAD_DATA_FORMAT, "CSR file")
    return problem


@pytest.mark.parametrize(
    "data",
    [
        REQUEST,
        pem(),
        pem(label="NEW CERTIFICATE REQUEST"),
        pem(end="\r\n"),
        pem(width=76),
        pem(width=10_000),
        pem(end=" \t\n"),
        pem(end="\n\n"),
        pem() + b"\n \r\n\t",
        b"Certificate Request:\n    Data:\n        Version: 1 (0x0)\n" + pem(),
        b"\n\n" + pem(),
        b"0_1 is the number of this request\n" + pem(),
        b"\xef\xbb\xbfcaf\xc3\xa9 - what we need\r\n" + pem(end="\r\n"),
        b"\xef\xbb\xbf" + pem(),
        pem()[:-1],
    ],
    ids=[
        "DER",
        "PEM",
        "older label",
        "CRLF",
        "76 columns",
        "one line",
        "spaces at line ends",
        "empty lines",
        "blank lines after",
        "text before",
        "blank lines before",
        "text before that begins with the octet of a SEQUENCE",
        "text in UTF-8 before",
        "byte order mark",
        "no final line end",
    ],
)
def test_what_real_tools_and_editors_write_is_read(data):
    assert read_csr_file(data) == REQUEST


@pytest.mark.parametrize(
    ("data", "got"),
    [
        (b"", "0 PEM boundary lines"),
        (b"dear colleague, please sign", "0 PEM boundary lines"),
        (b64encode(REQUEST), "0 PEM boundary lines"),
        (pem() + pem(), "4 PEM boundary lines"),
        (pem() + pem(label="CERTIFICATE"), "4 PEM boundary lines"),
        (pem().replace(b"-----END CERTIFICATE REQUEST-----\n", b""), "1 PEM boundary lines"),
        (pem().replace(b"END CERTIFICATE REQUEST", b"END NEW CERTIFICATE REQUEST"), "damaged block"),
        (pem().replace(b"REQUEST-----\nM", b"REQUEST----\nM"), "damaged block"),
        (b"-----BEGIN\n" + pem(), "3 PEM boundary lines"),
        (pem().replace(b"REQUEST-----\nM", b"REQUEST-----M"), "damaged block"),
        (pem().replace(b"REQUEST-----\nM", b"REQUEST-----_\nM"), "damaged block"),
        (pem().replace(b"\n-----END", b"-----END"), "damaged block"),
        (pem()[:-1] + b"_\n", "damaged block"),
        (b"> " + pem().replace(b"\n", b"\n> "), "damaged block"),
        (b"note: " + pem(), "damaged block"),
        (pem() + b"a signature", "data after the PEM block"),
        (pem(label="CERTIFICATE"), "a PEM block 'CERTIFICATE'"),
        (pem(label="PUBLIC KEY"), "a PEM block 'PUBLIC KEY'"),
        (pem().replace(b"REQUEST-----\nM", b"REQUEST-----\nProc-Type: 4,CLEAR\n\nM"), "PEM headers"),
        (pem().decode().encode("utf-16"), "UTF-16"),
        (pem().decode().encode("utf-16-be"), "0 PEM boundary lines"),
        (b"\xfe\xff" + pem().decode().encode("utf-16-be"), "UTF-16"),
        (pem().replace(b"REQUEST-----\nM", b"REQUEST-----\n*"), "not base64"),
        (pem().replace(b"REQUEST-----\nM", b"REQUEST-----\n*M"), "not base64"),
        (pem().replace(b"\n-----END", b"A\n-----END"), "base64"),
        (pem(data=b"\x30\x82\x00"), "shortest form"),
        (pem(data=b""), "nothing"),
        (pem(data=REQUEST + b"\0"), "after the end"),
        (pem(data=REQUEST + REQUEST), "after the end"),
        (pem(data=REQUEST[:-1]), "ends before"),
        (REQUEST + b"\0", "after the end"),
        (REQUEST + pem(), "after the end"),
        (REQUEST[:-1], "ends before"),
        (bytes(FILE_MAX + 1), f"{FILE_MAX + 1} bytes"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\n" * 7_000, "7000 PEM boundary lines"),
    ],
)
def test_anything_else_is_refused_and_named(data, got):
    assert got in refused(data).got


@pytest.mark.parametrize("label", ["PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "OPENSSH PRIVATE KEY"])
@pytest.mark.parametrize("around", ["{key}", "{key}{request}", "{request}{key}", "some text\n{key}"])
def test_a_private_key_anywhere_is_pointed_out_and_never_shown(label, around):
    key = pem(b"\x30\x03\x02\x01\x00 the secret", label).decode()
    problem = refused(around.format(key=key, request=pem().decode()).encode())
    assert "private key" in problem.got
    assert "discard the key" in problem.fix
    assert key.splitlines()[1] not in str(problem)


def test_base64_with_stray_bits_is_refused_because_two_texts_would_be_one_request():
    """Both texts decode to the same four octets; only the first is how they are written."""
    assert (
        read_csr_file(b"-----BEGIN CERTIFICATE REQUEST-----\nMAIFAA==\n-----END CERTIFICATE REQUEST-----") == b"0\2\5\0"
    )
    assert (
        "stray bits" in refused(b"-----BEGIN CERTIFICATE REQUEST-----\nMAIFAB==\n-----END CERTIFICATE REQUEST-----").got
    )


def test_a_file_is_judged_by_its_size_first():
    padded = pem().rjust(FILE_MAX, b"\n")
    assert read_csr_file(padded) == REQUEST
    assert "bytes" in refused(b"\n" + padded).got


@given(st.binary(max_size=300))
def test_any_bytes_give_one_der_object_or_the_one_error(data):
    for offered in (data, pem(data), b"-----BEGIN " + data):
        try:
            assert read_csr_file(offered)[0] == 0x30
        except RequestError as error:
            assert error.problems  # noqa: PT017


@given(st.integers(0, len(pem())), st.integers(0, 8), st.binary(max_size=8))
def test_a_damaged_file_never_gives_another_request(start, length, filling):
    damaged = pem()[:start] + filling + pem()[start + length :]
    try:
        parsed = parse_csr(read_csr_file(damaged))
    except RequestError:
        return
    assert parsed.der == REQUEST
