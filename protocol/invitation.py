"""Invitations: what one operator hands the other, once, out of band; and the proof that comes back with a request.

An invitation pins the issuer's root for the requester; the proof pins the requester's root for the issuer. Nothing
else is ever shared in secret. Whether an invitation is used up is the ledger's to say.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, NoReturn

from pydantic import Field

from protocol.broker import BrokerAddress
from protocol.errors import InvitationError, ProblemCode, problem
from protocol.members import refuse_repeated_members
from protocol.messages import Instant, InvitationProof, Model
from protocol.names import Fingerprint, InvitationId, OrganisationName, TransactionId

PREFIX = "apostille1"
"""First part of an invitation's text: what it is, and the version of its form."""

TEXT_MAX = 4096
"""Longest invitation text in characters."""

SECRET_BYTES = 32

CHECKSUM_DIGITS = 8
"""Hexadecimal digits at the end of an invitation's text: against copying errors, not against people."""

_PROOF_CONTEXT = b"apostille invitation proof 1"
_NEW_ONE = "Ask the issuer's operator for a new invitation (`agent invite`)."


class Secret:
    """Bytes that cannot be printed, logged, copied into JSON or pickled by accident; `reveal` is the only way out."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """The bytes. The caller keeps them out of logs and messages."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(...)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not serialised")


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the requester's operator receives. `root` is the SHA-256 of the issuer's root certificate (DER)."""

    issuer: OrganisationName
    requester: OrganisationName
    root: Fingerprint
    id: InvitationId
    secret: Secret
    expires_at: datetime
    broker: BrokerAddress


class _Wire(Model):
    issuer: OrganisationName
    requester: OrganisationName
    root: Fingerprint
    id: InvitationId
    secret: Annotated[bytes, Field(min_length=SECRET_BYTES, max_length=SECRET_BYTES)]
    expires_at: Instant
    broker: BrokerAddress


def encode_invitation(invitation: Invitation) -> str:
    """The invitation as one line of text: prefix, content in base64url, and a checksum against copying errors."""
    wire = _Wire(
        issuer=invitation.issuer,
        requester=invitation.requester,
        root=invitation.root,
        id=invitation.id,
        secret=invitation.secret.reveal(),
        expires_at=invitation.expires_at,
        broker=invitation.broker,
    )
    content = base64.urlsafe_b64encode(wire.model_dump_json().encode()).decode().rstrip("=")
    return f"{PREFIX}.{content}.{_checksum(content)}"


def decode_invitation(text: str) -> Invitation:
    """Read an invitation; white space, as mail programs insert it, is ignored.

    Raises `InvitationError` for anything that is not a complete invitation of this version. The error never quotes the
    text, which holds the secret.
    """
    if len(text) > TEXT_MAX:
        _malformed(f"{len(text)} characters", f"at most {TEXT_MAX}")
    if not text.isascii():
        _malformed("characters beyond ASCII", "the letters, digits, '.', '-' and '_' that `agent invite` printed")
    return _parse(_checked(re.sub(r"\s+", "", text)))


def _checked(text: str) -> str:
    """The content of an invitation whose checksum is right."""
    beginning = f"{PREFIX}."
    content, _, checksum = text.removeprefix(beginning).partition(".")
    if not text:
        _malformed("nothing", "the text that `agent invite` printed")
    if not text.startswith(beginning) and not beginning.startswith(text):
        _malformed("some other text", f"the text that `agent invite` printed, beginning with '{PREFIX}.'")
    if not text.startswith(beginning) or len(checksum) < CHECKSUM_DIGITS:
        _malformed("an invitation that is cut off: its end is missing", "the whole text")
    if not hmac.compare_digest(checksum.encode(), _checksum(content).encode()):
        _malformed("an invitation that was changed: its checksum is wrong", "the whole text, unchanged")
    return content


def _parse(content: str) -> Invitation:
    try:
        padded = content + "=" * (-len(content) % 4)
        data = base64.b64decode(padded, altchars=b"-_", validate=True)
        wire = _Wire.model_validate_json(data)
        refuse_repeated_members(data)
    except ValueError:  # base64's, pydantic's and ours all are
        _malformed("content of another form", "an invitation of this version")
    return Invitation(
        wire.issuer, wire.requester, wire.root, wire.id, Secret(wire.secret), wire.expires_at, wire.broker
    )


def _malformed(got: str, allowed: str) -> NoReturn:
    fix = "Copy the invitation again, completely. " + _NEW_ONE
    raise InvitationError(problem(ProblemCode.BAD_DATA_FORMAT, "invitation", got, allowed, fix)) from None


def _checksum(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:CHECKSUM_DIGITS]


def prove(invitation: Invitation, root: Fingerprint, transaction: TransactionId) -> InvitationProof:
    """The proof that the holder of the invitation vouches for the requester's `root` in this one transaction."""
    mac = _proof(invitation.secret.reveal(), invitation.issuer, invitation.requester, invitation.id, root, transaction)
    return InvitationProof(id=invitation.id, proof=mac)


