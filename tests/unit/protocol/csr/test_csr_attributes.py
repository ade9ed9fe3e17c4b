"""Attributes: one list of extensions; what real tools add is left out and reported; what is ambiguous is refused."""

import pytest
from kit.csr_forge import (
    CHALLENGE_PASSWORD,
    EXTENSION_REQUEST,
    MICROSOFT_EXTENSIONS,
    PLAIN,
    SAN,
    WINDOWS_VERSION,
    attribute,
    dns,
    extension,
    ia5,
    info,
    integer,
    oid,
    problem_of,
    sequence,
    set_of,
    sign,
    tlv,
    utf8,
)

from protocol.csr import parse_csr
from protocol.csr.attributes import ATTRIBUTES_MAX
from protocol.errors import ProblemCode

OTHER_NAMES = sequence(extension(SAN, sequence(dns("evil.example"))))


def test_a_request_without_attributes_is_one_without_extensions():
    parsed = parse_csr(sign(info()))
    assert (parsed.names, parsed.extended_key_usages, parsed.left_out) == ((), (), ())


def test_a_challenge_password_is_left_out_and_reported_without_its_text():
    parsed = parse_csr(sign(info(attribute(CHALLENGE_PASSWORD, utf8("hunter2")), PLAIN)))
    (left_out,) = parsed.left_out
    assert "challenge password" in left_out
    assert "hunter2" not in left_out
    assert [n.value for n in parsed.names] == ["api.client-b.example"]


def test_attributes_are_read_in_any_order():
    windows = attribute(WINDOWS_VERSION, ia5("10.0.20348.2"))
    one, other = parse_csr(sign(info(PLAIN, windows))), parse_csr(sign(info(windows, PLAIN)))
    assert (one.names, one.left_out) == (other.names, other.left_out)
    assert one.left_out == ("attribute 1.3.6.1.4.1.311.13.2.3: Windows version",)


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        ("1.2.840.113549.1.9.2", "unstructured name"),
        ("1.3.6.1.4.1.311.13.2.2", "Windows enrollment provider"),
        ("1.3.6.1.4.1.311.21.20", "Windows client information"),
    ],
)
def test_what_tools_say_of_themselves_is_left_out_and_named(type_, words):
    assert parse_csr(sign(info(attribute(type_, utf8("x"))))).left_out == (f"attribute {type_}: {words}",)


def test_an_unknown_attribute_is_left_out_and_reported_by_its_identifier():
    parsed = parse_csr(sign(info(PLAIN, attribute("1.2.3.4", integer(1), integer(2)))))
    assert parsed.left_out == ("attribute 1.2.3.4: of unknown type",)


@pytest.mark.parametrize(
    ("attributes", "got"),
    [
        ([PLAIN, attribute(EXTENSION_REQUEST, OTHER_NAMES)], "the same attribute twice"),
        (
            [attribute(CHALLENGE_PASSWORD, utf8("a")), attribute(CHALLENGE_PASSWORD, utf8("b"))],
            "the same attribute twice",
        ),
        ([attribute(EXTENSION_REQUEST, OTHER_NAMES, OTHER_NAMES)], "extensionRequest with 2 values"),
        ([attribute(MICROSOFT_EXTENSIONS, OTHER_NAMES)], "Microsoft's extension attribute"),
        ([PLAIN, attribute(MICROSOFT_EXTENSIONS, OTHER_NAMES)], "Microsoft's extension attribute"),
    ],
)
def test_a_second_list_of_extensions_in_any_form_is_refused(attributes, got):
    problem = problem_of(sign(info(*attributes)))
    assert (problem.code, problem.field) == (ProblemCode.BAD_REQUEST, "CSR attributes")
    assert got in problem.got
    assert "one extensionRequest" in problem.fix


@pytest.mark.parametrize(
    "wrong",
    [
        attribute(EXTENSION_REQUEST),
        attribute(EXTENSION_REQUEST, integer(1)),
        attribute(EXTENSION_REQUEST, set_of()),
        sequence(oid(EXTENSION_REQUEST), sequence(OTHER_NAMES)),
        sequence(oid(EXTENSION_REQUEST)),
        sequence(oid("1.2.3"), set_of(integer(1)), integer(1)),
        sequence(integer(1), set_of(integer(1))),
        attribute("1.2.3", b"\x05"),
        tlv(0x31),
    ],
)
def test_an_attribute_of_another_structure_is_refused(wrong):
    assert problem_of(sign(info(wrong))).code is ProblemCode.BAD_DATA_FORMAT


def test_a_request_with_too_many_attributes_is_refused():
    unknown = [attribute(f"1.2.3.{arc}", integer(1)) for arc in range(ATTRIBUTES_MAX + 1)]
    assert len(parse_csr(sign(info(*unknown[:-1]))).left_out) == ATTRIBUTES_MAX
    assert "more than 16" in problem_of(sign(info(*unknown))).got


def test_an_attribute_with_too_many_values_is_refused():
    values = [integer(1)] * 17
    assert len(parse_csr(sign(info(attribute("1.2.3", *values[:-1])))).left_out) == 1
    problem = problem_of(sign(info(attribute("1.2.3", *values))))
    assert (problem.field, problem.allowed) == ("CSR attributes", "at most 16")
