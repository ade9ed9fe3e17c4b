"""The messages of protocol version 1, as frozen models, and the one function that parses them.

Binary values (certificates, requests) travel as base64url text. Unknown fields, types and versions are refused.
What surrounds a message and proves who sent it is the envelope's business (`protocol.envelope`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from protocol.errors import PRINTABLE, MessageError, Problem, ProblemCode, ProtocolError, problem
from protocol.members import refuse_repeated_members
from protocol.names import DnsName, Fingerprint, InvitationId, OrganisationName, SerialNumber, TransactionId

VERSION: Final = 1

CSR_MAX = 65_536
"""Largest certification request that fits the protocol, in bytes of DER; a policy may allow less."""

CERTIFICATE_MAX = 16_384
"""Largest certificate in a message, in bytes of DER."""

CHAIN_MAX = 4
"""Most certificates in a chain or trust bundle: bounds the work of path validation."""

PROBLEMS_MAX = 32
"""Most problems in one refusal; an issuer that finds more says so in the last one."""

SHOWN_TEXT_MAX = 1024
"""Longest text for people (a reason, what one end of a channel saw), in characters."""

SHOWN_NAMES_MAX = 100
"""Most names of a certificate that one end of a channel says it saw."""

NOTES_MAX, NOTE_MAX = 16, 200
"""Most notes with a certificate, and the characters of each; an issuer that has more says so in the last one."""

PROFILE: Final = "channel-client"
"""The one profile of this version: a certificate for the requester's end of a channel."""

LIFETIME_SECONDS_MAX = 2**31
"""Longest lifetime that can be asked for, in seconds: 68 years."""


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time in the years 1 to 9999 of UTC") from None


Instant = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Csr = Annotated[bytes, Field(min_length=1, max_length=CSR_MAX)]
Certificate = Annotated[bytes, Field(min_length=1, max_length=CERTIFICATE_MAX)]
Chain = Annotated[tuple[Certificate, ...], Field(max_length=CHAIN_MAX)]
Problems = Annotated[tuple[Problem, ...], Field(min_length=1, max_length=PROBLEMS_MAX)]
Notes = Annotated[
    tuple[Annotated[str, Field(max_length=NOTE_MAX, pattern=PRINTABLE)], ...], Field(max_length=NOTES_MAX)
]
ShownText = Annotated[str, Field(max_length=SHOWN_TEXT_MAX, pattern=PRINTABLE)]


