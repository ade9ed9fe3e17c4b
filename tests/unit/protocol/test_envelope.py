"""Both peers: B seals, C opens."""

import base64
import json
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.certificates import CLIENT, DAY, NOW, forge_ca
from kit.envelopes import B, C, D, agent_of, decode, der, encode, forge_envelope, header_of, message, organisation

from protocol.certificate import public_key_info
from protocol.envelope import (
    CLOCK_SKEW_MAX,
    ENVELOPE_MAX,
    LIFETIME_MAX,
    Identity,
    Opened,
    UntimelyError,
    digest,
    reread,
    unseal,
)
from protocol.errors import EnvelopeError, MessageError, PathError, ProblemCode, ProtocolError
from protocol.messages import EnrollmentRequest
from protocol.names import Fingerprint

CLIENT_B, CLIENT_C, CLIENT_D = organisation(B), organisation(C), organisation(D)
SEALED = CLIENT_B.seal(C)
MICROSECOND = timedelta(microseconds=1)


def refusal(data, *known, kind=EnvelopeError, **options):
    """The one problem with which C refuses an envelope."""
    with pytest.raises(ProtocolError) as caught:
        CLIENT_C.open(data, *known, **options)
    assert type(caught.value) is kind, caught.value
    (problem,) = caught.value.problems
    return problem


# --- what is sealed can be opened


def test_what_one_seals_the_other_opens():
    opened = CLIENT_C.open(SEALED, CLIENT_B)
    certificates = (CLIENT_B.identity, CLIENT_B.issuing, CLIENT_B.root)
    keys = frozenset(Fingerprint.of(public_key_info(one.certificate)) for one in certificates)
    assert opened == Opened(message(), digest(SEALED), der(CLIENT_B.root.certificate), keys, introduced=False)


def test_the_digest_is_that_of_the_signing_input():
    parts = json.loads(SEALED)
    assert digest(SEALED) == Fingerprint.of(f"{parts['protected']}.{parts['payload']}".encode())


@pytest.mark.parametrize(
    "rewritten",
    [
        json.dumps(json.loads(SEALED), indent=2).encode(),
        json.dumps(dict(reversed(json.loads(SEALED).items()))).encode(),
        SEALED.replace(b'"payload"', b'"p\\u0061yload"'),
    ],
    ids=["white space", "order of members", "escapes"],
)
def test_a_broker_that_writes_the_json_anew_changes_no_digest(rewritten):
    assert rewritten != SEALED
    assert CLIENT_C.open(rewritten, CLIENT_B) == CLIENT_C.open(SEALED, CLIENT_B)


def test_the_other_form_of_an_ecdsa_signature_changes_no_digest():
    parts = json.loads(SEALED)
    r, s = decode(parts["signature"])[:32], int.from_bytes(decode(parts["signature"])[32:])
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    other = json.dumps({**parts, "signature": encode(r + (order - s).to_bytes(32))}).encode()
    assert CLIENT_C.open(other, CLIENT_B).digest == digest(SEALED)


def test_another_message_or_another_header_has_another_digest():
    renewed = type(CLIENT_B)(B, CLIENT_B.root, CLIENT_B.issuing, agent_of(B, CLIENT_B.issuing))
    others = (CLIENT_B.seal(C, issued_at=NOW - MICROSECOND), renewed.seal(C))
    assert len({digest(SEALED), *map(digest, others)}) == 3


def test_a_stranger_is_opened_under_the_root_that_it_shows_and_marked():
    opened = CLIENT_C.open(SEALED)
    assert (opened.introduced, opened.root) == (True, der(CLIENT_B.root.certificate))


def test_another_root_than_the_pinned_one_is_marked_too():
    usurper = organisation(B)
    opened = CLIENT_C.open(usurper.seal(C), CLIENT_B)
    assert (opened.introduced, opened.root) == (True, der(usurper.root.certificate))


