"""Subjects: which attributes and octets are facts, which are left out, which refuse the request."""

import pytest
from kit.csr_forge import (
    COMMON_NAME,
    COUNTRY,
    EMAIL,
    ORGANISATIONAL_UNIT,
    PLAIN,
    ia5,
    info,
    integer,
    oid,
    printable,
    problem_of,
    rdn,
    sequence,
    set_of,
    sign,
    tlv,
    utf8,
)

from protocol.csr import SubjectAttribute, parse_csr
from protocol.csr.subject import SUBJECT_ATTRIBUTES_MAX
from protocol.errors import ProblemCode

ORGANISATION = "2.5.4.10"
DOMAIN_COMPONENT = "0.9.2342.19200300.100.1.25"


def request(*relative_names):
    return sign(info(PLAIN, name=sequence(*relative_names)))


@pytest.mark.parametrize(
    ("oid_", "value", "text"),
    [
        (COMMON_NAME, utf8("api.client-b.example"), "api.client-b.example"),
        (COMMON_NAME, printable("Client B (test)"), "Client B (test)"),
        (COMMON_NAME, utf8("Bücher & Söhne"), "Bücher & Söhne"),
        (COUNTRY, printable("NL"), "NL"),
        (EMAIL, ia5("ops@client-b.example"), "ops@client-b.example"),
        (DOMAIN_COMPONENT, ia5("example"), "example"),
    ],
)
def test_an_attribute_of_known_type_is_a_fact_exactly_as_written(oid_, value, text):
    assert parse_csr(request(rdn(oid_, value))).subject == (SubjectAttribute(oid_, text),)


def test_attributes_keep_their_order_and_units_and_domain_components_may_repeat():
    units = [rdn(ORGANISATIONAL_UNIT, utf8("Payments")), rdn(ORGANISATIONAL_UNIT, utf8("Risk"))]
    parsed = parse_csr(request(*units, rdn(COMMON_NAME, utf8("api"))))
    assert [a.value for a in parsed.subject] == ["Payments", "Risk", "api"]
    assert parsed.left_out == ()


def test_an_attribute_of_unknown_type_is_left_out_and_reported():
    parsed = parse_csr(request(rdn("1.2.3.4", utf8("x")), rdn(COMMON_NAME, utf8("api"))))
    assert [a.value for a in parsed.subject] == ["api"]
    assert parsed.left_out == ("subject attribute 1.2.3.4: of unknown type",)


@pytest.mark.parametrize(
    ("relative_names", "got"),
    [
        ([rdn(COMMON_NAME, utf8("a")), rdn(COMMON_NAME, utf8("b"))], "common name more than once"),
        ([rdn("1.2.3", utf8("a")), rdn("1.2.3", utf8("b"))], "1.2.3 more than once"),
        ([rdn("1.2.3", utf8("a\0"))], "attribute of unknown type"),
        ([rdn("1.2.3", tlv(0x03, b"\0"))], "attribute of unknown type as BIT STRING"),
        ([rdn(COMMON_NAME, tlv(0x14, b"teletex"))], "common name as tag 0x14"),
        ([rdn(COMMON_NAME, tlv(0x1E, b"\0a"))], "common name as tag 0x1e"),
        ([rdn(COMMON_NAME, tlv(0x1C, b"\0\0\0a"))], "common name as tag 0x1c"),
        ([rdn(COMMON_NAME, ia5("a"))], "common name as IA5String"),
        ([rdn(COUNTRY, utf8("NL"))], "country as UTF8String"),
        ([rdn(EMAIL, utf8("a@b.example"))], "e-mail address as UTF8String"),
        ([rdn(COUNTRY, printable("NLD"))], "country of 3 characters"),
        ([rdn(COUNTRY, printable("N"))], "country of 1 characters"),
        ([rdn(COMMON_NAME, utf8("é" * 65))], "common name of 65 characters"),
        ([rdn(COMMON_NAME, utf8("a" * 65))], "common name of 65 characters"),
        ([rdn(COMMON_NAME, utf8(""))], "common name of 0 characters"),
        ([rdn(COMMON_NAME, printable(""))], "common name of 0 characters"),
        ([rdn(EMAIL, ia5(""))], "e-mail address of 0 characters"),
        ([rdn(COMMON_NAME, utf8("bank.example\0.evil.example"))], "common name"),
        ([rdn(COMMON_NAME, utf8("line\nbreak"))], "common name"),
        ([rdn(COMMON_NAME, utf8("right\u202eto left"))], "common name"),
        ([rdn(COMMON_NAME, tlv(0x0C, b"\xc0\xaf"))], "common name"),
        ([rdn(COMMON_NAME, tlv(0x0C, b"\xed\xa0\x80"))], "common name"),
        ([rdn(COMMON_NAME, printable("a*b"))], "common name"),
        ([rdn(COMMON_NAME, printable("a_b"))], "common name"),
        ([rdn(COMMON_NAME, tlv(0x13, b"caf\xe9"))], "common name"),
        ([rdn(EMAIL, tlv(0x16, b"a\x07@b"))], "e-mail address"),
        ([rdn(EMAIL, tlv(0x16, b"a\n"))], "e-mail address"),
        ([rdn(EMAIL, tlv(0x16, b"a\x7f"))], "e-mail address"),
        ([set_of(sequence(integer(3), utf8("a")))], "type is INTEGER"),
        ([set_of(*[sequence(oid(t), printable("a")) for t in (COMMON_NAME, COUNTRY)])], "2 attributes in one relative"),
    ],
)
def test_text_or_types_that_two_readers_could_see_differently_are_refused(relative_names, got):
    problem = problem_of(request(*relative_names))
    assert problem.code is ProblemCode.BAD_CERT_TEMPLATE
    assert problem.field == "CSR subject"
    assert got in problem.got


