"""The requester's part of an enrollment, as pure decisions: what is asked, does the answer fit, what is recorded."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agents.core.effects import (
    Audit,
    Effect,
    MoveTransaction,
    OpenTransaction,
    PinAnchor,
    RecordCertificate,
    RecordPartner,
    StoreMessage,
    TransactionKey,
    Unit,
)
from agents.core.patterns import canonical
from protocol.certificate import public_key_info, serial_number, subject_names, unknown_names
from protocol.csr import CertificationRequest, SubjectName
from protocol.envelope import digest
from protocol.errors import NameSyntaxError, Problem, ProblemCode, RequestError, problem
from protocol.messages import (
    Delivered,
    Endpoint,
    EnrollmentConfirmation,
    EnrollmentRequest,
    InvitationProof,
    Issued,
    Message,
    Rejected,
    Verified,
)
from protocol.names import Fingerprint, OrganisationName, SerialNumber, TransactionId
from protocol.path import Purpose, load_certificate, verify_path
from protocol.transaction import Event, Role, State, step

CONFIRMATION_LIFETIME = timedelta(days=7)
"""How long a confirmation may wait in the issuer's queue."""

BACKDATE_MAX = timedelta(minutes=10)
"""How far before our own time an issuer may let a certificate begin: this much is not counted as lifetime."""


@dataclass(frozen=True, slots=True)
class Enrollment:
    """What one organisation asks of another. `lifetime` is what the certificate should live; None leaves it to the
    issuer."""

    id: TransactionId
    requester: OrganisationName
    issuer: OrganisationName
    csr: CertificationRequest
    lifetime: timedelta | None
    created_at: datetime
    expires_at: datetime
    key_path: str | None


def request_message(enrollment: Enrollment, proof: InvitationProof | None) -> Message:
    """The enrollment request, not yet sealed."""
    seconds = int(enrollment.lifetime.total_seconds()) if enrollment.lifetime else None
    return Message(
        sender=enrollment.requester,
        recipient=enrollment.issuer,
        transaction=enrollment.id,
        issued_at=enrollment.created_at,
        expires_at=enrollment.expires_at,
        body=EnrollmentRequest(csr=enrollment.csr.der, invitation=proof, lifetime_seconds=seconds),
    )


def unit_for_created(enrollment: Enrollment, proof: InvitationProof | None, sealed: bytes) -> Unit:
    """What is recorded before anything is sent: the transaction, and the exact bytes that will be sent."""
    key = TransactionKey(Role.REQUESTER, enrollment.issuer, enrollment.id)
    at = enrollment.created_at
    opening = OpenTransaction(
        key=key,
        state=State.CREATED,
        request_digest=digest(sealed),
        created_at=at,
        expires_at=enrollment.expires_at,
        names=tuple(str(name) for name in enrollment.csr.names),
        key_path=enrollment.key_path,
        invitation=proof.id if proof else None,
    )
    message = to_send(key, request_message(enrollment, proof), sealed)
    return Unit((opening, message, Audit(at, "created", key.partner, key.id, f"asking {enrollment.issuer}")))


@dataclass(frozen=True, slots=True)
class Accepted:
    """An answer that fits the request: leaf, and the pinned root that it leads to, both DER."""

    certificate: bytes
    anchor: bytes
    serial: SerialNumber
    public_key: Fingerprint
    not_before: datetime
    not_after: datetime
    endpoint: Endpoint


def accept(
    issued: Issued,
    csr: CertificationRequest,
    lifetime: timedelta | None,
    pinned: Collection[Fingerprint],
    now: datetime,
) -> Accepted:
    """Check the certificate that came back: (1) it is for our key, (2) it leads to a root that the invitation pinned,
    with the purpose of a channel client, (3) it holds only names that we asked for, (4) it lives no longer than that.

    Raises `ProtocolError`; the problem is sent back to the issuer.
    """
    leaf = load_certificate(issued.certificate)
    if public_key_info(leaf) != csr.key.spki:
        _reject("certificate", "a certificate for another key", "the key of our request")
    *_, root = _verified_path(issued, pinned, now)
    _check_names(leaf, csr)
    _check_lifetime(leaf, lifetime)
    return Accepted(
        certificate=issued.certificate,
        anchor=root.public_bytes(Encoding.DER),
        serial=serial_number(leaf),
        public_key=csr.key.fingerprint,
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        endpoint=issued.endpoint,
    )