def test_the_anchors_of_one_organisation_say_nothing_for_another():
    forged = agent_of(B, CLIENT_D.issuing)
    impostor = type(CLIENT_D)(B, CLIENT_D.root, CLIENT_D.issuing, forged)
    assert CLIENT_C.open(impostor.seal(C), CLIENT_B, CLIENT_D).introduced


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
)
def test_every_kind_of_identity_that_is_offered_works(key):
    sender = organisation(B, key=key)
    assert CLIENT_C.open(sender.seal(C), sender).message == message()


def test_the_same_message_under_another_identity_of_the_same_root_is_as_good():
    renewed = type(CLIENT_B)(B, CLIENT_B.root, CLIENT_B.issuing, agent_of(B, CLIENT_B.issuing))
    assert not CLIENT_C.open(renewed.seal(C), CLIENT_B).introduced


def test_the_order_of_the_cas_between_leaf_and_root_does_not_matter():
    lower = forge_ca("client-b lower", CLIENT_B.issuing.__class__(CLIENT_B.root.certificate, CLIENT_B.root.key))
    leaf = agent_of(B, lower)
    chain = [leaf.certificate, CLIENT_B.issuing.certificate, lower.certificate, CLIENT_B.root.certificate]
    header = header_of(CLIENT_B, x5c=[base64.b64encode(der(one)).decode() for one in chain])
    data = forge_envelope(leaf.key, header, message().model_dump_json().encode())
    assert CLIENT_C.open(data, CLIENT_B).message == message()


def test_a_sealer_makes_nothing_that_would_be_refused_for_its_size():
    huge = EnrollmentRequest.model_construct(csr=bytes(ENVELOPE_MAX))
    with pytest.raises(EnvelopeError, match=f"at most {ENVELOPE_MAX} bytes"):
        CLIENT_B.sealer.seal(message().model_copy(update={"body": huge}))


def test_an_identity_does_not_show_its_key():
    assert repr(Identity(CLIENT_B.identity.key, (b"1", b"2"))) == "Identity(2 certificates)"


def test_our_own_record_of_an_envelope_is_read_again_without_its_chain_being_valid_now():
    assert reread(SEALED) == message()


# --- any bytes give a message or the one error


@given(st.binary(max_size=400))
def test_any_bytes_give_a_message_or_a_protocol_error(data):
    with pytest.raises(ProtocolError):
        unseal(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)
HEADER = header_of(CLIENT_B)
PAYLOAD = message().model_dump_json().encode()


@given(st.fixed_dictionaries({}, optional={"payload": JSON, "protected": JSON, "signature": JSON, "header": JSON}))
def test_any_json_gives_a_message_or_a_protocol_error(parts):
    with pytest.raises(ProtocolError):
        CLIENT_C.open(json.dumps(parts).encode(), CLIENT_B)


@given(st.sampled_from(["alg", "typ", "x5c", "crit", "b64", "jwk", "kid"]), JSON)
def test_any_header_under_a_good_signature_gives_a_message_or_a_protocol_error(member, value):
    header = {**HEADER, member: value}
    if header != HEADER:
        with pytest.raises(ProtocolError):
            CLIENT_C.open(forge_envelope(CLIENT_B.identity.key, header, PAYLOAD), CLIENT_B)


@given(JSON)
def test_any_payload_under_a_good_signature_gives_a_message_or_a_protocol_error(payload):
    data = forge_envelope(CLIENT_B.identity.key, HEADER, json.dumps(payload).encode())
    with pytest.raises(MessageError):
        CLIENT_C.open(data, CLIENT_B)


@settings(max_examples=300)
@given(st.integers(0, len(SEALED) - 1), st.integers(0, 255))
def test_a_changed_byte_is_never_taken_for_the_sender_s_own(place, value):
    changed = SEALED[:place] + bytes([value]) + SEALED[place + 1 :]
    try:
        opened = CLIENT_C.open(changed, CLIENT_B)
    except ProtocolError:
        return
    assert (opened.message, opened.introduced) == (message(), changed != SEALED and opened.introduced)