def test_text_that_its_type_does_not_hold_is_told_with_the_type():
    problem = problem_of(request(rdn(EMAIL, tlv(0x16, b"a\x07@b"))))
    assert (problem.got, problem.allowed) == ("e-mail address 'a\\x07@b'", "IA5String of printable characters")


@pytest.mark.parametrize(
    ("oid_", "name", "string", "longest", "repeatable"),
    [
        ("2.5.4.3", "common name", utf8, 64, False),
        ("2.5.4.4", "surname", utf8, 64, False),
        ("2.5.4.5", "serial number", printable, 64, False),
        ("2.5.4.6", "country", printable, 2, False),
        ("2.5.4.7", "locality", utf8, 128, False),
        ("2.5.4.8", "state or province", utf8, 128, False),
        ("2.5.4.9", "street", utf8, 128, True),
        ("2.5.4.10", "organisation", utf8, 64, False),
        ("2.5.4.11", "organisational unit", utf8, 64, True),
        ("2.5.4.12", "title", utf8, 64, False),
        ("2.5.4.17", "postal code", utf8, 40, False),
        ("2.5.4.42", "given name", utf8, 64, False),
        ("2.5.4.46", "distinguished name qualifier", printable, 64, False),
        ("2.5.4.97", "organisation identifier", utf8, 64, False),
        ("0.9.2342.19200300.100.1.1", "user id", utf8, 256, False),
        (DOMAIN_COMPONENT, "domain component", ia5, 63, True),
        (EMAIL, "e-mail address", ia5, 255, False),
        ("1.2.3.4", "attribute of unknown type", utf8, 256, False),
    ],
)
def test_each_type_has_its_name_its_longest_text_and_its_number(oid_, name, string, longest, repeatable):
    text, one = "a" * longest, rdn(oid_, string("a" * longest))
    parsed = parse_csr(request(one))
    assert parsed.subject == (() if oid_ == "1.2.3.4" else (SubjectAttribute(oid_, text),))
    assert f"{name} of {longest + 1} characters" in problem_of(request(rdn(oid_, string(text + "a")))).got
    if repeatable:
        assert len(parse_csr(request(one, one)).subject) == 2
    else:
        assert "more than once" in problem_of(request(one, one)).got


@pytest.mark.parametrize("letter", ["é", "Ω", "語", "\U0001f600"])
def test_the_length_of_text_is_counted_in_characters_however_many_octets_they_take(letter):
    longest = rdn(ORGANISATION, utf8(letter * 64))
    assert parse_csr(request(longest)).subject == (SubjectAttribute(ORGANISATION, letter * 64),)
    problem = problem_of(request(rdn(ORGANISATION, utf8(letter * 65))))
    assert (problem.got, problem.allowed) == ("organisation of 65 characters", "1 to 64 characters")


@pytest.mark.parametrize("oid_", ["2.5.4.5", "2.5.4.6", "2.5.4.46"])
def test_some_types_are_printable_strings_only(oid_):
    assert "as UTF8String" in problem_of(request(rdn(oid_, utf8("NL")))).got


@pytest.mark.parametrize("string", [utf8, printable, ia5])
def test_text_of_an_unknown_type_is_read_in_any_of_the_three_string_types(string):
    assert parse_csr(request(rdn("1.2.3.4", string("a")))).left_out


@pytest.mark.parametrize(
    "relative_name",
    [
        set_of(),
        set_of(sequence(oid(COMMON_NAME))),
        set_of(sequence(oid(COMMON_NAME), utf8("a"), utf8("b"))),
        sequence(sequence(oid(COMMON_NAME), utf8("a"))),
    ],
    ids=["none", "without value", "two values", "not a set"],
)
def test_a_relative_distinguished_name_is_exactly_one_attribute(relative_name):
    problem = problem_of(request(relative_name))
    assert problem.code is ProblemCode.BAD_DATA_FORMAT
    assert problem.field.startswith("CSR subject")


def test_a_subject_with_too_many_attributes_is_refused_before_they_are_read():
    unit = rdn(ORGANISATIONAL_UNIT, utf8("u"))
    assert len(parse_csr(request(*[unit] * SUBJECT_ATTRIBUTES_MAX)).subject) == SUBJECT_ATTRIBUTES_MAX
    assert "more than 16" in problem_of(request(*[unit] * (SUBJECT_ATTRIBUTES_MAX + 1))).got
