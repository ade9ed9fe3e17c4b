"""Name patterns: what they mean, what they never mean, and that any text is a pattern or an error."""

from __future__ import annotations

import string

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from agents.core.patterns import DnsPattern, Reach, canonical, covering, parse_pattern
from protocol.csr import NameKind, SubjectName
from protocol.errors import NameSyntaxError
from protocol.names import DnsName

LABELS = st.from_regex(r"[a-z0-9]([a-z0-9]{0,5}[a-z0-9])?", fullmatch=True)
BASES = st.lists(LABELS, min_size=1, max_size=3).map(lambda labels: ".".join([*labels, "example"]))
DNS_LIKE = st.text(alphabet="aB0.-*_xn\x00 é\u212a", max_size=12)
ANY_TEXT = st.text(max_size=40) | DNS_LIKE


def covers(pattern: str, name: str, kind: NameKind = NameKind.DNS) -> bool:
    return covering(SubjectName(kind, name), [parse_pattern(kind, pattern)]) is not None


@pytest.mark.parametrize(
    ("pattern", "admitted", "kept_out"),
    [
        ("a.example", ["a.example", "A.EXAMPLE"], ["b.a.example", "xa.example", "example", "a.example.evil.test"]),
        ("*.a.example", ["x.a.example", "X.a.Example"], ["a.example", "y.x.a.example", "xa.example", "x.b.example"]),
        ("**.a.example", ["x.a.example", "y.x.a.example"], ["a.example", "xa.example", "a.example.evil.test"]),
    ],
)
def test_a_pattern_means_one_name_or_one_label_more_or_one_or_more_labels_more(pattern, admitted, kept_out):
    assert [name for name in admitted if not covers(pattern, name)] == []
    assert [name for name in kept_out if covers(pattern, name)] == []


@pytest.mark.parametrize(
    "name",
    [
        "*.a.example",
        "*",
        "x*.a.example",
        "**.a.example",
        "x.a.example.",
        ".a.example",
        "x..a.example",
        "x.a.example\x00.evil.test",
        "x.a.example\n",
        " x.a.example",
        "-x.a.example",
        "x_y.a.example",
        "\u0445.a.example",  # CYRILLIC SMALL LETTER HA
        "\u212a.a.example",  # KELVIN SIGN, whose lower case is k
        "xn--x.a.example",
        "ab--cd.a.example",
        "x" * 64 + ".a.example",
        ".".join(["x" * 60] * 5) + ".a.example",
        "",
    ],
)
def test_what_is_no_host_name_is_covered_by_no_pattern(name):
    assert not covers("**.a.example", name)
    assert not covers("*.a.example", name)


def test_a_valid_a_label_is_a_label_like_any_other():
    assert covers("*.a.example", "xn--bcher-kva.a.example")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "**",
        "*.",
        "**.",
        "*a.example",
        "a.*.example",
        "***.a.example",
        "*.*.a.example",
        "**.*.a.example",
        "a.example.",
        "*..a.example",
        "bücher.example",
        "*.1.2.3.4",
        "a example",
    ],
)
def test_text_that_only_resembles_a_pattern_is_refused(text):
    with pytest.raises(NameSyntaxError):
        parse_pattern(NameKind.DNS, text)


@given(kind=st.sampled_from(NameKind), text=ANY_TEXT)
def test_any_text_is_a_pattern_or_an_error(kind, text):
    try:
        pattern = parse_pattern(kind, text)
    except NameSyntaxError:
        return
    assert parse_pattern(kind, str(pattern)) == pattern
    assert pattern.kind is kind


@given(prefix=st.sampled_from(["*.", "**."]), base=BASES, text=ANY_TEXT | BASES)
@example(prefix="**.", base="a.example", text="xa.example")
def test_a_wildcard_pattern_admits_nothing_outside_its_suffix(prefix, base, text):
    if covers(prefix + base, text):
        assert text.isascii()
        assert "*" not in text
        assert text.lower().endswith("." + base)
        assert len(text) > len(base) + 1


@given(base=BASES, more=st.lists(LABELS, max_size=3))
def test_the_reach_is_counted_in_labels(base, more):
    name = ".".join([*more, base])
    admitted = {prefix for prefix in ("", "*.", "**.") if covers(prefix + base, name)}
    assert admitted == ({""} if not more else {"*.", "**."} if len(more) == 1 else {"**."})


@given(base=BASES, other=BASES)
def test_a_plain_pattern_admits_itself_alone(base, other):
    assume(base != other)
    assert covers(base, base.upper())
    assert not covers(base, other)


def test_a_pattern_is_written_as_it_is_read():
    assert parse_pattern(NameKind.DNS, "**.A.example") == DnsPattern(Reach.DESCENDANTS, DnsName("a.example"))
    assert str(parse_pattern(NameKind.DNS, "*.A.example")) == "*.a.example"
    assert str(parse_pattern(NameKind.IP, "2001:DB8::0:1")) == "2001:db8::1"


def test_a_pattern_of_one_kind_says_nothing_about_another():
    patterns = [parse_pattern(NameKind.DNS, "**.a.example")]
    for kind in (NameKind.URI, NameKind.EMAIL, NameKind.IP):
        assert covering(SubjectName(kind, "x.a.example"), patterns) is None


