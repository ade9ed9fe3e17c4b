"""Subject alternative names: four kinds, octets as they are, each once."""

import pytest
from kit.csr_forge import PLAIN, SAN, asking_for, dns, extension, info, named, problem_of, sequence, sign, tlv

from protocol.csr import NameKind, SubjectName, parse_csr
from protocol.csr.alternative_names import NAME_OCTETS_MAX, NAMES_MAX
from protocol.errors import ProblemCode


def request(*names):
    return sign(info(named(*names)))


def test_the_four_kinds_are_read_in_order_exactly_as_written():
    names = parse_csr(
        request(
            dns("API.client-b.example"),
            tlv(0x86, b"spiffe://client-b.example/api"),
            tlv(0x81, b"ops@client-b.example"),
            tlv(0x87, bytes([192, 0, 2, 1])),
            tlv(0x87, bytes.fromhex("20010db8000000000000000000000001")),
        )
    ).names
    assert names == (
        SubjectName(NameKind.DNS, "API.client-b.example"),
        SubjectName(NameKind.URI, "spiffe://client-b.example/api"),
        SubjectName(NameKind.EMAIL, "ops@client-b.example"),
        SubjectName(NameKind.IP, "192.0.2.1"),
        SubjectName(NameKind.IP, "2001:db8::1"),
    )


def test_a_name_that_only_the_policy_can_judge_is_passed_on_unchanged():
    assert [n.value for n in parse_csr(request(dns("*.example."), dns("_x..y"))).names] == ["*.example.", "_x..y"]


@pytest.mark.parametrize(
    ("names", "got"),
    [
        ([tlv(0xA0, b"")], "an otherName"),
        ([tlv(0xA3, b"")], "an x400Address"),
        ([tlv(0xA4, sequence())], "a directoryName"),
        ([tlv(0xA5, b"")], "an ediPartyName"),
        ([tlv(0x88, b"\x55")], "a registeredID"),
        ([tlv(0x89, b"")], "a name with tag 0x89"),
        ([tlv(0xA2, b"a")], "a name with tag 0xa2"),
        ([tlv(0x16, b"a")], "a name with IA5String"),
        ([dns("")], "dns:"),
        ([dns(" ")], "dns:"),
        ([dns("bank.example\0.evil.example")], "dns:"),
        ([dns("a.example\n")], "dns:"),
        ([dns("bücher.example")], "dns:"),
        ([tlv(0x86, b"https://a.example/\x7f")], "uri:"),
        ([tlv(0x81, b"a b@c.example")], "email:"),
        ([tlv(0x86, b"u" * (NAME_OCTETS_MAX + 1))], "uri:"),
        ([tlv(0x87, b"")], "IP address of 0 octets"),
        ([tlv(0x87, bytes(8))], "IP address of 8 octets"),
        ([tlv(0x87, bytes(10) + b"\xff\xff\xc0\x00\x02\x01")], "IPv4 address in IPv6 form"),
        ([dns("b.example"), dns("a.example"), dns("a.example")], "dns:a.example more than once"),
        ([dns("a.example"), dns("b.example"), dns("A.Example")], "dns:A.Example more than once"),
    ],
)
def test_other_kinds_other_octets_and_repetitions_are_refused(names, got):
    problem = problem_of(request(*names))
    assert (problem.code, problem.field) == (ProblemCode.BAD_CERT_TEMPLATE, "CSR subject alternative name")
    assert got in problem.got
    assert problem.fix.startswith("Request only names")


def test_the_same_text_as_another_kind_of_name_is_another_name():
    assert len(parse_csr(request(dns("a.example"), tlv(0x86, b"a.example"))).names) == 2


def test_names_that_differ_in_case_are_two_unless_they_are_dns_names():
    uris = [tlv(0x86, b"spiffe://b.example/API"), tlv(0x86, b"spiffe://b.example/api")]
    assert len(parse_csr(request(*uris)).names) == 2


def test_an_extension_without_any_name_is_refused():
    assert "0 entries" in problem_of(request()).got


def test_a_request_may_ask_for_as_many_names_as_the_limit_and_not_one_more():
    names = [dns(f"n{i}.example") for i in range(NAMES_MAX + 1)]
    assert len(parse_csr(request(*names[:-1])).names) == NAMES_MAX
    assert f"more than {NAMES_MAX}" in problem_of(request(*names)).got


def test_a_name_may_be_as_long_as_the_limit():
    longest = "u" * NAME_OCTETS_MAX
    assert [n.value for n in parse_csr(request(tlv(0x86, longest.encode()))).names] == [longest]


@pytest.mark.parametrize("value", [b"", PLAIN + b"\0", dns("a.example"), sequence(dns("a.example")) + b"\0"])
def test_a_value_that_is_not_exactly_one_list_of_names_is_refused(value):
    assert problem_of(sign(info(asking_for(extension(SAN, value))))).code is not None
