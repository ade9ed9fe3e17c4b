"""Whatever the bytes: facts that another reader agrees with, or `RequestError`, and nothing else."""

from copy import deepcopy

from cryptography import x509
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kit.csr_forge import (
    BASIC_CONSTRAINTS,
    CHALLENGE_PASSWORD,
    COMMON_NAME,
    COUNTRY,
    EKU,
    KEY,
    SAN,
    asking_for,
    attribute,
    dns,
    extension,
    info,
    oid,
    printable,
    rdn,
    sequence,
    sign,
    tlv,
    utf8,
)

from protocol.csr import NameKind, parse_csr
from protocol.errors import RequestError

FULL_INFO = info(
    attribute(CHALLENGE_PASSWORD, utf8("hunter22")),
    asking_for(
        extension(SAN, sequence(dns("api.client-b.example"), dns("b.example"), tlv(0x87, bytes([192, 0, 2, 1])))),
        extension(EKU, sequence(oid("1.3.6.1.5.5.7.3.2")), critical=b"\x01\x01\xff"),
        extension(BASIC_CONSTRAINTS, sequence()),
    ),
    name=sequence(rdn(COUNTRY, printable("NL")), rdn(COMMON_NAME, utf8("api.client-b.example"))),
)
FULL = sign(FULL_INFO)


# --- trees of elements, so that a mutation deep inside leaves every length around it right ----------------------------


def tree(data):
    """The elements of `data` as [tag, content or list of elements]; looks into octet strings that hold a SEQUENCE."""
    found = []
    while data:
        header = 2 + (data[1] & 0x7F if data[1] & 0x80 else 0)
        length = int.from_bytes(data[2:header], "big") if data[1] & 0x80 else data[1]
        content = data[header : header + length]
        nested = data[0] & 0x20 or (data[0] == 0x04 and content[:1] == b"\x30")
        found.append([data[0], tree(content) if nested else content])
        data = data[header + length :]
    return found


def encoded(elements):
    return b"".join(tlv(tag, content if isinstance(content, bytes) else encoded(content)) for tag, content in elements)


def lists_in(elements):
    """Every list of elements, from the outermost inwards."""
    yield elements
    for _, content in elements:
        if isinstance(content, list):
            yield from lists_in(content)


@st.composite
def trees(draw):
    """FULL_INFO with one to three elements repeated, removed, exchanged, copied to another place or rewritten."""
    root = tree(FULL_INFO)
    for _ in range(draw(st.integers(1, 3))):
        places = [siblings for siblings in lists_in(root) if siblings]
        if not places:
            break
        here, there = draw(st.sampled_from(places)), draw(st.sampled_from(places))
        at = draw(st.integers(0, len(here) - 1))
        copy = deepcopy(here[at])
        match draw(st.sampled_from(["repeat", "remove", "exchange", "copy", "tag", "content"])):
            case "repeat":
                here.insert(at, copy)
            case "remove":
                here.pop(at)
            case "exchange":
                here[at], here[-1] = here[-1], here[at]
            case "copy":
                there.append(copy)
            case "tag":
                here[at][0] = draw(st.sampled_from([*range(1, 0x17), 0x30, 0x31, *range(0x80, 0x8A), 0xA0, 0xA4]))
            case "content":
                here[at][1] = draw(st.binary(max_size=20))
    return encoded(root)


def test_the_tree_of_a_request_is_the_request():
    assert encoded(tree(FULL_INFO)) == FULL_INFO
    assert len(list(lists_in(tree(FULL_INFO)))) > 20


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
def test_no_mutation_of_a_request_passes(data):
    assert (judged(data) is None) == (data != FULL)


@given(trees() | mutations(FULL_INFO))
@example(FULL_INFO)
@settings(max_examples=400)
def test_of_a_mutation_that_is_signed_anew_the_facts_are_what_another_reader_sees(signed):
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