@settings(max_examples=100)
@given(st.integers(0, 2), st.data())
def test_a_damaged_certificate_in_the_chain_never_passes_for_the_partner_s_own(which, data):
    chain = [bytearray(der(one)) for one in CLIENT_B.chain]
    signed = CLIENT_B.chain[which].tbs_certificate_bytes
    place = chain[which].index(signed) + data.draw(st.integers(0, len(signed) - 1))
    chain[which][place] ^= data.draw(st.integers(1, 255))
    header = header_of(CLIENT_B, x5c=[base64.b64encode(one).decode() for one in chain])
    try:
        opened = CLIENT_C.open(forge_envelope(CLIENT_B.identity.key, header, PAYLOAD), CLIENT_B)
    except ProtocolError:
        return
    assert opened.introduced


@pytest.mark.parametrize("nest", ['{"a":', "["])
@pytest.mark.parametrize("depth", [100, 600, 900, 5000])
@pytest.mark.parametrize("member", ["alg", "typ", "x5c"])
def test_deep_nesting_is_refused_and_not_quoted(nest, depth, member):
    header = json.dumps(HEADER | {member: "HERE"}).replace(
        '"HERE"', nest * depth + "1" + {"[": "]"}.get(nest, "}") * depth
    )
    refusal(forge_envelope(CLIENT_B.identity.key, header.encode(), PAYLOAD), CLIENT_B)


def test_what_is_too_large_is_refused_before_it_is_read():
    problem = refusal(SEALED + b" " * ENVELOPE_MAX)
    assert problem.code is ProblemCode.BAD_DATA_FORMAT
    assert (problem.got, problem.allowed) == (f"{len(SEALED) + ENVELOPE_MAX} bytes", f"at most {ENVELOPE_MAX} bytes")


def test_an_envelope_may_be_as_large_as_the_limit():
    assert CLIENT_C.open(SEALED.ljust(ENVELOPE_MAX), CLIENT_B).message == message()


# --- structure (RFC 7515 section 7.2.2)


@pytest.mark.parametrize(
    "changes",
    [
        {"header": {"kid": "x"}},
        {"signatures": []},
        {"signature": None},
        {"signature": None, "header": "x"},
        {"payload": 1},
        {"protected": None},
        {"protected": "\u00e9"},
        {"protected": "\ud800"},
        {"payload": "\u00e9"},
        {"signature": "="},
        {"signature": "a"},
        {"protected": "e30="},
    ],
    ids=str,
)
def test_an_envelope_of_another_structure_is_refused(changes):
    problem = refusal(forge_envelope(CLIENT_B.identity.key, HEADER, PAYLOAD, **changes), CLIENT_B)
    assert (problem.code, problem.field) == (ProblemCode.BAD_DATA_FORMAT, "envelope")


PAIRS = json.dumps(list(json.loads(SEALED).items())).encode()


@pytest.mark.parametrize(
    "data", [b"[]", b"{}", b"null", b"\xff", b'"text"', b'[["payload", "a"]]', SEALED[:-1] + b',"payload":"a"}', PAIRS]
)
def test_json_that_is_no_envelope_is_refused(data):
    assert refusal(data, CLIENT_B).got.startswith("an envelope ")
    assert refusal(data, CLIENT_B).code is ProblemCode.BAD_DATA_FORMAT


def test_a_member_that_stands_in_the_header_twice_is_refused():
    twice = json.dumps(HEADER)[:-1] + ', "alg": "ES256"}'
    problem = refusal(forge_envelope(CLIENT_B.identity.key, twice.encode(), PAYLOAD), CLIENT_B)
    assert problem.got == "a protected header with the members alg, typ, x5c, alg"


@pytest.mark.parametrize(
    "extra", [{"crit": ["b64"], "b64": False}, {"crit": ["exp"]}, {"b64": True}, {"jwk": {}}, {"jku": "http://x"}]
)
def test_a_header_that_asks_for_more_is_refused(extra):
    problem = refusal(forge_envelope(CLIENT_B.identity.key, HEADER | extra, PAYLOAD), CLIENT_B)
    assert problem.allowed == "exactly alg, typ, x5c"