class Model(BaseModel):
    """Frozen, strict, and closed: a field that is not named here is an error."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        ser_json_bytes="base64",
        val_json_bytes="base64",
        hide_input_in_errors=True,
    )


class Endpoint(Model):
    """Where a channel is reached: a host name that the server certificate carries (RFC 9525), and a TCP port."""

    host: DnsName
    port: Annotated[int, Field(ge=1, le=65535)]

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class InvitationProof(Model):
    """Which invitation, and the HMAC that only its holder can make (`protocol.invitation`)."""

    id: InvitationId
    proof: Annotated[bytes, Field(min_length=32, max_length=32)]


class EnrollmentRequest(Model):
    """Requester to issuer: please certify the key of this PKCS#10 request (RFC 2986). An issuer of this version refuses
    any profile but `channel-client`, and any predecessor."""

    type: Literal["enrollment.request"] = "enrollment.request"
    csr: Csr
    profile: Annotated[str, Field(max_length=64, pattern=PRINTABLE)] = PROFILE
    invitation: InvitationProof | None = None
    predecessor: SerialNumber | None = None
    lifetime_seconds: Annotated[int, Field(ge=1, le=LIFETIME_SECONDS_MAX)] | None = None


class Issued(Model):
    """The certificate; the chain above it without the root, in order; the issuer's trust anchors; the channel; and what
    was asked for and is not in the certificate, in words."""

    outcome: Literal["issued"] = "issued"
    certificate: Certificate
    chain: Chain
    trust_bundle: Annotated[Chain, Field(min_length=1)]
    endpoint: Endpoint
    renew_after: Instant
    notes: Notes = ()


class Pending(Model):
    """A person at the issuer must approve; the outcome will be sent without being asked for."""

    outcome: Literal["pending"] = "pending"
    reason: ShownText


class Refused(Model):
    """Every reason why not."""

    outcome: Literal["refused"] = "refused"
    problems: Problems


class EnrollmentReply(Model):
    """Issuer to requester: the answer to the request whose signing input (RFC 7515 section 5.1) has this digest."""

    type: Literal["enrollment.reply"] = "enrollment.reply"
    request_digest: Fingerprint
    result: Annotated[Issued | Pending | Refused, Field(discriminator="outcome")]


class PeerView(Model):
    """What one end of a channel saw of the other: its certificate (SHA-256 of the DER) and the TLS connection."""

    certificate: Fingerprint
    serial: SerialNumber
    subject: ShownText
    names: Annotated[tuple[ShownText, ...], Field(max_length=SHOWN_NAMES_MAX)]
    tls_version: ShownText
    cipher: ShownText


class Verified(Model):
    """The channel was opened with the new certificate, and this is what was seen of the issuer on it."""

    outcome: Literal["verified"] = "verified"
    seen: PeerView


class Delivered(Model):
    """The certificate is accepted; its key is kept where the agent cannot use it, so the channel was not tried."""

    outcome: Literal["delivered"] = "delivered"


class Rejected(Model):
    """The certificate will not be used, and why."""

    outcome: Literal["rejected"] = "rejected"
    problem: Problem


class EnrollmentConfirmation(Model):
    """Requester to issuer: what became of the certificate with this digest."""

    type: Literal["enrollment.confirmation"] = "enrollment.confirmation"
    certificate_digest: Fingerprint
    result: Annotated[Verified | Delivered | Rejected, Field(discriminator="outcome")]


class EnrollmentAcknowledgement(Model):
    """Issuer to requester: the state that the issuer recorded for the certificate with this digest."""

    type: Literal["enrollment.acknowledgement"] = "enrollment.acknowledgement"
    certificate_digest: Fingerprint
    state: Literal["confirmed", "delivered", "lapsed"]


Body = Annotated[
    EnrollmentRequest | EnrollmentReply | EnrollmentConfirmation | EnrollmentAcknowledgement,
    Field(discriminator="type"),
]


class Message(Model):
    """What an envelope carries: who tells whom what, in which transaction, and how long it is worth reading."""

    version: Literal[1] = VERSION
    sender: OrganisationName
    recipient: OrganisationName
    transaction: TransactionId
    issued_at: Instant
    expires_at: Instant
    body: Body


class ChannelStatement(Model):
    """What each end says on the channel itself: who I am, and whom I see."""

    type: Literal["channel.statement"] = "channel.statement"
    organisation: OrganisationName
    sees: PeerView


class ChannelRefusal(Model):
    """What the listening end says on the channel instead of its statement: every reason why not."""

    type: Literal["channel.refusal"] = "channel.refusal"
    problems: Problems


M = TypeVar("M", bound=Model)


_SAME_VERSION = "Both agents must speak the same protocol version; compare `agent --version` on both sides."


def parse_message(data: bytes) -> Message:
    """Parse the payload of a verified envelope. Raises `MessageError` with one problem per offending field."""
    return _parse(Message, data)


def parse_statement(data: bytes) -> ChannelStatement:
    """Parse what the other end of a channel says. Raises `MessageError`."""
    return _parse(ChannelStatement, data)


def parse_refusal(data: bytes) -> ChannelRefusal:
    """Parse why the other end of a channel refuses us. Raises `MessageError`."""
    return _parse(ChannelRefusal, data)


def _parse(model: type[M], data: bytes) -> M:
    try:
        message = model.model_validate_json(data)
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise MessageError(*map(_problem_of, found[:PROBLEMS_MAX])) from None
    refuse_repeated_members(data)
    # Both have a default for whoever makes a message; in one that was received they must be said.
    for tag in ("version", "type"):
        if tag in model.model_fields and tag not in message.model_fields_set:
            raise MessageError(
                problem(ProblemCode.UNSUPPORTED_VERSION, tag, "nothing", "Field required", _SAME_VERSION)
            )
    return message


def _problem_of(error: ErrorDetails) -> Problem:
    field = ".".join(map(str, error["loc"])) or "message"
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, ProtocolError):
        return cause.problems[0].model_copy(update={"field": field})
    code = ProblemCode.UNSUPPORTED_VERSION if field == "version" else ProblemCode.BAD_DATA_FORMAT
    allowed = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return problem(code, field, _got(error), allowed, _SAME_VERSION)


def _got(error: ErrorDetails) -> str:
    """What was received in the place of the error, shortly."""
    match error["type"], error["input"]:
        case "missing", _:
            return "nothing"
        case "json_invalid", _:
            return "text that cannot be read as JSON"
        case _, None:
            return "null"
        case _, dict():
            return "an object"
        case _, list():
            return "a list"
        case _:
            return f"'{error['input']}'"