@dataclass(frozen=True, slots=True)
class IssuedInvitation:
    """The issuer's record of an invitation, as far as judging a proof needs it."""

    id: InvitationId
    requester: OrganisationName
    secret: Secret
    expires_at: datetime
    consumed_by: TransactionId | None
    withdrawn_at: datetime | None


def check_proof(  # noqa: PLR0913 - everything that the proof binds together
    proof: InvitationProof,
    record: IssuedInvitation | None,
    *,
    issuer: OrganisationName,
    requester: OrganisationName,
    root: Fingerprint,
    transaction: TransactionId,
    now: datetime,
) -> None:
    """Check that whoever presents `root` as `requester`'s holds our invitation, and that it can still be used.

    Raises `InvitationError`. The secret is checked first, so that only its holder learns why an invitation is no good.
    """
    secret = record.secret.reveal() if record else bytes(SECRET_BYTES)
    expected = _proof(secret, issuer, requester, proof.id, root, transaction)
    if not hmac.compare_digest(expected, proof.proof) or record is None or record.requester != requester:
        fix = f"It may be another issuer's, or made for another organisation. {_NEW_ONE}"
        _unusable(
            ProblemCode.BAD_MESSAGE_CHECK, "a proof that does not fit", "the proof of an invitation made here", fix
        )
    if record.consumed_by not in (None, transaction):
        got = f"an invitation already used by transaction {record.consumed_by}"
        _unusable(ProblemCode.NOT_AUTHORIZED, got, "an invitation is used once", _NEW_ONE)
    if record.withdrawn_at is not None:
        got = f"an invitation that its issuer withdrew at {_shown(record.withdrawn_at)}, when it made a newer one"
        fix = f"Use the newest invitation for {requester}. If you have no newer one: {_NEW_ONE}"
        _unusable(ProblemCode.NOT_AUTHORIZED, got, "an invitation that was not withdrawn", fix)
    if record.consumed_by is None and now >= record.expires_at:
        got = f"an invitation that expired at {_shown(record.expires_at)}; it is {_shown(now)} here"
        _unusable(ProblemCode.BAD_TIME, got, "an invitation that has not expired", _NEW_ONE)


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _unusable(code: ProblemCode, got: str, allowed: str, fix: str) -> NoReturn:
    raise InvitationError(problem(code, "invitation", got, allowed, fix))


def _proof(
    secret: bytes,
    issuer: OrganisationName,
    requester: OrganisationName,
    id: InvitationId,
    root: Fingerprint,
    transaction: TransactionId,
) -> bytes:
    """HMAC-SHA-256 (RFC 2104) over the parts, each with its length: no two lists of parts give the same bytes."""
    mac = hmac.new(secret, digestmod=hashlib.sha256)
    for part in (_PROOF_CONTEXT, issuer.encode(), requester.encode(), id.encode(), root.encode(), transaction.encode()):
        mac.update(len(part).to_bytes(4) + part)
    return mac.digest()