def test_the_unpadded_spelling_is_the_only_one():
    parts = json.loads(SEALED)
    for name in parts:
        padded = {**parts, name: parts[name] + "="}
        assert refusal(json.dumps(padded).encode(), CLIENT_B).code in (
            ProblemCode.BAD_DATA_FORMAT,
            ProblemCode.BAD_MESSAGE_CHECK,
        )


# --- algorithm (RFC 8725 section 3.1)


@pytest.mark.parametrize(
    "algorithm", ["none", "HS256", "RS256", "PS256", "ES512", "ES256K", "EdDSA", "es256", "", None, 1, ["ES256"], {}]
)
def test_an_algorithm_beside_the_list_is_refused(algorithm):
    header = HEADER | {"alg": algorithm}
    problem = refusal(forge_envelope(CLIENT_B.identity.key, header, PAYLOAD), CLIENT_B)
    assert (problem.code, problem.field) == (ProblemCode.BAD_ALG, "protected header")
    assert problem.allowed == "typ apostille+json and alg one of ES256, ES384, Ed25519"


def test_an_empty_signature_under_alg_none_is_refused():
    header = HEADER | {"alg": "none"}
    refusal(forge_envelope(CLIENT_B.identity.key, header, PAYLOAD, signature=""), CLIENT_B)


def test_an_algorithm_and_a_type_that_are_refused_are_quoted():
    header = HEADER | {"alg": "HS256", "typ": 7}
    problem = refusal(forge_envelope(CLIENT_B.identity.key, header, PAYLOAD), CLIENT_B)
    assert problem.got == "alg HS256, typ no text"


@pytest.mark.parametrize("kind", ["JWT", "", None, "application/apostille+json", 7])
def test_another_type_is_refused(kind):
    problem = refusal(forge_envelope(CLIENT_B.identity.key, HEADER | {"typ": kind}, PAYLOAD), CLIENT_B)
    assert problem.code is ProblemCode.BAD_ALG


KEYS = {
    "ES256": CLIENT_B.identity.key,
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
}


@pytest.mark.parametrize("says", KEYS)
@pytest.mark.parametrize("holds", KEYS)
def test_an_algorithm_goes_with_its_own_kind_of_key_only(says, holds):
    sender = organisation(B, key=KEYS[holds])
    data = forge_envelope(KEYS[holds], header_of(sender, alg=says), PAYLOAD)
    if says == holds:
        assert CLIENT_C.open(data, sender).message == message()
    else:
        assert refusal(data, sender).code is ProblemCode.BAD_MESSAGE_CHECK


def test_a_kind_of_identity_key_that_no_algorithm_fits_is_refused():
    for key in (ec.generate_private_key(ec.SECP521R1()), rsa.generate_private_key(65537, 2048)):
        sender = organisation(B, key=key)
        problem = refusal(forge_envelope(CLIENT_B.identity.key, header_of(sender), PAYLOAD), sender)
        assert (problem.code, problem.field) == (ProblemCode.BAD_ALG, "x5c")
        with pytest.raises(EnvelopeError, match="P-256, P-384 or Ed25519"):
            sender.sealer  # noqa: B018 - making one is what fails


# --- chain and identity


def x5c(*certificates):
    return [base64.b64encode(der(one)).decode() for one in certificates]


LEAF, ISSUING, ROOT = CLIENT_B.chain


