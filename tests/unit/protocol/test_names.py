import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from protocol.errors import NameSyntaxError, ProblemCode
from protocol.names import (
    DnsName,
    Fingerprint,
    InvitationId,
    OrganisationName,
    SerialNumber,
    TransactionId,
    agent_uri,
    organisation_of_agent_uri,
)

KINDS = [DnsName, Fingerprint, InvitationId, OrganisationName, SerialNumber, TransactionId]
NEAR_NAMES = st.text(alphabet="abcxyzABC0189-._*\u212a\u0130\u00e4 \n\x00", max_size=70)
HEX = st.text(alphabet="0123456789abcdef", max_size=70)


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.one_of(st.text(), NEAR_NAMES, HEX, st.uuids().map(str)))
def test_any_text_is_a_name_that_stays_as_it_is_or_is_refused(kind, text):
    try:
        name = kind(text)
    except NameSyntaxError:
        return
    assert kind(name) == name
    assert name.isascii()


@pytest.mark.parametrize(
    "name",
    [
        DnsName("a0.b-1.example"),
        Fingerprint("0123456789abcdef" * 4),
        InvitationId("0123456789abcdef" * 2),
        OrganisationName("a-0"),
        SerialNumber("123456789abcdef0" * 2),
        TransactionId("01234567-89ab-7cde-8f01-23456789abcd"),
    ],
    ids=lambda name: name.kind,
)
@pytest.mark.parametrize("stray", ["_", "\x7f", "/", "\n", "\u0661", ""])
def test_a_stray_character_in_any_place_of_a_name_is_refused(name, stray):
    for place in range(len(name) + 1):
        if stray:
            assert_refused(type(name), name[:place] + stray + name[place:])
            assert_refused(type(name), name[:place] + stray + name[place + 1 :])
        elif type(name) in (Fingerprint, InvitationId, TransactionId) and place < len(name):
            assert_refused(type(name), name[:place] + name[place + 1 :])
            assert_refused(type(name), name[:place] + name[place] + name[place:])


def assert_refused(kind, text):
    with pytest.raises(NameSyntaxError) as caught:
        kind(text)
    (problem,) = caught.value.problems
    assert (problem.code, problem.field) == (ProblemCode.BAD_DATA_FORMAT, kind.kind)
    assert problem.allowed == kind.wanted


@pytest.mark.parametrize("text", ["a", "ab", "client-b", "0", "a" * 63, "1-2"])
def test_an_organisation_name_is_one_dns_label(text):
    assert OrganisationName(text) == text


@pytest.mark.parametrize("text", ["", "A", "a" * 64, "-a", "a-", "a.b", "a/b", "a\n", "\u212a", "..", "a b"])
def test_an_organisation_name_cannot_leave_its_place_in_a_path_a_queue_or_a_uri(text):
    assert_refused(OrganisationName, text)


def test_a_transaction_id_is_a_uuid_of_version_7():
    assert TransactionId("01890a5d-ac96-774b-bcce-b302099a8057")


@pytest.mark.parametrize(
    "text",
    [
        "01890a5d-ac96-474b-bcce-b302099a8057",
        "01890a5d-ac96-774b-ccce-b302099a8057",
        "01890A5D-AC96-774B-BCCE-B302099A8057",
        "01890a5dac96774bbcceb302099a8057",
        "01890a5d-ac96-774b-bcce-b302099a8057\n",
    ],
)
def test_another_version_variant_or_spelling_of_a_uuid_is_refused(text):
    assert_refused(TransactionId, text)


