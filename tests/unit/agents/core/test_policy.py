"""The verdict: every rule satisfied and broken, and that an approved certificate holds nothing without a rule."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.policies import NOW, PARTNER, approve, dns, dns_patterns, key, make_context, make_policy, make_request

from agents.core.agreement import CLIENT_AUTH, USAGES, Approval, CommonName, KeyReuse
from agents.core.patterns import canonical, covering, parse_pattern
from agents.core.policy import Approved, Grant, Held, Refused, evaluate
from agents.core.profile import BACKDATE, Profile
from agents.core.subject import COMMON_NAME
from protocol.csr import KeyKind, NameKind, SubjectAttribute, SubjectName
from protocol.errors import Problem, ProblemCode
from protocol.names import DnsName, Fingerprint, OrganisationName

ORGANISATION, COUNTRY, UNIT = "2.5.4.10", "2.5.4.6", "2.5.4.11"
SERVER_AUTH = USAGES["serverAuth"]
DAY = timedelta(days=1)


def refusal(request=None, policy=None, context=None) -> Problem:
    """The one problem of a verdict that must be a refusal for one reason."""
    verdict = evaluate(request or make_request(), policy or make_policy(), context or make_context())
    assert isinstance(verdict, Refused), verdict
    (only,) = verdict.problems
    return only


def subject(*pairs: tuple[str, str]) -> tuple[SubjectAttribute, ...]:
    return tuple(SubjectAttribute(oid, value) for oid, value in pairs)


# --- verdicts --------------------------------------------------------------------------------------------------------


def test_a_request_within_the_agreement_is_approved_as_the_certificate_that_will_be_issued():
    request = make_request("api.client-b.example", "x.y.client-b.example")
    approved = approve(request)
    assert approved.spec.profile is Profile.CHANNEL_CLIENT
    assert approved.spec.names == request.names
    assert approved.spec.subject == ()
    assert approved.spec.public_key == request.key.spki
    assert approved.spec.extended_key_usages == (CLIENT_AUTH,)
    assert approved.notes == ()


def test_every_name_is_shown_with_the_rule_that_let_it_in():
    policy = make_policy(names=dns_patterns("a.example", "**.client-b.example"))
    approved = approve(make_request("api.client-b.example", "a.example"), policy)
    assert approved.grants == (
        Grant(SubjectName(NameKind.DNS, "api.client-b.example"), "names.dns **.client-b.example"),
        Grant(SubjectName(NameKind.DNS, "a.example"), "names.dns a.example"),
    )


@pytest.mark.parametrize("warrant", [(), (object(),), (None,)])
def test_nothing_but_the_policy_can_approve(warrant):
    approved = approve(make_request())
    with pytest.raises(TypeError):
        Approved(approved.spec, approved.notes, approved.grants, *warrant)


def test_an_approval_cannot_be_altered_into_another():
    approved = approve(make_request())
    with pytest.raises((TypeError, ValueError)):
        replace(approved, notes=("altered",))
    with pytest.raises((TypeError, ValueError)):
        replace(approved, notes=("altered",), warrant=object())
    with pytest.raises(AttributeError):
        approved.spec = approved.spec
    assert copy.copy(approved) == approved


def test_every_broken_rule_is_named_at_once():
    request = make_request(
        "evil.test",
        "*.client-b.example",
        der=bytes(9000),
        key=key(KeyKind.RSA, 1024),
        signature_hash="SHA-1",
        extended_key_usages=(SERVER_AUTH,),
        subject=subject((COMMON_NAME, "evil.test")),
    )
    context = make_context(issuer_not_after=NOW - DAY, key_holders=frozenset({OrganisationName("x")}))
    verdict = evaluate(request, make_policy(), context)
    assert isinstance(verdict, Refused)
    assert [(item.code.value, item.field) for item in verdict.problems] == [
        ("badRequest", "CSR"),
        ("notAuthorized", "subjectAltName"),
        ("badCertTemplate", "subjectAltName"),
        ("badCertTemplate", "subject commonName"),
        ("badAlg", "public key"),
        ("notAuthorized", "public key"),
        ("badAlg", "request signature"),
        ("unacceptedExtension", "extendedKeyUsage"),
        ("unacceptedExtension", "extendedKeyUsage"),
        ("badTime", "validity"),
    ]
    assert all(item.got and item.allowed and item.fix for item in verdict.problems)


def test_what_the_request_holds_beyond_a_certificate_is_passed_on_as_a_note():
    assert approve(make_request(left_out=("challenge password",))).notes == ("challenge password",)


# --- approval by a person --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "approved", "outcome"),
    [
        (Approval.AUTOMATIC, False, Approved),
        (Approval.AUTOMATIC, True, Approved),
        (Approval.MANUAL, False, Held),
        (Approval.MANUAL, True, Approved),
    ],
)
def test_a_person_decides_where_the_policy_says_so(mode, approved, outcome):
    verdict = evaluate(make_request(), make_policy(approval=mode), make_context(approved=approved))
    assert type(verdict) is outcome


def test_a_held_request_shows_the_certificate_that_would_be_issued():
    policy = make_policy(approval=Approval.MANUAL)
    request = make_request(left_out=("challenge password",))
    held = evaluate(request, policy, make_context())
    approved = approve(request, policy, make_context(approved=True))
    assert isinstance(held, Held)
    assert (held.spec, held.notes, held.grants) == (approved.spec, approved.notes, approved.grants)
    assert "a person" in held.reason


def test_what_a_rule_forbids_is_not_held_for_a_person_and_not_saved_by_one():
    policy = make_policy(approval=Approval.MANUAL)
    for approved in (False, True):
        assert isinstance(evaluate(make_request("evil.test"), policy, make_context(approved=approved)), Refused)


# --- names -----------------------------------------------------------------------------------------------------------


def test_a_name_without_a_rule_is_refused_with_what_is_allowed():
    found = refusal(make_request("api.client-c.example"), make_policy(names=dns_patterns("a.example", "*.b.example")))
    assert found.code is ProblemCode.NOT_AUTHORIZED
    assert found.got == "dns:api.client-c.example"
    assert found.allowed == "dns names: a.example, *.b.example"


@pytest.mark.parametrize("asked", ["channel.client-b.example", "Channel.Client-B.EXAMPLE"])
@pytest.mark.parametrize("pattern", ["channel.client-b.example", "**.client-b.example"])
def test_the_name_of_the_issuer_s_own_channel_is_refused_whatever_was_agreed(asked, pattern):
    context = make_context(endpoint=DnsName("channel.client-b.example"))
    found = refusal(
        make_request("api.client-b.example", asked),
        make_policy(names=dns_patterns("api.client-b.example", pattern)),
        context,
    )
    assert (found.code, found.field, found.got) == (ProblemCode.NOT_AUTHORIZED, "subjectAltName", f"dns:{asked}")
    assert found.allowed == "names that are not the issuer's own"
    assert "the issuer's own channel" in found.fix


def test_names_beside_and_below_the_issuer_s_channel_are_not_its_own():
    context = make_context(endpoint=DnsName("channel.client-b.example"))
    approve(make_request("x.channel.client-b.example", "channels.client-b.example"), context=context)


def test_only_a_dns_name_is_the_issuer_s_channel():
    """An e-mail address or a URI at that host is no name by which a channel is reached (RFC 9525 section 2)."""
    policy = make_policy(names=(parse_pattern(NameKind.URI, "https://channel.client-b.example"),))
    request = make_request(names=(SubjectName(NameKind.URI, "https://channel.client-b.example"),))
    approve(request, policy, make_context(endpoint=DnsName("channel.client-b.example")))


def test_without_patterns_no_name_is_allowed():
    found = refusal(policy=make_policy(names=()))
    assert found.allowed == "no dns names"


@pytest.mark.parametrize(
    "name",
    [
        SubjectName(NameKind.URI, "https://api.client-b.example/"),
        SubjectName(NameKind.EMAIL, "ops@api.client-b.example"),
        SubjectName(NameKind.IP, "192.0.2.7"),
    ],
)
def test_names_of_other_kinds_are_denied_unless_they_are_listed(name):
    request = make_request(names=(*make_request().names, name))
    assert refusal(request).allowed == f"no {name.kind} names"
    listed = make_policy(names=(*make_policy().names, parse_pattern(name.kind, name.value)))
    assert approve(request, listed).spec.names == request.names


def test_a_wildcard_is_refused_in_plain_words_even_where_a_pattern_reads_the_same():
    policy = make_policy(names=dns_patterns("*.client-b.example", "**.client-b.example"))
    found = refusal(make_request("*.client-b.example"), policy)
    assert found.allowed == "names without wildcards"
    assert found.code is ProblemCode.BAD_CERT_TEMPLATE


def test_an_asterisk_is_a_character_like_others_in_names_that_are_no_dns_names():
    starred = SubjectName(NameKind.URI, "https://b.example/*")
    found = refusal(make_request(names=(*make_request().names, starred)))
    assert (found.code, found.allowed) == (ProblemCode.NOT_AUTHORIZED, "no uri names")


@pytest.mark.parametrize(
    "text", ["api.client-b.example.", "api_1.client-b.example", "-.client-b.example", "x\x00.example"]
)
def test_a_malformed_name_is_told_from_one_that_is_not_allowed(text):
    found = refusal(make_request(text))
    assert (found.code, found.field) == (ProblemCode.BAD_CERT_TEMPLATE, "subjectAltName")
    assert "letters, digits" in found.allowed
    assert found.got.isascii()
    assert found.got.isprintable()


def test_a_granted_name_stands_in_the_certificate_octet_for_octet():
    assert approve(make_request("API.Client-B.example")).spec.names == dns("API.Client-B.example")


def test_a_request_without_names_is_told_that_a_common_name_is_none():
    request = make_request(names=(), subject=subject((COMMON_NAME, "api.client-b.example")))
    verdict = evaluate(request, make_policy(), make_context())
    assert isinstance(verdict, Refused)
    assert [item.field for item in verdict.problems] == ["subjectAltName", "subject commonName"]
    assert verdict.problems[0].allowed == "1 to 10 subject alternative names"
    assert verdict.problems[0].code is ProblemCode.BAD_CERT_TEMPLATE


def test_names_beyond_the_permitted_number_refuse_the_request_and_are_not_judged():
    names = tuple(f"n{number}.client-b.example" for number in range(11))
    assert approve(make_request(*names[:10])).spec.names == dns(*names[:10])
    found = refusal(make_request(*names[:10], "evil.test"))
    assert (found.code, found.got) == (ProblemCode.BAD_CERT_TEMPLATE, "11 names")
    assert found.allowed == "1 to 10 subject alternative names"


def test_the_size_of_the_request_is_bounded():
    policy = make_policy(request_bytes_maximum=500)
    approve(make_request(der=bytes(500)), policy)
    found = refusal(make_request(der=bytes(501)), policy)
    assert (found.code, found.allowed) == (ProblemCode.BAD_REQUEST, "at most 500 bytes of DER")


# --- subject ---------------------------------------------------------------------------------------------------------


def test_a_common_name_that_repeats_a_dns_name_is_left_out_and_noted():
    approved = approve(make_request(subject=subject((COMMON_NAME, "API.client-b.example"))))
    assert approved.spec.subject == ()
    (note,) = approved.notes
    assert "commonName 'API.client-b.example'" in note


def test_a_common_name_that_repeats_a_dns_name_is_taken_over_where_the_policy_says_so():
    asked = subject((COMMON_NAME, "api.client-b.example"))
    approved = approve(make_request(subject=asked), make_policy(common_name=CommonName.DNS_NAME))
    assert approved.spec.subject == asked
    assert approved.grants[-1] == Grant(asked[0], "subject.common_name = dns-name")
    assert approved.notes == ()


@pytest.mark.parametrize("rule", CommonName)
@pytest.mark.parametrize(
    "text", ["other.client-b.example", "Client B", "192.0.2.7", "api.client-b.example.", "*", "x\x00"]
)
def test_any_other_common_name_is_refused(rule, text):
    found = refusal(make_request(subject=subject((COMMON_NAME, text))), make_policy(common_name=rule))
    assert (found.code, found.field) == (ProblemCode.BAD_CERT_TEMPLATE, "subject commonName")
    assert found.allowed == "one of the request's DNS names, or none"


def test_a_common_name_that_repeats_a_name_which_is_not_granted_is_refused_too():
    request = make_request("api.client-b.example", "evil.test", subject=subject((COMMON_NAME, "evil.test")))
    verdict = evaluate(request, make_policy(common_name=CommonName.DNS_NAME), make_context())
    assert isinstance(verdict, Refused)
    assert [item.field for item in verdict.problems] == ["subjectAltName", "subject commonName"]


def test_two_common_names_are_refused_even_if_each_repeats_a_dns_name():
    asked = subject((COMMON_NAME, "api.client-b.example"), (COMMON_NAME, "api.client-b.example"))
    found = refusal(make_request(subject=asked))
    assert (found.code, found.got) == (ProblemCode.BAD_CERT_TEMPLATE, "2 common names")


def test_a_common_name_longer_than_a_certificate_can_hold_is_refused_only_where_it_is_taken_over():
    taken_over = make_policy(common_name=CommonName.DNS_NAME)
    longest = f"{'x' * 47}.client-b.example"
    approve(make_request(longest, subject=subject((COMMON_NAME, longest))), taken_over)
    longer = f"x{longest}"
    request = make_request(longer, subject=subject((COMMON_NAME, longer)))
    approve(request)
    found = refusal(request, taken_over)
    assert (found.code, found.allowed) == (ProblemCode.BAD_CERT_TEMPLATE, "at most 64 characters")


def test_only_listed_attributes_are_taken_over_and_the_others_are_noted():
    request = make_request(subject=subject((COUNTRY, "DE"), (ORGANISATION, "Client B"), ("2.5.4.12", "Director")))
    approved = approve(request, make_policy(subject_taken=frozenset({ORGANISATION})))
    assert approved.spec.subject == subject((ORGANISATION, "Client B"))
    assert approved.grants[-1] == Grant(SubjectAttribute(ORGANISATION, "Client B"), "subject.take organizationName")
    assert [note.split(" is not")[0] for note in approved.notes] == [
        "subject: countryName 'DE'",
        "subject: 2.5.4.12 'Director'",
    ]


def test_a_stamped_attribute_replaces_what_was_asked_for():
    stamped = subject((ORGANISATION, "Partner of Client C"))
    policy = make_policy(subject_stamped=stamped, subject_taken=frozenset({ORGANISATION, UNIT}))
    request = make_request(subject=subject((ORGANISATION, "Client C"), (UNIT, "Ops")))
    approved = approve(request, policy)
    assert approved.spec.subject == (*stamped, *subject((UNIT, "Ops")))
    assert approved.grants[1].rule == "subject.stamp.organizationName"
    assert "organizationName 'Client C'" in approved.notes[0]


def test_a_note_is_safe_to_print():
    (note,) = approve(make_request(subject=subject((UNIT, "\x1b[2J\u202eevil")))).notes
    assert note.isascii()
    assert note.isprintable()


@pytest.mark.parametrize(
    ("oid", "value", "allowed"),
    [
        (COUNTRY, "D", "two capital letters"),
        (COUNTRY, "de", "two capital letters"),
        (ORGANISATION, "\u202eB tneilC", "1 to 64 printable characters"),
        (ORGANISATION, " B", "1 to 64 printable characters"),
        (UNIT, "x" * 65, "1 to 64 printable characters"),
        (UNIT, "", "1 to 64 printable characters"),
    ],
)
def test_an_attribute_that_cannot_stand_in_a_certificate_is_refused_where_it_would(oid, value, allowed):
    request = make_request(subject=subject((oid, value)))
    approve(request)
    found = refusal(request, make_policy(subject_taken=frozenset({oid})))
    assert found.code is ProblemCode.BAD_CERT_TEMPLATE
    assert found.allowed.startswith(allowed)


# --- key, signature, purposes ----------------------------------------------------------------------------------------


def test_a_kind_of_key_that_is_not_listed_is_refused():
    policy = make_policy(key_kinds=frozenset({KeyKind.P256, KeyKind.RSA}))
    found = refusal(make_request(key=key(KeyKind.P521, 521)), policy)
    assert (found.code, found.got, found.allowed) == (ProblemCode.BAD_ALG, "P-521", "P-256, RSA")
    assert refusal(policy=make_policy(key_kinds=frozenset())).allowed == "no keys at all"


@pytest.mark.parametrize(("bits", "allowed"), [(3071, False), (3072, True), (8192, True), (8193, False)])
def test_an_rsa_key_is_neither_weaker_than_agreed_nor_needlessly_large(bits, allowed):
    request, policy = make_request(key=key(KeyKind.RSA, bits)), make_policy(rsa_bits_minimum=3072)
    if allowed:
        approve(request, policy)
    else:
        assert refusal(request, policy).allowed == "RSA keys of 3072 to 8192 bits"


def test_a_key_of_another_partner_is_refused_without_saying_whose_it_is():
    for reuse in KeyReuse:
        context = make_context(key_holders=frozenset({PARTNER, OrganisationName("somebody")}))
        found = refusal(policy=make_policy(key_reuse=reuse), context=context)
        assert (found.code, found.allowed) == (ProblemCode.NOT_AUTHORIZED, "a key of your own")
        assert found.got == "a key that another organisation has a certificate for"
        assert "somebody" not in str(found)


def test_the_partners_own_key_may_be_used_again_unless_the_policy_says_never():
    context = make_context(key_holders=frozenset({PARTNER}))
    approve(make_request(), make_policy(key_reuse=KeyReuse.SAME_PARTNER), context)
    found = refusal(policy=make_policy(key_reuse=KeyReuse.NEVER), context=context)
    assert (found.code, found.allowed) == (ProblemCode.NOT_AUTHORIZED, "a new key for every certificate")
    approve(make_request(), make_policy(key_reuse=KeyReuse.NEVER))


def test_a_key_that_signs_envelopes_or_certificates_is_not_certified_for_the_channel():
    context = make_context(signing_keys=frozenset({Fingerprint.of(b"ca"), make_request().key.fingerprint}))
    found = refusal(context=context)
    assert (found.code, found.field) == (ProblemCode.BAD_CERT_TEMPLATE, "public key")
    assert (found.got, found.allowed) == ("the key of a CA or of an agent identity", "a key for the channel alone")
    approve(make_request(), context=make_context(signing_keys=frozenset({Fingerprint.of(b"ca")})))


def test_the_hash_of_the_requests_signature_must_be_listed():
    found = refusal(make_request(signature_hash="SHA-256"), make_policy(signature_hashes=frozenset({"SHA-384"})))
    assert (found.code, found.allowed) == (ProblemCode.BAD_ALG, "SHA-384")


def test_a_scheme_that_fixes_its_hash_is_allowed_with_its_kind_of_key():
    request = make_request(key=key(KeyKind.ED25519, 256), signature_hash="Ed25519")
    approve(request, make_policy(signature_hashes=frozenset()))
    assert refusal(request, make_policy(key_kinds=frozenset({KeyKind.P256}))).field == "public key"


@pytest.mark.parametrize(
    ("asked", "issued"),
    [((), (CLIENT_AUTH,)), ((CLIENT_AUTH,), (CLIENT_AUTH,)), ((SERVER_AUTH, CLIENT_AUTH), (SERVER_AUTH, CLIENT_AUTH))],
)
def test_listed_purposes_are_granted_and_without_a_wish_it_is_the_channels(asked, issued):
    policy = make_policy(extended_key_usages=frozenset({CLIENT_AUTH, SERVER_AUTH}))
    assert approve(make_request(extended_key_usages=asked), policy).spec.extended_key_usages == issued


def test_a_purpose_that_is_not_listed_is_refused():
    found = refusal(make_request(extended_key_usages=(CLIENT_AUTH, SERVER_AUTH)))
    assert (found.code, found.got, found.allowed) == (ProblemCode.UNACCEPTED_EXTENSION, "serverAuth", "clientAuth")
    any_usage = "2.5.29.37.0"
    assert refusal(make_request(extended_key_usages=(CLIENT_AUTH, any_usage))).got == any_usage
    assert refusal(policy=make_policy(extended_key_usages=frozenset())).allowed == "no usages at all"


def test_a_purpose_the_channel_cannot_use_is_refused_even_if_it_is_listed():
    policy = make_policy(extended_key_usages=frozenset({CLIENT_AUTH, SERVER_AUTH}))
    found = refusal(make_request(extended_key_usages=(SERVER_AUTH,)), policy)
    assert "clientAuth" in found.allowed


# --- validity --------------------------------------------------------------------------------------------------------

WHOLE = NOW.replace(microsecond=0)


def test_validity_is_dated_back_and_in_whole_seconds():
    spec = approve(make_request()).spec
    assert (spec.not_before, spec.not_after) == (WHOLE - BACKDATE, WHOLE + 30 * DAY)


@pytest.mark.parametrize(
    ("asked", "granted", "noted"),
    [
        (None, 30 * DAY, ()),
        (DAY, DAY, ()),
        (90 * DAY, 90 * DAY, ()),
        (91.5 * DAY, 90 * DAY, ("lifetime: 91.5 days asked for; the issuer's policy grants at most 90 days",)),
    ],
)
def test_a_shorter_life_is_granted_and_a_longer_one_cut_and_noted(asked, granted, noted):
    approved = approve(make_request(), context=make_context(lifetime=asked))
    assert approved.spec.not_after == WHOLE + granted
    assert approved.notes == noted


def test_a_lifetime_beyond_all_calendars_is_cut_like_any_other():
    approved = approve(make_request(), context=make_context(lifetime=timedelta.max))
    assert approved.spec.not_after == WHOLE + 90 * DAY


def test_no_certificate_outlives_its_issuer():
    approved = approve(make_request(), context=make_context(issuer_not_after=WHOLE + DAY))
    assert approved.spec.not_after == WHOLE + DAY
    assert "the issuer's own CA, 2026-03-02 12:00" in approved.notes[0]


@pytest.mark.parametrize(
    "change",
    [
        {"issuer_not_after": NOW},
        {"issuer_not_after": NOW - DAY},
        {"lifetime": timedelta(0)},
        {"lifetime": -DAY},
        {"lifetime": timedelta.min},
    ],
)
def test_a_certificate_without_life_is_refused(change):
    found = refusal(context=make_context(**change))
    assert (found.code, found.field) == (ProblemCode.BAD_TIME, "validity")


# --- whatever is asked -----------------------------------------------------------------------------------------------

OTHER_PATTERNS = (
    parse_pattern(NameKind.IP, "192.0.2.7"),
    parse_pattern(NameKind.URI, "spiffe://b.example/api"),
    parse_pattern(NameKind.EMAIL, "ops@b.example"),
)
GOOD = ["api.client-b.example", "X.Y.client-b.example", "client-b.example"]
TEXTS = st.sampled_from([*GOOD, "evil.test", "*.client-b.example"]) | st.text(max_size=20)
GOOD_NAMES = (*dns(*GOOD), *(SubjectName(pattern.kind, str(pattern)) for pattern in OTHER_PATTERNS))
NAMES = st.sampled_from(GOOD_NAMES) | st.builds(SubjectName, st.sampled_from(NameKind), TEXTS)
OIDS = st.sampled_from([COMMON_NAME, ORGANISATION, COUNTRY, UNIT, "2.5.4.12"])
P256 = key(KeyKind.P256, 256)
ALL_PATTERNS = (*dns_patterns("**.client-b.example", "client-b.example"), *OTHER_PATTERNS)


def mostly(usual, unusual):
    """Values that let a request pass, often enough that approvals are tried too."""
    return st.integers(0, 3).flatmap(lambda die: unusual if die == 0 else st.just(usual))


REQUESTS = st.builds(
    make_request,
    names=st.lists(st.sampled_from(GOOD_NAMES), min_size=1, max_size=3, unique=True).map(tuple)
    | st.lists(NAMES, max_size=4, unique=True).map(tuple),
    subject=mostly((), st.lists(st.builds(SubjectAttribute, OIDS, TEXTS), max_size=3).map(tuple)),
    key=mostly(P256, st.sampled_from([key(KeyKind.RSA, 1024), key(KeyKind.RSA, 2048)])),
    extended_key_usages=mostly((), st.lists(st.sampled_from([*USAGES.values(), "1.2.3"]), max_size=2).map(tuple)),
)
POLICIES = st.builds(
    make_policy,
    names=mostly(ALL_PATTERNS, st.lists(st.sampled_from(ALL_PATTERNS), max_size=5).map(tuple)),
    names_maximum=st.integers(1, 4),
    common_name=st.sampled_from(CommonName),
    subject_taken=st.frozensets(st.sampled_from([ORGANISATION, UNIT, COUNTRY])),
    key_kinds=mostly(frozenset(KeyKind), st.frozensets(st.sampled_from(KeyKind))),
    approval=st.sampled_from(Approval),
)
CONTEXTS = st.builds(
    make_context,
    lifetime=mostly(None, st.timedeltas()),
    issuer_not_after=mostly(WHOLE + 50 * DAY, st.just(WHOLE - DAY)),
    approved=st.booleans(),
    signing_keys=mostly(frozenset(), st.just(frozenset({make_request().key.fingerprint}))),
    endpoint=mostly(None, st.sampled_from(GOOD).map(DnsName)),
    key_holders=mostly(frozenset(), st.frozensets(st.sampled_from([PARTNER, OrganisationName("other")]))),
)


@settings(max_examples=300)
@given(request=REQUESTS, policy=POLICIES, context=CONTEXTS)
def test_whatever_is_asked_an_approved_certificate_holds_nothing_without_a_rule(request, policy, context):
    verdict = evaluate(request, policy, context)
    if isinstance(verdict, Refused):
        assert verdict.problems
        return
    spec = verdict.spec
    assert isinstance(verdict, Held) == (policy.approval is Approval.MANUAL and not context.approved)
    assert 1 <= len(spec.names) <= policy.names_maximum
    assert all(covering(name, policy.names) and "*" not in name.value for name in spec.names)
    assert set(spec.names) == set(request.names)
    assert context.endpoint not in [canonical(name) for name in spec.names]
    assert {attribute.oid for attribute in spec.subject} - {COMMON_NAME} <= policy.subject_taken
    assert set(spec.extended_key_usages) <= policy.extended_key_usages
    assert [grant.item for grant in verdict.grants] == [*spec.names, *spec.subject]
    assert spec.public_key == request.key.spki
    assert spec.not_before < context.now < spec.not_after <= context.issuer_not_after
    assert spec.not_after - context.now <= policy.lifetime_maximum
    assert context.key_holders <= {PARTNER}
    assert request.key.fingerprint not in context.signing_keys
