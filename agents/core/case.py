"""A request at the issuer, as it was read: what is asked, who asks, and what the policy says of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from agents.core.effects import TransactionKey
from agents.core.policy import Context, Policy, Refused, Verdict, evaluate
from protocol.csr import CertificationRequest, parse_csr
from protocol.envelope import Opened
from protocol.errors import EnvelopeError, ProblemCode, ProtocolError, RequestError, problem
from protocol.invitation import IssuedInvitation, check_proof
from protocol.messages import PROFILE, EnrollmentRequest
from protocol.names import Fingerprint, OrganisationName
from protocol.transaction import Role, State


@dataclass(frozen=True, slots=True)
class Requester:
    """What we know of an organisation that asks: the roots pinned for it as a requester, and our agreement with it if
    there is one."""

    name: OrganisationName
    anchors: frozenset[Fingerprint]
    policy: Policy | None


@dataclass(frozen=True, slots=True)
class Case:
    """One request on its way to an answer: what was opened, its exact bytes, and the state that it comes from."""

    opened: Opened
    request: EnrollmentRequest
    sealed: bytes
    csr: CertificationRequest | ProtocolError
    """What is asked for, or why that cannot be said."""
    before: State = State.RECEIVED

    @property
    def key(self) -> TransactionKey:
        """The issuer's transaction that it belongs to."""
        return key_of(self.opened)

    @property
    def held(self) -> bool:
        """Whether it waited for a person. Who asked was proven then."""
        return self.before is State.PENDING

    @property
    def first(self) -> bool:
        """Whether its sender is known by an invitation alone, so that it needs a new one if this request fails."""
        return self.opened.introduced and self.request.invitation is not None


def key_of(opened: Opened) -> TransactionKey:
    """The issuer's transaction that a message from a requester belongs to."""
    return TransactionKey(Role.ISSUER, opened.message.sender, opened.message.transaction)


def parse(opened: Opened, sealed: bytes, before: State = State.RECEIVED) -> Case:
    """Read an enrollment request. What its sender wants of a later version comes first, then the CSR, from the cheapest
    check (the size) to proof of possession."""
    request = opened.message.body
    if not isinstance(request, EnrollmentRequest):
        raise TypeError(f"{request.type} is not an enrollment request")
    try:
        _require_known(request)
        return Case(opened, request, sealed, parse_csr(request.csr), before)
    except ProtocolError as error:
        return Case(opened, request, sealed, error.as_value(), before)


def _require_known(request: EnrollmentRequest) -> None:
    """Refuse what can be asked for and is not done: who asks must not believe that it was heeded."""
    found = []
    if request.profile != PROFILE:
        fix = f"Ask for {PROFILE}; compare `agent --version` on both sides."
        found.append(problem(ProblemCode.BAD_CERT_TEMPLATE, "profile", f"'{request.profile}'", PROFILE, fix))
    if request.predecessor is not None:
        got, allowed = f"the serial number {request.predecessor}", "none: every certificate is issued for itself"
        fix = "Enroll again without a predecessor; earlier certificates stay valid until they end."
        found.append(problem(ProblemCode.BAD_REQUEST, "predecessor", got, allowed, fix))
    if found:
        raise RequestError(*found)


def authenticate(case: Case, requester: Requester, invitation: IssuedInvitation | None, now: datetime) -> None:
    """Decide whether the sender is who it says: its root is pinned for it as a requester, or none is and it proves that
    it holds our invitation. What is pinned for its name as an issuer counts neither for nor against it: we know that
    root from an invitation, which anybody can make.

    Raises `ProtocolError` with what the requester's operator should do.
    """
    root, proof, message = Fingerprint.of(case.opened.root), case.request.invitation, case.opened.message
    if requester.anchors and root not in requester.anchors:
        _refuse_other_root(root, requester)
    if proof is not None:
        check_proof(
            proof,
            invitation,
            issuer=message.recipient,
            requester=requester.name,
            root=root,
            transaction=message.transaction,
            now=now,
        )
    elif not requester.anchors:
        _refuse_stranger(requester.name)


def _refuse_other_root(root: Fingerprint, requester: Requester) -> None:
    got = f"an agent identity under the root {root}"
    allowed = f"the root pinned for {requester.name}: {', '.join(sorted(requester.anchors))}"
    fix = (
        "Check AGENT_HOME. If you have never enrolled there, somebody else has, in your name: tell the issuer's "
        "operator at once. If your root was replaced on purpose, no invitation changes that: first have the issuer's "
        f"operator remove the old root (`agent unpin {requester.name} --as requester`), then enroll with a new "
        "invitation."
    )
    raise EnvelopeError(problem(ProblemCode.SIGNER_NOT_TRUSTED, "sender", got, allowed, fix))


def _refuse_stranger(name: OrganisationName) -> None:
    fix = (
        "If a first request of yours is pending, wait until it is granted. Else enroll with an invitation: ask the "
        "issuer's operator for one (`agent invite`)."
    )
    got = f"{name}, for which no root is pinned here"
    raise EnvelopeError(problem(ProblemCode.NOT_AUTHORIZED, "sender", got, "a known partner, or an invitation", fix))


def judge(csr: CertificationRequest, requester: Requester, context: Context) -> Verdict:
    """The verdict on a well-formed request of an authenticated requester. Without an agreement it is a refusal."""
    if requester.policy is None:
        fix = "Ask the issuer's operator to agree on names first (`agent invite`)."
        got = f"a request from {requester.name}"
        return Refused((problem(ProblemCode.NOT_AUTHORIZED, "sender", got, "partners with an agreement", fix),))
    return evaluate(csr, requester.policy, context)
