"""No JSON object has a member twice: not in an envelope, its header or its message, not on the channel, not in an
invitation."""

import base64
import hashlib
import json
from datetime import timedelta

import pytest
from kit.certificates import NOW
from kit.envelopes import B, C, forge_envelope, header_of, message, organisation

from protocol.errors import EnvelopeError, InvitationError, MessageError, ProblemCode, problem
from protocol.invitation import Invitation, Secret, decode_invitation, encode_invitation
from protocol.members import refuse_repeated_members
from protocol.messages import (
    ChannelRefusal,
    ChannelStatement,
    Endpoint,
    EnrollmentConfirmation,
    EnrollmentReply,
    EnrollmentRequest,
    InvitationProof,
    Issued,
    PeerView,
    Refused,
    Verified,
    parse_message,
    parse_refusal,
    parse_statement,
)
from protocol.names import Fingerprint, InvitationId, SerialNumber

DIGEST = Fingerprint.of(b"data")
PROOF = InvitationProof(id=InvitationId("0" * 32), proof=bytes(32))
VIEW = PeerView(
    certificate=DIGEST, serial=SerialNumber("1"), subject="CN=b", names=("b",), tls_version="TLSv1.3", cipher="x"
)
ISSUED = Issued(
    certificate=b"c", chain=(), trust_bundle=(b"r",), endpoint=Endpoint(host="localhost", port=1), renew_after=NOW
)
PROBLEMS = (problem(ProblemCode.BAD_POP, "csr", "a", "b", "c"),) * 2
READ = {
    "request": (parse_message, message(body=EnrollmentRequest(csr=b"request", invitation=PROOF, lifetime_seconds=5))),
    "issued": (parse_message, message(body=EnrollmentReply(request_digest=DIGEST, result=ISSUED))),
    "refused": (parse_message, message(body=EnrollmentReply(request_digest=DIGEST, result=Refused(problems=PROBLEMS)))),
    "verified": (
        parse_message,
        message(body=EnrollmentConfirmation(certificate_digest=DIGEST, result=Verified(seen=VIEW))),
    ),
    "statement": (parse_statement, ChannelStatement(organisation=B, sees=VIEW)),
    "refusal": (parse_refusal, ChannelRefusal(problems=PROBLEMS)),
}


def objects(value):
    """Every object in a JSON value, the value itself among them."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(inner)


class Doubled(dict):
    """A JSON object that is written with one of its members again."""

    def __init__(self, members, name, value):
        super().__init__(members)
        self._again = name, value

    def items(self):
        return [*super().items(), self._again]


def doubles(data):
    """The JSON `data` once for each member of each of its objects, with that member written twice, alike."""
    for place, one in enumerate(objects(json.loads(data))):
        for name in one:
            whole = json.loads(data)
            twice = Doubled(*((found := list(objects(whole))[place]), name, found[name]))
            yield name, json.dumps(replaced(whole, found, twice)).encode()


def replaced(value, old, new):
    """A JSON value with one object in it replaced."""
    if value is old:
        return new
    if isinstance(value, dict):
        return {name: replaced(inner, old, new) for name, inner in value.items()}
    return [replaced(inner, old, new) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("kind", READ)
def test_a_member_twice_is_refused_wherever_it_stands(kind):
    parse, value = READ[kind]
    data = value.model_dump_json().encode()
    assert parse(data) == value
    tried = list(doubles(data))
    assert len(tried) >= 6
    for name, twice in tried:
        with pytest.raises(MessageError) as refused:
            parse(twice)
        (found,) = refused.value.problems
        assert (found.code, found.field, found.got) == (ProblemCode.BAD_DATA_FORMAT, name, "the member 2 times")


@pytest.mark.parametrize("first", ['"client-d"', "null", '{"a": 1, "b": [2]}', '"client-b"'])
@pytest.mark.parametrize("name", ['"sender"', '"s\\u0065nder"'])
def test_a_member_twice_is_refused_whatever_the_first_says_and_however_it_is_spelled(first, name):
    data = message().model_dump_json().encode()
    with pytest.raises(MessageError, match="each member once"):
        parse_message(b"{" + f"{name}: {first}, ".encode() + data[1:])


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b"9" * 5000])
def test_what_is_no_json_is_refused_and_nothing_else_happens(data):
    with pytest.raises(MessageError, match="cannot be read here"):
        refuse_repeated_members(data)


@pytest.mark.parametrize("data", [b"{}", b"[]", b"1", b'{"a": {"a": 1}, "b": [{"a": 1}, {"a": 1}]}'])
def test_the_same_name_in_different_objects_is_no_repetition(data):
    refuse_repeated_members(data)


def test_a_signature_does_not_make_a_message_with_a_member_twice_good():
    sender, receiver = organisation(B), organisation(C)
    payload = message().model_dump_json().encode()
    assert receiver.open(forge_envelope(sender.identity.key, header_of(sender), payload), sender).message.sender == B
    for _, twice in doubles(payload):
        with pytest.raises(MessageError, match="each member once"):
            receiver.open(forge_envelope(sender.identity.key, header_of(sender), twice), sender)


def test_a_header_with_a_member_twice_is_refused():
    sender, receiver = organisation(B), organisation(C)
    for _, header in doubles(json.dumps(header_of(sender))):
        with pytest.raises(EnvelopeError, match="with the members"):
            receiver.open(forge_envelope(sender.identity.key, header, message().model_dump_json().encode()), sender)


def test_an_invitation_with_a_member_twice_is_refused():
    broker, until = "amqp://broker.example", NOW + timedelta(days=1)
    text = encode_invitation(Invitation(C, B, DIGEST, InvitationId("0" * 32), Secret(bytes(32)), until, broker))
    prefix, content, _ = text.split(".")
    data = base64.urlsafe_b64decode(content + "=" * (-len(content) % 4))
    for _, twice in doubles(data):
        again = base64.urlsafe_b64encode(twice).decode().rstrip("=")
        with pytest.raises(InvitationError, match="content of another form"):
            decode_invitation(f"{prefix}.{again}.{hashlib.sha256(again.encode()).hexdigest()[:8]}")