@pytest.mark.parametrize(
    "chain",
    [
        None,
        [],
        "text",
        {},
        [1, 2],
        x5c(LEAF),
        x5c(LEAF, ISSUING, ISSUING, ISSUING, ROOT),
        ["\u00e9", "a"],
        ["*", "*"],
        [["a"], "b"],
        [x5c(LEAF)[0][:-2], *x5c(ROOT)],
        [x5c(LEAF)[0][:64] + "\n" + x5c(LEAF)[0][64:], *x5c(ISSUING, ROOT)],
    ],
    ids=[
        "none",
        "empty",
        "text",
        "object",
        "numbers",
        "leaf alone",
        "too long",
        "not ascii",
        "stars",
        "nested",
        "cut",
        "lines",
    ],
)
def test_a_chain_of_another_form_is_refused(chain):
    header = json.dumps(HEADER | {"x5c": chain}).encode()
    with pytest.raises(ProtocolError) as caught:
        CLIENT_C.open(forge_envelope(CLIENT_B.identity.key, header, PAYLOAD), CLIENT_B)
    assert caught.value.problems[0].code is ProblemCode.BAD_DATA_FORMAT


def test_a_chain_without_its_root_is_refused_and_pins_nothing():
    header = header_of(CLIENT_B, x5c=x5c(LEAF, ISSUING))
    problem = refusal(forge_envelope(CLIENT_B.identity.key, header, PAYLOAD))
    assert (problem.code, problem.field) == (ProblemCode.SIGNER_NOT_TRUSTED, "x5c")
    assert problem.got == "a chain that ends with CN=client-b issuing, which is no root"
    assert "the root last" in problem.fix


def test_a_chain_whose_root_does_not_stand_last_is_refused():
    header = header_of(CLIENT_B, x5c=x5c(LEAF, ROOT, ISSUING))
    problem = refusal(forge_envelope(CLIENT_B.identity.key, header, PAYLOAD))
    assert problem.got == "a chain that ends with CN=client-b issuing, which is no root"


def test_a_chain_whose_leaf_does_not_stand_first_is_refused():
    header = header_of(CLIENT_B, x5c=x5c(ISSUING, LEAF, ROOT))
    assert (
        refusal(forge_envelope(CLIENT_B.identity.key, header, PAYLOAD), kind=PathError).field
        == "subject alternative name"
    )


def test_a_chain_with_a_gap_is_refused():
    lower = forge_ca("client-b lower", CLIENT_B.issuing)
    leaf = agent_of(B, lower)
    header = header_of(CLIENT_B, x5c=x5c(leaf.certificate, ISSUING, ROOT))
    problem = refusal(forge_envelope(leaf.key, header, PAYLOAD), CLIENT_B, kind=PathError)
    assert problem.code is ProblemCode.SIGNER_NOT_TRUSTED


@pytest.mark.parametrize(
    "names",
    [
        [],
        [x509.DNSName("client-b.example")],
        [x509.UniformResourceIdentifier("https://client-b/agent")],
        [x509.UniformResourceIdentifier("apostille:client-b/agent/")],
        [x509.UniformResourceIdentifier("apostille:CLIENT-B/agent")],
        [x509.UniformResourceIdentifier("apostille:client-b/agent")] * 2,
    ],
    ids=str,
)
def test_an_identity_without_exactly_its_uri_is_refused(names):
    sender = organisation(B, names=names, common_name="client-b")
    data = forge_envelope(sender.identity.key, header_of(sender), PAYLOAD)
    assert refusal(data, sender, kind=PathError).field == "subject alternative name"


def test_a_channel_certificate_does_not_seal():
    sender = organisation(B, purposes=[CLIENT])
    problem = refusal(sender.seal(C), sender, kind=PathError)
    assert problem.field == "extended key usage"


def test_a_signature_by_another_key_than_the_certificate_s_is_refused():
    problem = refusal(forge_envelope(CLIENT_D.identity.key, HEADER, PAYLOAD), CLIENT_B)
    assert (problem.code, problem.got) == (ProblemCode.BAD_MESSAGE_CHECK, "a signature that does not verify")
    assert problem.allowed == "the signature of the agent whose certificate is in x5c"


def test_a_sender_may_speak_for_itself_only():
    problem = refusal(CLIENT_B.seal(C, sender=D), CLIENT_B)
    assert (problem.code, problem.field, problem.got) == (ProblemCode.SIGNER_NOT_TRUSTED, "sender", "client-d")
    assert problem.allowed == "client-b, whose certificate signed it"