def test_a_fingerprint_is_the_sha_256_of_the_bytes():
    assert Fingerprint.of(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("text", ["0" * 63, "0" * 65, "A" * 64])
def test_a_fingerprint_of_another_form_is_refused(text):
    assert_refused(Fingerprint, text)


@given(st.integers(min_value=1, max_value=2**159 - 1))
def test_a_serial_number_keeps_its_value(number):
    assert SerialNumber.from_int(number).to_int() == number


def test_the_largest_serial_number_has_159_bits():
    assert SerialNumber.from_int(2**159 - 1).to_int() == 2**159 - 1


@pytest.mark.parametrize("number", [0, -1, 2**159, 2**400])
def test_a_serial_number_that_der_cannot_carry_in_twenty_positive_octets_is_refused(number):
    with pytest.raises(NameSyntaxError):
        SerialNumber.from_int(number)


@pytest.mark.parametrize("text", ["", "0", "01", "0x1", "-1", "A", "8" + "0" * 39, "1" * 41])
def test_a_serial_number_has_one_spelling(text):
    assert_refused(SerialNumber, text)


def test_an_invitation_id_is_128_bits_in_hexadecimal():
    assert InvitationId("0" * 32)
    assert_refused(InvitationId, "0" * 31)


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "api.client-b.example",
        "1a.example",
        "xn--bcher-kva.example",
        "a" * 63 + ".example",
        ".".join(["a" * 49] * 5) + ".aaa",
        "a." + "b" * 63,
        "a.bc",
        "a.1b",
    ],
)
def test_a_host_name_is_a_dns_name(text):
    assert DnsName(text) == text


def test_a_dns_name_is_kept_in_lower_case():
    assert DnsName("API.Client-B.Example") == "api.client-b.example"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("a.", "trailing dot"),
        (".a", "empty label"),
        ("a..b", "empty label"),
        ("*.a.example", "wildcard"),
        ("a_b.example", "underscore"),
        ("-a.example", "hyphen first"),
        ("a-.example", "hyphen last"),
        ("a" * 64 + ".example", "label of 64 octets"),
        ("a." + "b" * 64, "last label of 64 octets"),
        (".".join(["a" * 49] * 5) + ".aaaa", "254 octets"),
        ("192.0.2.1", "an IPv4 address"),
        ("a.1", "a last label of digits"),
        ("b\u00fccher.example", "a U-label"),
        ("\u212aelvin.example", "KELVIN SIGN, which Unicode lowers to k"),
        ("ab--cd.example", "hyphens in third and fourth place without xn"),
        ("xn--a.example", "no punycode"),
        ("xn--abc.example", "no A-label of IDNA2008"),
        ("xn--a-ecp.ru", "an A-label with a character that IDNA2008 forbids"),
        ("a.example\n", "a line break behind it"),
        ("a b.example", "a space"),
        ("a\x00.example", "a NUL"),
    ],
)
def test_a_name_that_is_no_host_name_is_refused(text, why):
    assert why
    assert_refused(DnsName, text)


@given(st.text(alphabet="abcxyz0189-", min_size=1, max_size=63))
def test_the_uri_of_an_agent_names_its_organisation_and_no_other(text):
    try:
        name = OrganisationName(text)
    except NameSyntaxError:
        return
    assert organisation_of_agent_uri(agent_uri(name)) == name


@pytest.mark.parametrize(
    "uri",
    [
        "apostille:client-b",
        "client-b",
        "client-b/agent",
        "https://client-b/agent",
        "apostille:client-b/agent/agent",
    ],
)
def test_another_uri_is_no_agents_name(uri):
    with pytest.raises(NameSyntaxError) as caught:
        organisation_of_agent_uri(uri)
    assert caught.value.problems[0].code is ProblemCode.BAD_DATA_FORMAT


class Holder(BaseModel):
    name: OrganisationName


def test_a_model_that_has_a_name_parses_it():
    assert type(Holder.model_validate_json('{"name": "client-b"}').name) is OrganisationName


@pytest.mark.parametrize(("length", "kind"), [(4096, "value_error"), (4097, "string_too_long")])
def test_a_model_looks_at_a_name_only_if_it_is_not_absurdly_long(length, kind):
    with pytest.raises(ValidationError) as caught:
        Holder(name="a" * length)
    assert [error["type"] for error in caught.value.errors()] == [kind]


@pytest.mark.parametrize("value", ["Client B", 1, None, "a" * 5000, b"client-b"])
def test_a_model_refuses_what_is_no_name(value):
    with pytest.raises(ValidationError):
        Holder(name=value)


def test_a_models_schema_says_how_the_name_is_written():
    assert Holder.model_json_schema()["properties"]["name"] == {
        "type": "string",
        "title": OrganisationName.kind,
        "description": OrganisationName.wanted,
    }
