"""Policy files: what they say, what they leave to defaults, and how they fail."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.config.policy import FILE_MAX, default_policy_text, load_policy, parse_policy
from agents.core.agreement import CLIENT_AUTH, USAGES, Approval, CommonName, KeyReuse
from agents.core.policy import Policy
from agents.errors import ConfigurationError
from protocol.csr import KeyKind, SubjectAttribute
from protocol.names import OrganisationName

PARTNER = OrganisationName("client-b")

EVERYTHING = """
approval = "manual"
extended_key_usages = ["clientAuth", "serverAuth"]
[names]
dns = ["a.example", "*.B.example"]
uri = ["spiffe://b.example/api"]
email = ["Ops@B.example"]
ip = ["2001:DB8::1"]
maximum = 3
[subject]
common_name = "dns-name"
take = ["countryName"]
[subject.stamp]
organizationName = "Client B"
[keys]
kinds = ["P-521"]
rsa_minimum = 4096
reuse = "never"
[request]
hashes = ["SHA-512"]
maximum_bytes = 1000
[lifetime]
default = "12h"
maximum = "90m"
"""


def fault(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_policy(text, "client-b.toml")
    return str(caught.value)


def test_every_setting_of_a_file_reaches_the_policy():
    policy = parse_policy(EVERYTHING.replace('"90m"', '"90d"'), "client-b.toml")
    assert [f"{pattern.kind} {pattern}" for pattern in policy.names] == [
        "dns a.example",
        "dns *.b.example",
        "uri spiffe://b.example/api",
        "email Ops@b.example",
        "ip 2001:db8::1",
    ]
    assert policy == Policy(
        names=policy.names,
        names_maximum=3,
        common_name=CommonName.DNS_NAME,
        subject_taken=frozenset({"2.5.4.6"}),
        subject_stamped=(SubjectAttribute("2.5.4.10", "Client B"),),
        key_kinds=frozenset({KeyKind.P521}),
        rsa_bits_minimum=4096,
        key_reuse=KeyReuse.NEVER,
        signature_hashes=frozenset({"SHA-512"}),
        extended_key_usages=frozenset(USAGES.values()),
        lifetime_default=timedelta(hours=12),
        lifetime_maximum=timedelta(days=90),
        request_bytes_maximum=1000,
        approval=Approval.MANUAL,
    )


def test_an_empty_file_allows_no_name():
    policy = parse_policy("", "client-b.toml")
    assert policy.names == ()
    assert policy.subject_taken == frozenset()
    assert policy.extended_key_usages == {CLIENT_AUTH}


def test_empty_lists_stay_empty():
    text = "extended_key_usages = []\n[keys]\nkinds = []\n[request]\nhashes = []"
    policy = parse_policy(text, "client-b.toml")
    assert policy.extended_key_usages == policy.key_kinds == policy.signature_hashes == frozenset()


def test_the_file_of_an_invitation_says_the_defaults_and_the_invitations_names():
    written = parse_policy(default_policy_text(PARTNER, ["**.Client-B.example", "b.example"]), "written")
    assert written == parse_policy('[names]\ndns = ["**.client-b.example", "b.example"]', "short")
    assert parse_policy(default_policy_text(PARTNER, []), "written") == parse_policy("", "empty")


@pytest.mark.parametrize(
    "pattern", ['"]\nuri = ["x', "*", "bücher.example", "", "a.example\\", "a.example\n", "{partner}"]
)
def test_a_pattern_that_is_none_never_reaches_the_file(pattern):
    with pytest.raises(ConfigurationError, match=r"wanted NAME, \*\.NAME"):
        default_policy_text(PARTNER, [pattern])


def test_a_short_maximum_is_the_default_too():
    assert parse_policy('[lifetime]\nmaximum = "7d"', "x").lifetime_default == timedelta(days=7)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[names]\ndsn = []", "unknown key 'names.dsn'; did you mean 'names.dns'?"),
        ("dns = []", "unknown key 'dns'; did you mean 'names.dns'?"),
        ("[lifetime]\nmaximun = '1d'", "unknown key 'lifetime.maximun'; did you mean 'lifetime.maximum'?"),
        ("[zzz]", "unknown key 'zzz'; known here: approval, "),
        ("[names]\nwildcards = true", "unknown key 'names.wildcards'; known here: dns, "),
        ("names = 5", "names: wanted a section, [names] (got 5)"),
        ("[names]\ndns = 'a.example'", """names.dns: wanted a list, as in ["one", "another"] (got 'a.example')"""),
        ("[names]\ndns = [5]", "names.dns.0: wanted text (got 5)"),
        ("[names]\ndns = ['a.example', '*x']", "names.dns.1: wanted NAME, *.NAME (one label more)"),
        ("[names]\nuri = ['x']", "names.uri.0: wanted scheme:rest"),
        ("[names]\nuri = ['apostille:client-b/agent']", "names.uri.0"),
        ("[names]\nip = ['10.0.0.0/8']", "names.ip.0: wanted one IPv4 or IPv6 address, no network"),
        ("[names]\nemail = ['b.example']", "names.email.0: wanted local@domain"),
        ("[names]\nmaximum = 0", "names.maximum: wanted 1 or more (got 0)"),
        ("[names]\nmaximum = 101", "names.maximum: wanted 100 or less (got 101)"),
        ("[names]\nmaximum = true", "names.maximum: wanted a whole number, without quotes (got True)"),
        ("approval = 'yes'", "approval: wanted 'automatic' or 'manual' (got 'yes')"),
        ("approval = true", "approval"),
        (
            "extended_key_usages = ['OCSPSigning']",
            "extended_key_usages.0: wanted 'clientAuth' or 'serverAuth'",
        ),
        ("[subject]\ntake = ['commonName']", "subject.take.0: wanted one of countryName"),
        ("[subject.stamp]\ncommonName = 'x'", "subject.stamp: wanted one of countryName"),
        ("[subject.stamp]\ncountryName = 'Germany'", "subject.stamp: wanted two capital letters"),
        ("[subject.stamp]\norganizationName = ''", "subject.stamp: wanted 1 to 64 printable characters"),
        ("[keys]\nkinds = ['DSA']", "keys.kinds.0: wanted 'RSA', "),
        ("[keys]\nrsa_minimum = 1024", "keys.rsa_minimum"),
        ("[keys]\nreuse = 'always'", "keys.reuse: wanted 'same-partner' or 'never'"),
        ("[request]\nhashes = ['SHA-1']", "request.hashes.0"),
        ("[request]\nmaximum_bytes = 65537", "request.maximum_bytes"),
        (
            "[lifetime]\nmaximum = '90 days'",
            "lifetime.maximum: wanted a duration such as 45m, 12h or 30d (got '90 days')",
        ),
        ("[lifetime]\nmaximum = 90", "lifetime.maximum: wanted a duration"),
        ("[lifetime]\nmaximum = '0d'", "lifetime.maximum: wanted more than nothing"),
        ("[lifetime]\nmaximum = '3651d'", "lifetime.maximum: wanted more than nothing and at most 3650d"),
        (EVERYTHING, "lifetime: wanted a default that is not longer than the maximum"),
    ],
)
def test_a_fault_is_named_with_file_key_what_was_got_and_what_is_allowed(text, said):
    assert fault(text).startswith(f"client-b.toml: {said}")


def test_unknown_keys_are_named_first_because_they_explain_what_is_missing():
    said = fault("approval = 1\n[names]\nmaximum = 0\ndsn = []").splitlines()
    assert [line.split(" ")[1] for line in said] == ["unknown", "approval:", "names.maximum:"]


def test_all_faults_are_named_at_once():
    assert len(fault("approval = 1\n[names]\ndns = ['*']\nmaximum = 0").splitlines()) == 3


@pytest.mark.parametrize("text", ["[names", "a = 1\na = 2", "a = " + "[" * 5000, "a = " + "9" * 5000, "a = \x00"])
def test_what_is_no_toml_is_one_error_like_any_other(text):
    assert fault(text).startswith("client-b.toml is not valid TOML: ")


@given(st.text(max_size=60) | st.sampled_from(EVERYTHING.splitlines()).map(lambda line: line.replace('"', "")))
def test_any_text_is_a_policy_or_a_configuration_error(text):
    try:
        policy = parse_policy(text, "any")
    except ConfigurationError:
        return
    assert isinstance(policy, Policy)


def test_a_file_is_read_from_disk(tmp_path):
    path = tmp_path / "client-b.toml"
    path.write_text(default_policy_text(PARTNER, ["b.example"]))
    assert load_policy(path) == parse_policy(path.read_text(), "same")


@pytest.mark.parametrize("content", [b"#" * (FILE_MAX + 1), b"approval = '\xff'", None])
def test_a_file_that_is_too_large_not_text_or_missing_is_refused_by_name(tmp_path, content):
    path = tmp_path / "client-b.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="client-b.toml"):
        load_policy(path)
