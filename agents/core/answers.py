"""What an issuer's answer means for a request of ours: does it fit, is its certificate accepted, what is recorded."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agents.core.effects import (
    Audit,
    FillAnchor,
    MoveTransaction,
    RecordCertificate,
    RecordPartner,
    StoreMessage,
    TransactionKey,
    Unit,
)
from agents.core.patterns import canonical
from agents.core.requester import unit_for_move
from protocol.certificate import public_key_info, serial_number, subject_names, unknown_names
from protocol.csr import CertificationRequest, SubjectName
from protocol.errors import NameSyntaxError, Problem, ProblemCode, RequestError, problem
from protocol.messages import Endpoint, EnrollmentAcknowledgement, EnrollmentReply, Issued, Message, Pending, Refused
from protocol.names import Fingerprint, OrganisationName, SerialNumber
from protocol.path import Purpose, load_certificate, verify_path
from protocol.transaction import Event, Role, State, states_before, step

WAITING = states_before(Role.REQUESTER, Event.GRANTED)
"""States in which an answer is awaited."""

BACKDATE_MAX = timedelta(minutes=10)
"""How far before our own time an issuer may let a certificate begin: this much is not counted as lifetime."""

NEVER_ASKED = (
    "an answer to a request that was never made here: does another agent log in at the broker in this name? Each then "
    "takes answers to the other, so stop one of them"
)

SERIAL_TWICE = problem(
    ProblemCode.BAD_CERT_TEMPLATE,
    "certificate",
    "a serial number that another certificate of this issuer has",
    "a new serial number",
    "The issuer must never use a serial number twice (RFC 5280 section 4.1.2.2): mend that, then enroll again.",
)
NOT_JUDGED = problem(
    ProblemCode.SYSTEM_FAILURE,
    "certificate",
    "a certificate that the requester could not judge",
    "a judgement",
    "Nothing is wrong with the certificate: tell the requester's operator, then enroll again.",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A message that came in, as it was opened: what it says, under which root it was signed, its exact bytes."""

    message: Message
    root: bytes
    sealed: bytes

    @property
    def key(self) -> TransactionKey:
        """The transaction of ours that it belongs to, if there is one."""
        return TransactionKey(Role.REQUESTER, self.message.sender, self.message.transaction)

    def kept(self, now: datetime) -> StoreMessage:
        """Its exact bytes, to be recorded with what they mean."""
        issuer = self.message.sender
        return StoreMessage(self.key, self.message.body.type, self.sealed, now, outgoing=False, issuer=issuer)


def why_unusable(
    answer: Answer, issuer: OrganisationName, pinned: Collection[Fingerprint], request_digest: Fingerprint | None
) -> str | None:
    """None for an answer from the issuer that we asked, to the very request that we sent; else what is wrong with it.

    `request_digest` is that of the request on record, None if there is none under the answer's transaction id.
    """
    message, body, root = answer.message, answer.message.body, Fingerprint.of(answer.root)
    if message.sender != issuer:
        return f"a message from {message.sender} in the virtual host of {issuer}"
    if root not in pinned:
        return f"{issuer} signed under the root {root}, but pinned is {', '.join(sorted(pinned)) or 'none'}"
    if not isinstance(body, EnrollmentReply | EnrollmentAcknowledgement):
        return f"a message of type {body.type}, which an issuer does not send"
    if request_digest is None:
        return NEVER_ASKED
    if isinstance(body, EnrollmentReply) and body.request_digest != request_digest:
        return "a reply to another request under the same transaction id"
    return None


def is_awaited(reply: EnrollmentReply, state: State) -> bool:
    """Whether a reply says something new: that a request is held is kept once, however many copies come."""
    return state in WAITING and not (isinstance(reply.result, Pending) and state is State.PENDING)


def is_news(acknowledgement: EnrollmentAcknowledgement, known: EnrollmentAcknowledgement | None) -> bool:
    """Whether it is the first, or withdraws what was acknowledged: two are kept at most, however many come."""
    return known is None or known.state != acknowledgement.state == "lapsed"


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
            FillAnchor(key.partner, Role.ISSUER, accepted.anchor),
            Audit(at, "issued", key.partner, key.id, f"serial {accepted.serial}"),
        )
    )


def unit_for_no_certificate(answer: Answer, before: State, result: Pending | Refused, now: datetime) -> Unit:
    """What a reply records that brings no certificate. Its root has been seen now, and is kept whole."""
    seen = FillAnchor(answer.message.sender, Role.ISSUER, answer.root)
    event, problems = (Event.HELD, None) if isinstance(result, Pending) else (Event.DECLINED, result.problems)
    return unit_for_move(answer.key, before, event, now, problems, answer.kept(now), seen)


def unit_for_unacceptable(
    answer: Answer, before: State, problems: tuple[Problem, ...], confirmation: StoreMessage, now: datetime
) -> Unit:
    """What a certificate records that we do not accept: the end of the transaction, and the `confirmation` by which its
    issuer is told why."""
    granted = unit_for_move(answer.key, before, Event.GRANTED, now, None, answer.kept(now))
    failed = unit_for_move(answer.key, State.ISSUED, Event.UNUSABLE, now, problems, confirmation)
    return Unit(granted.effects + failed.effects)