def test_the_first_pattern_that_covers_a_name_is_the_one_named():
    first, second = parse_pattern(NameKind.DNS, "*.a.example"), parse_pattern(NameKind.DNS, "**.a.example")
    assert covering(SubjectName(NameKind.DNS, "x.a.example"), [first, second]) is first
    assert covering(SubjectName(NameKind.DNS, "y.x.a.example"), [first, second]) is second
    assert covering(SubjectName(NameKind.DNS, "x.a.example"), []) is None


@pytest.mark.parametrize(
    "other",
    [
        "spiffe://b.example/API",
        "SPIFFE://b.example/api",
        "spiffe://B.example/api",
        "spiffe://b.example/api/",
        "spiffe://b.example/api#x",
        "spiffe://b.example/api?x",
        "spiffe://u@b.example/api",
        "spiffe://b.example:443/api",
        "spiffe://b.example/%61pi",
        "spiffe://b.example/./api",
        "spiffe://b.example/api\x00",
    ],
)
def test_a_uri_is_compared_as_a_whole_octet_by_octet(other):
    assert covers("spiffe://b.example/api", "spiffe://b.example/api", NameKind.URI)
    assert not covers("spiffe://b.example/api", other, NameKind.URI)


@pytest.mark.parametrize(
    "text", ["b.example/api", "//b.example", "https:", "https://b.example/ü", "https://b.example/a b", "1a:b", "a:<b>"]
)
def test_a_uri_that_is_relative_or_holds_foreign_characters_is_refused(text):
    with pytest.raises(NameSyntaxError):
        parse_pattern(NameKind.URI, text)


ALNUM = set(string.ascii_letters + string.digits)
URI_CHARACTERS = ALNUM | set("-._~:/?#[]@!$&'()*+,;=%")
ATOM_CHARACTERS = ALNUM | set("!#$%&'*+-/=?^_`{|}~")


def is_name(kind, text):
    try:
        canonical(SubjectName(kind, text))
    except NameSyntaxError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "template", "characters"),
    [
        (NameKind.URI, "a:bXc", URI_CHARACTERS),  # RFC 3986 section 2
        (NameKind.URI, "aXb:c", ALNUM | set("+-.:")),  # section 3.1; after a colon the scheme is over
        (NameKind.URI, "Xb:c", set(string.ascii_letters)),
        (NameKind.EMAIL, "X@b.example", ATOM_CHARACTERS),  # RFC 5321 section 4.1.2, RFC 5322 section 3.2.3
        (NameKind.EMAIL, "a.X@b.example", ATOM_CHARACTERS),
        (NameKind.EMAIL, "aXa@b.example", ATOM_CHARACTERS | {"."}),
    ],
)
def test_a_name_holds_the_characters_of_its_grammar_and_no_others(kind, template, characters):
    assert {one for one in map(chr, range(256)) if is_name(kind, template.replace("X", one))} == characters


def test_a_uri_has_something_and_not_too_much_after_its_scheme():
    assert [is_name(NameKind.URI, "a:" + "b" * length) for length in (0, 1, 2048, 2049)] == [False, True, True, False]


@pytest.mark.parametrize("text", ["apostille:client-b/agent", "Apostille:x", "APOSTILLE://client-c/agent"])
def test_the_name_of_an_agent_identity_can_never_be_listed(text):
    with pytest.raises(NameSyntaxError):
        parse_pattern(NameKind.URI, text)


def test_an_email_address_ignores_case_in_its_domain_only():
    assert covers("Ops@b.example", "Ops@B.EXAMPLE", NameKind.EMAIL)
    assert not covers("Ops@b.example", "ops@b.example", NameKind.EMAIL)


def test_the_local_part_of_an_address_has_at_most_64_octets():
    longest = "x" * 64 + "@b.example"
    assert covers(longest, longest, NameKind.EMAIL)


@pytest.mark.parametrize(
    "text",
    [
        "ops",
        "@b.example",
        "ops@",
        "ops@b@c.example",
        '"o ps"@b.example',
        "o..ps@b.example",
        ".ops@b.example",
        "ops@*.example",
        "ops@b.example.",
        "ops@b_.example",
        "ops@\u212a.example",
        "ops\x00@b.example",
        "x" * 65 + "@b.example",
    ],
)
def test_what_is_no_plain_mailbox_is_refused(text):
    with pytest.raises(NameSyntaxError):
        parse_pattern(NameKind.EMAIL, text)


def test_an_address_is_compared_in_canonical_form():
    assert covers("192.0.2.7", "192.0.2.7", NameKind.IP)
    assert not covers("192.0.2.7", "192.0.2.70", NameKind.IP)
    assert covers("2001:db8::1", "2001:DB8:0:0::1", NameKind.IP)


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.0/24",
        "192.0.2",
        "0300.0.2.7",
        "192.0.2.07",
        "::ffff:192.0.2.7",
        "fe80::1%eth0",
        "3221225991",
        "*",
        "x",
        "",
    ],
)
def test_what_is_not_one_plain_address_is_refused(text):
    with pytest.raises(NameSyntaxError):
        parse_pattern(NameKind.IP, text)


def test_an_address_in_a_dns_name_is_no_dns_name():
    with pytest.raises(NameSyntaxError):
        canonical(SubjectName(NameKind.DNS, "192.0.2.7"))