def test_a_message_for_somebody_else_is_refused():
    problem = refusal(CLIENT_B.seal(D), CLIENT_B)
    assert (problem.code, problem.got, problem.allowed) == (ProblemCode.WRONG_AUTHORITY, "client-d", "client-c")


# --- times


@pytest.mark.parametrize("offset", [-CLOCK_SKEW_MAX, timedelta(0), timedelta(hours=1) + CLOCK_SKEW_MAX])
def test_clocks_may_differ_a_little(offset):
    assert CLIENT_C.open(SEALED, CLIENT_B, now=NOW + offset).message == message()


def test_a_message_from_the_future_says_by_how_much():
    problem = refusal(SEALED, CLIENT_B, kind=UntimelyError, now=NOW - timedelta(seconds=420))
    assert (problem.code, problem.field) == (ProblemCode.BAD_TIME, "issued_at")
    assert problem.got.startswith("a message from 420 s in the future (sent 2026-03-01 12:00:00+00:00")
    assert "NTP" in problem.fix


def test_a_message_that_expired_says_how_long_ago():
    problem = refusal(SEALED, CLIENT_B, kind=UntimelyError, now=NOW + timedelta(hours=2))
    assert (problem.code, problem.field) == (ProblemCode.BAD_TIME, "expires_at")
    assert problem.got.startswith("a message that expired 3600 s ago")


def test_an_untimely_message_says_who_sent_it_so_that_it_can_be_answered():
    with pytest.raises(UntimelyError) as caught:
        CLIENT_C.open(SEALED, CLIENT_B, now=NOW - timedelta(hours=1))
    assert caught.value.opened == CLIENT_C.open(SEALED, CLIENT_B)


def test_a_microsecond_beyond_the_allowed_difference_is_too_much():
    refusal(SEALED, CLIENT_B, kind=UntimelyError, now=NOW - CLOCK_SKEW_MAX - MICROSECOND)
    refusal(SEALED, CLIENT_B, kind=UntimelyError, now=NOW + timedelta(hours=1) + CLOCK_SKEW_MAX + MICROSECOND)


def test_a_message_may_live_so_long_and_no_longer():
    assert CLIENT_C.open(CLIENT_B.seal(C, expires_at=NOW + LIFETIME_MAX), CLIENT_B)
    problem = refusal(CLIENT_B.seal(C, expires_at=NOW + LIFETIME_MAX + MICROSECOND), CLIENT_B, kind=UntimelyError)
    assert (problem.code, problem.allowed) == (ProblemCode.BAD_TIME, "at most 30 days, 0:00:00")


@pytest.mark.parametrize("issued", ["0001-01-01T00:00:00Z", "2026-03-01T12:00:00Z", "9999-12-31T23:59:59.999999Z"])
@pytest.mark.parametrize(
    "expires", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-12:00"]
)
def test_absurd_times_are_refused(issued, expires):
    payload = json.loads(PAYLOAD) | {"issued_at": issued, "expires_at": expires}
    with pytest.raises(ProtocolError):
        CLIENT_C.open(forge_envelope(CLIENT_B.identity.key, HEADER, json.dumps(payload).encode()), CLIENT_B)


@pytest.mark.parametrize("moment", ["2026-03-01T12:00:00", 0, "NaN", "2026-02-30T12:00:00Z", None])
def test_a_time_without_a_zone_or_sense_is_refused(moment):
    payload = json.loads(PAYLOAD) | {"issued_at": moment}
    data = forge_envelope(CLIENT_B.identity.key, HEADER, json.dumps(payload).encode())
    assert refusal(data, CLIENT_B, kind=MessageError).field == "issued_at"


def test_an_identity_that_has_expired_is_refused_and_says_when():
    sender = organisation(B, end=NOW - DAY, start=NOW - 2 * DAY)
    problem = refusal(sender.seal(C), sender, kind=PathError)
    assert (problem.code, "2026-02-28" in problem.got) == (ProblemCode.BAD_TIME, True)