def verified_chain(issued: Issued, pinned: Collection[Fingerprint], at: datetime) -> tuple[bytes, ...]:
    """What is installed above an accepted certificate (DER): its path as it was verified `at` that time, in order,
    without the root, and without whatever else the issuer sent. Raises `ProtocolError`."""
    _, *above, _ = _verified_path(issued, pinned, at)
    return tuple(certificate.public_bytes(Encoding.DER) for certificate in above)


def _verified_path(issued: Issued, pinned: Collection[Fingerprint], at: datetime) -> Sequence[x509.Certificate]:
    leaf, *chain = (load_certificate(der) for der in (issued.certificate, *issued.chain))
    return verify_path(leaf, chain, _pinned_anchors(issued.trust_bundle, pinned), Purpose.CHANNEL_CLIENT, at)


def _pinned_anchors(bundle: Sequence[bytes], pinned: Collection[Fingerprint]) -> list[x509.Certificate]:
    """Of the roots that the issuer calls its own, those whose fingerprint we had before."""
    anchors = [load_certificate(der) for der in bundle if Fingerprint.of(der) in pinned]
    if not anchors:
        got = ", ".join(Fingerprint.of(der) for der in bundle)
        _reject("trust_bundle", got, f"a root that the invitation pinned: {', '.join(sorted(pinned))}")
    return anchors


def _check_names(leaf: x509.Certificate, csr: CertificationRequest) -> None:
    asked = {_as_compared(name) for name in csr.names}
    extra = [str(name) for name in subject_names(leaf) if _as_compared(name) not in asked]
    extra.extend(unknown_names(leaf))
    if extra:
        _reject("certificate", f"the names {', '.join(extra)}", "names that we asked for")


def _as_compared(name: SubjectName) -> str:
    """The canonical form, by which the issuer judged it; another spelling of a URI or a mailbox is another name."""
    try:
        return f"{name.kind}:{canonical(name)}"
    except NameSyntaxError:
        return str(name)


def _check_lifetime(leaf: x509.Certificate, lifetime: timedelta | None) -> None:
    granted = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    if lifetime is not None and granted > lifetime + BACKDATE_MAX:
        _reject("certificate", f"a lifetime of {granted}", f"at most {lifetime}")


def _reject(field: str, got: str, allowed: str) -> NoReturn:
    fix = "Compare the issuer's configuration with the agreement; the requester does not use this certificate."
    raise RequestError(problem(ProblemCode.BAD_CERT_TEMPLATE, field, got, allowed, fix))


def unit_for_issued(
    key: TransactionKey, before: State, accepted: Accepted, us: OrganisationName, reply: StoreMessage
) -> Unit:
    """What an accepted answer records: state, certificate, exact reply, the partner's endpoint and root."""
    at = reply.at
    return Unit(
        (
            MoveTransaction(key, before, step(Role.REQUESTER, before, Event.GRANTED), at, accepted.serial),
            RecordCertificate(
                serial=accepted.serial,
                issuer=key.partner,
                subject=us,
                transaction=key.id,
                certificate=accepted.certificate,
                public_key=accepted.public_key,
                not_before=accepted.not_before,
                not_after=accepted.not_after,
            ),
            reply,
            RecordPartner(key.partner, at, endpoint=accepted.endpoint),
            PinAnchor(key.partner, Role.ISSUER, Fingerprint.of(accepted.anchor), accepted.anchor, at),
            Audit(at, "issued", key.partner, key.id, f"serial {accepted.serial}"),
        )
    )


def to_send(key: TransactionKey, message: Message, sealed: bytes) -> StoreMessage:
    """The exact bytes of a message to an issuer, which leave once they are recorded."""
    return StoreMessage(key, message.body.type, sealed, message.issued_at, outgoing=True, issuer=key.partner)


def unit_for_move(
    key: TransactionKey,
    before: State,
    event: Event,
    now: datetime,
    problems: tuple[Problem, ...] | None = None,
    *extra: Effect,
) -> Unit:
    """One step of the transaction, recorded together with `extra`."""
    after = step(Role.REQUESTER, before, event)
    move = MoveTransaction(key, before, after, now, problems=problems)
    return Unit((move, *extra, Audit(now, after.value, key.partner, key.id, event.value)))


def confirmation_message(
    key: TransactionKey,
    us: OrganisationName,
    certificate: bytes,
    result: Verified | Delivered | Rejected,
    now: datetime,
) -> Message:
    """What became of the certificate, for its issuer."""
    return Message(
        sender=us,
        recipient=key.partner,
        transaction=key.id,
        issued_at=now,
        expires_at=now + CONFIRMATION_LIFETIME,
        body=EnrollmentConfirmation(certificate_digest=Fingerprint.of(certificate), result=result),
    )
