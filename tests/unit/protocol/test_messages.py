import base64
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from protocol.errors import MessageError, ProblemCode, problem
from protocol.messages import (
    CHAIN_MAX,
    CSR_MAX,
    NOTE_MAX,
    NOTES_MAX,
    PROBLEMS_MAX,
    ChannelRefusal,
    ChannelStatement,
    Delivered,
    Endpoint,
    EnrollmentAcknowledgement,
    EnrollmentConfirmation,
    EnrollmentReply,
    EnrollmentRequest,
    InvitationProof,
    Issued,
    Message,
    PeerView,
    Pending,
    Refused,
    Rejected,
    Verified,
    parse_message,
    parse_refusal,
    parse_statement,
)
from protocol.names import DnsName, Fingerprint, InvitationId, OrganisationName, SerialNumber, TransactionId

NOW = datetime(2026, 1, 1, tzinfo=UTC)
B, C = OrganisationName("client-b"), OrganisationName("client-c")
DIGEST = Fingerprint.of(b"")
PROBLEM = problem(ProblemCode.BAD_POP, "signature", "nothing", "a signature", "Sign it.")
SEEN = PeerView(
    certificate=DIGEST, serial=SerialNumber("1f"), subject="CN=x", names=("DNS:x",), tls_version="TLSv1.3", cipher="AES"
)
ISSUED = Issued(
    certificate=b"leaf",
    chain=(b"intermediate",),
    trust_bundle=(b"root",),
    endpoint=Endpoint(host=DnsName("channel.client-c.example"), port=8443),
    renew_after=NOW,
)
BODIES = [
    EnrollmentRequest(csr=b"csr"),
    EnrollmentRequest(
        csr=b"\xff" * 100,
        invitation=InvitationProof(id=InvitationId("0" * 32), proof=bytes(32)),
        predecessor=SerialNumber("1"),
        lifetime_seconds=3600,
    ),
    EnrollmentReply(request_digest=DIGEST, result=ISSUED),
    EnrollmentReply(request_digest=DIGEST, result=Pending(reason="a person decides")),
    EnrollmentReply(request_digest=DIGEST, result=Refused(problems=(PROBLEM,))),
    EnrollmentConfirmation(certificate_digest=DIGEST, result=Verified(seen=SEEN)),
    EnrollmentConfirmation(certificate_digest=DIGEST, result=Delivered()),
    EnrollmentConfirmation(certificate_digest=DIGEST, result=Rejected(problem=PROBLEM)),
    EnrollmentAcknowledgement(certificate_digest=DIGEST, state="confirmed"),
    EnrollmentReply(request_digest=DIGEST, result=ISSUED.model_copy(update={"notes": ("lifetime: cut",) * NOTES_MAX})),
]


def message(body=BODIES[0]):
    return Message(
        sender=B,
        recipient=C,
        transaction=TransactionId("01890a5d-ac96-774b-bcce-b302099a8057"),
        issued_at=NOW,
        expires_at=NOW + timedelta(days=1),
        body=body,
    )


def problems_of(data, parse=parse_message):
    with pytest.raises(MessageError) as caught:
        parse(data if isinstance(data, bytes) else json.dumps(data).encode())
    return caught.value.problems


def changed(*path, value=..., body=BODIES[0]):
    """The message as a dictionary, with the value at `path` replaced, or removed when none is given."""
    content = json.loads(message(body).model_dump_json())
    *way, last = path
    place = content
    for step in way:
        place = place[step]
    place.pop(last, None)
    if value is not ...:
        place[last] = value
    return content


@pytest.mark.parametrize("body", BODIES)
def test_every_message_survives_its_way_to_the_partner(body):
    sent = message(body)
    assert parse_message(sent.model_dump_json().encode()) == sent


def test_binary_values_travel_as_base64url():
    content = json.loads(message(BODIES[1]).model_dump_json())
    assert base64.urlsafe_b64decode(content["body"]["csr"]) == b"\xff" * 100
    assert set(content["body"]["csr"]) & set("+/") == set()


