"""Any bytes are walked exactly or refused: the rules of X.690 that a lenient reader would let pass."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.csr_forge import oid, sequence, tlv

from protocol.csr import der
from protocol.errors import RequestError

FIELD = "CSR"


def element(tag, content):
    return der.Element(tag, content, tlv(tag, content))


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 256, 65_535, 65_536])
def test_an_element_of_any_length_is_read_with_its_exact_bytes(length):
    encoded = tlv(der.OCTET_STRING, bytes(length))
    assert der.only_element(encoded, der.OCTET_STRING, FIELD) == (der.OCTET_STRING, bytes(length), encoded)


@pytest.mark.parametrize(
    ("encoded", "got"),
    [
        (b"", "nothing"),
        (b"\x30", "without a length"),
        (b"\x3f\x1f\x00", "tag of several octets"),
        (b"\x30\x80\x00\x00", "indefinite"),
        (b"\x30\x81\x02\x05\x00", "shortest form"),
        (b"\x30\x81\x7f" + bytes(127), "shortest form"),
        (b"\x30\x82\x00\x80" + bytes(128), "shortest form"),
        (b"\x30\x82\x01", "shortest form"),
        (b"\x30\x82\x01\x00", "ends before"),
        (b"\x30\xff\x00", "shortest form"),
        (b"\x30\x03\x02\x01", "ends before"),
        (b"\x30\x00\x00", "bytes after the end"),
        (b"\x31\x00", "SET"),
        (b"\x44\x00", "tag 0x44"),
    ],
)
def test_what_is_not_exactly_one_sequence_in_der_is_refused(encoded, got):
    with pytest.raises(RequestError, match=got):
        der.only_element(encoded, der.SEQUENCE, FIELD)


def test_members_are_of_the_types_asked_for_in_that_order():
    parent = element(der.SEQUENCE, tlv(der.INTEGER, b"\x01") + sequence())
    assert [m.tag for m in der.members(parent, FIELD, der.INTEGER, der.SEQUENCE)] == [der.INTEGER, der.SEQUENCE]
    for wrong in [(der.INTEGER,), (der.SEQUENCE, der.INTEGER), (der.INTEGER, der.SEQUENCE, der.SEQUENCE)]:
        with pytest.raises(RequestError):
            der.members(parent, FIELD, *wrong)


def test_a_list_is_refused_below_its_least_and_above_its_most():
    def parent(count):
        return element(der.SEQUENCE, sequence() * count)

    assert len(der.items(parent(2), FIELD, der.SEQUENCE, most=2)) == 2
    assert der.items(parent(0), FIELD, der.SEQUENCE, most=2, least=0) == []
    for count in (0, 3):
        with pytest.raises(RequestError):
            der.items(parent(count), FIELD, der.SEQUENCE, most=2)
    with pytest.raises(RequestError):
        der.items(parent(1), FIELD, der.SET, most=2)


def test_a_bit_string_of_whole_octets_is_read_and_any_other_is_refused():
    assert der.bit_string(element(der.BIT_STRING, b"\x00ab"), FIELD) == b"ab"
    for content in (b"", b"\x01ab", b"\x08"):
        with pytest.raises(RequestError, match="unused bits"):
            der.bit_string(element(der.BIT_STRING, content), FIELD)


@pytest.mark.parametrize(
    ("content", "value"), [(b"\x01", 1), (b"\x7f", 127), (b"\x00\x80", 128), (b"\x01\x00\x01", 65537)]
)
def test_a_positive_integer_is_read(content, value):
    assert der.positive_integer(element(der.INTEGER, content), FIELD) == value


@pytest.mark.parametrize("content", [b"", b"\x00", b"\xff", b"\x80\x01", b"\x00\x01", b"\x00\x00\x80"])
def test_an_integer_that_is_empty_zero_negative_or_padded_is_refused(content):
    with pytest.raises(RequestError, match="INTEGER"):
        der.positive_integer(element(der.INTEGER, content), FIELD)


@pytest.mark.parametrize(
    "dotted", ["0.0", "0.9.2342.19200300.100.1.25", "1.2.840.113549.1.9.14", "1.39.1", "2.5.4.3", "2.999.1", "2.5.0"]
)
def test_an_object_identifier_is_read_in_dotted_form(dotted):
    assert der.object_identifier(oid(dotted)[2:], FIELD) == dotted


@pytest.mark.parametrize("content", [b"", b"\x55\x84", b"\x80\x55", b"\x55\x80\x01", b"\x55" * 41])
def test_an_object_identifier_that_is_empty_cut_padded_or_too_long_is_refused(content):
    with pytest.raises(RequestError, match="object identifier"):
        der.object_identifier(content, FIELD)


def test_a_type_is_called_by_its_name_in_asn_1():
    tags = (1, 2, 3, 4, 6, 0x0C, 0x13, 0x16, 0x30, 0x31, 0xA0)
    assert ", ".join(map(der.tag_name, tags)) == (
        "BOOLEAN, INTEGER, BIT STRING, OCTET STRING, OBJECT IDENTIFIER, UTF8String, PrintableString, IA5String, "
        "SEQUENCE, SET, [0]"
    )
    assert der.tag_name(5) == "tag 0x05"


def test_an_object_identifier_may_be_as_long_as_the_limit():
    assert der.object_identifier(b"\x55" * 40, FIELD).startswith("2.5.85.85.")


@given(st.binary(max_size=64))
def test_any_bytes_give_an_element_that_is_those_bytes_or_the_one_error(data):
    try:
        found = der.only_element(data, der.SEQUENCE, FIELD)
    except RequestError:
        return
    assert found.encoded == data == tlv(der.SEQUENCE, found.content)


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=5), st.integers(0, 2), st.integers(0, 39))
def test_every_object_identifier_is_read_as_it_was_written(rest, first, second):
    dotted = ".".join(map(str, (first, second, *rest)))
    assert der.object_identifier(oid(dotted)[2:], FIELD) == dotted