def outcome(parse, data):
    """The value or the one error that a parser may raise, which then carries problems."""
    try:
        return parse(data)
    except MessageError as error:
        return error.problems


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_message_error(data):
    for parse in (parse_message, parse_statement, parse_refusal):
        assert outcome(parse, data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
PLACES = [
    ("surplus",),
    *((name,) for name in Message.model_fields),
    *(("body", name) for name in EnrollmentReply.model_fields),
    *(("body", "result", name) for name in Issued.model_fields),
    ("body", "result", "endpoint", "host"),
]


@given(st.sampled_from(PLACES), JSON)
def test_any_value_in_any_place_is_accepted_or_a_message_error(place, value):
    data = json.dumps(changed(*place, value=value, body=BODIES[2])).encode()
    match outcome(parse_message, data):
        case Message():
            pass
        case problems:
            assert 1 <= len(problems) <= PROBLEMS_MAX


def test_a_missing_field_is_named_and_was_got_as_nothing():
    (found,) = problems_of(changed("sender"))
    assert (found.code, found.field, found.got) == (ProblemCode.BAD_DATA_FORMAT, "sender", "nothing")


def test_a_name_that_is_refused_is_explained_in_the_names_own_words():
    (found,) = problems_of(changed("sender", value="Client B"))
    assert (found.field, found.got) == ("sender", "'Client B'")
    assert found.allowed == OrganisationName.wanted
    assert "organisation name" in found.fix


def test_another_version_is_called_unsupported():
    (found,) = problems_of(changed("version", value=2))
    assert (found.code, found.got, found.allowed) == (ProblemCode.UNSUPPORTED_VERSION, "'2'", "1")
    assert "agent --version" in found.fix


def test_a_message_that_does_not_say_its_version_or_type_is_refused():
    (found,) = problems_of(changed("version"))
    assert (found.code, found.field) == (ProblemCode.UNSUPPORTED_VERSION, "version")
    statement = json.loads(ChannelStatement(organisation=B, sees=SEEN).model_dump_json())
    del statement["type"]
    assert problems_of(statement, parse_statement)[0].field == "type"


@pytest.mark.parametrize(
    ("value", "got"), [(None, "null"), ({}, "an object"), ([], "a list"), (True, "'True'"), ("\x1b", r"'\x1b'")]
)
def test_what_was_got_is_told_shortly_and_safely(value, got):
    assert problems_of(changed("issued_at", value=value))[0].got == got


@pytest.mark.parametrize("data", [b"", b"\xff", b"{", b"{}{}", b"[" * 100_000, b'{"version": 1' + b"0" * 5000 + b"}"])
def test_what_is_not_json_is_called_so(data):
    (found,) = problems_of(data)
    assert (found.field, found.got) == ("message", "text that cannot be read as JSON")


@pytest.mark.parametrize(
    ("path", "value", "body"),
    [
        (("surplus",), 1, BODIES[0]),
        (("body", "surplus"), 1, BODIES[0]),
        (("body", "type"), "enrollment.cancellation", BODIES[0]),
        (("body", "type"), ..., BODIES[0]),
        (("body", "csr"), "", BODIES[0]),
        (("body", "csr"), "not base64!", BODIES[0]),
        (("body", "csr"), base64.urlsafe_b64encode(bytes(CSR_MAX + 1)).decode(), BODIES[0]),
        (("body", "profile"), "p" * 65, BODIES[0]),
        (("body", "lifetime_seconds"), 0, BODIES[0]),
        (("body", "lifetime_seconds"), "3600", BODIES[0]),
        (("body", "invitation", "proof"), "AAAA", BODIES[1]),
        (("body", "result", "chain"), ["AAAA"] * (CHAIN_MAX + 1), BODIES[2]),
        (("body", "result", "trust_bundle"), [], BODIES[2]),
        (("body", "result", "endpoint", "port"), 65536, BODIES[2]),
        (("body", "result", "endpoint", "host"), "*.example", BODIES[2]),
        (("body", "result", "outcome"), "verified", BODIES[2]),
        (("body", "result", "problems"), [], BODIES[4]),
        (("body", "result", "problems", 0), {"code": "badLuck"}, BODIES[4]),
        (("body", "state"), "issued", BODIES[8]),
        (("issued_at",), 1767225600, BODIES[0]),
        (("issued_at",), "2026-01-01T00:00:00", BODIES[0]),
        (("transaction",), "1", BODIES[0]),
    ],
)
def test_what_the_protocol_does_not_name_is_refused(path, value, body):
    if isinstance(path[-1], int):
        content = changed(*path[:-1], value=[value], body=body)
    else:
        content = changed(*path, value=value, body=body)
    assert all(found.field.startswith(str(path[0])) for found in problems_of(content))


def octets(count):
    return base64.urlsafe_b64encode(bytes(count)).decode()


X, FAULT = octets(1), PROBLEM.model_dump(mode="json")


@pytest.mark.parametrize(
    ("path", "body", "accepted", "refused"),
    [
        (("body", "csr"), BODIES[0], [octets(1), octets(65_536)], [octets(0), octets(65_537)]),
        (("body", "lifetime_seconds"), BODIES[0], [1, 2**31], [0, 2**31 + 1]),
        (("body", "invitation", "proof"), BODIES[1], [octets(32)], [octets(31), octets(33)]),
        (("body", "result", "certificate"), BODIES[2], [octets(1), octets(16_384)], [octets(0), octets(16_385)]),
        (("body", "result", "chain"), BODIES[2], [[], [X] * 4, [octets(16_384)]], [[X] * 5, [""], [octets(16_385)]]),
        (("body", "result", "trust_bundle"), BODIES[2], [[X], [X] * 4], [[], [X] * 5]),
        (("body", "result", "endpoint", "port"), BODIES[2], [1, 65_535], [0, 65_536]),
        (("body", "result", "reason"), BODIES[3], ["x" * 1024], ["x" * 1025]),
        (("body", "result", "problems"), BODIES[4], [[FAULT], [FAULT] * 32], [[], [FAULT] * 33]),
        (("body", "result", "seen", "names"), BODIES[5], [[], ["x"] * 100], [["x"] * 101, ["x" * 1025]]),
        *(
            (("body", "result", "seen", field), BODIES[5], ["x" * 1024], ["x" * 1025])
            for field in ("subject", "tls_version", "cipher")
        ),
        *(
            (("body", "result", "problem", field), BODIES[7], ["x" * 512], ["x" * 513])
            for field in ("field", "got", "allowed", "fix")
        ),
    ],
)
def test_every_size_has_limits_that_are_within(path, body, accepted, refused):
    for value in accepted:
        assert parse_message(json.dumps(changed(*path, value=value, body=body)).encode())
    for value in refused:
        (found,) = problems_of(changed(*path, value=value, body=body))
        assert found.field.startswith("body")


def test_only_so_many_problems_are_told():
    assert len(problems_of({str(number): number for number in range(1000)})) == PROBLEMS_MAX


def test_a_time_is_understood_in_any_zone_and_kept_in_utc():
    parsed = parse_message(json.dumps(changed("issued_at", value="2026-01-01T02:00:00+02:00")).encode())
    assert parsed.issued_at == NOW
    assert parsed.issued_at.tzinfo is UTC


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_time_that_does_not_exist_in_utc_is_refused(time):
    (found,) = problems_of(changed("issued_at", value=time))
    assert found.allowed == "a time in the years 1 to 9999 of UTC"


def test_a_time_without_zone_cannot_even_be_sent():
    with pytest.raises(ValidationError):
        message().model_validate({**dict(message()), "issued_at": NOW.replace(tzinfo=None)})
    assert message().issued_at.astimezone(timezone(timedelta(hours=1))) == NOW


def test_a_statement_and_a_refusal_survive_the_channel():
    statement = ChannelStatement(organisation=B, sees=SEEN)
    refusal = ChannelRefusal(problems=(PROBLEM,))
    assert parse_statement(statement.model_dump_json().encode()) == statement
    assert parse_refusal(refusal.model_dump_json().encode()) == refusal


def test_one_kind_of_message_is_never_taken_for_another():
    statement = ChannelStatement(organisation=B, sees=SEEN).model_dump_json().encode()
    assert problems_of(statement)
    assert problems_of(statement, parse_refusal)
    assert problems_of(message().model_dump_json().encode(), parse_statement)


def test_what_a_model_refuses_is_not_shown():
    with pytest.raises(ValidationError) as caught:
        InvitationProof(id=InvitationId("0" * 32), proof=b"canary")
    assert "canary" not in str(caught.value)


def test_an_endpoint_reads_as_host_and_port():
    assert str(ISSUED.endpoint) == "channel.client-c.example:8443"


@pytest.mark.parametrize("text", ["two\nlines", "\x1b[2J", "\u202e", "\x7f", "caf\xe9", "ends in a line break\n"])
@pytest.mark.parametrize(
    "body",
    [
        EnrollmentReply(request_digest=DIGEST, result=Pending(reason="TEXT")),
        EnrollmentReply(request_digest=DIGEST, result=Refused(problems=(PROBLEM.model_copy(update={"fix": "TEXT"}),))),
        EnrollmentConfirmation(
            certificate_digest=DIGEST, result=Verified(seen=SEEN.model_copy(update={"cipher": "TEXT"}))
        ),
    ],
)
def test_text_that_people_read_is_one_line_of_printable_ascii(body, text):
    sent = message(body).model_dump_json()
    assert parse_message(sent.encode())
    with pytest.raises(MessageError):
        parse_message(sent.replace("TEXT", json.dumps(text)[1:-1]).encode())


@pytest.mark.parametrize(
    "notes", [["x"] * (NOTES_MAX + 1), ["x" * (NOTE_MAX + 1)], ["\x1b[2J"], ["two\nlines"], "x", [1], None]
)
def test_notes_are_few_and_short_and_can_be_shown_as_they_are(notes):
    data = changed("body", "result", "notes", value=notes, body=EnrollmentReply(request_digest=DIGEST, result=ISSUED))
    assert all(problem.field.startswith("body.enrollment.reply.result.issued.notes") for problem in problems_of(data))


def test_notes_may_be_left_out():
    data = changed("body", "result", "notes", body=EnrollmentReply(request_digest=DIGEST, result=ISSUED))
    assert parse_message(json.dumps(data).encode()).body.result.notes == ()
