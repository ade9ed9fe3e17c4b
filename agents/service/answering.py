"""Answers requests one by one: authenticate, judge, sign, seal. Nothing is recorded or sent here: see `issuing`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from agents.core.effects import Audit, Effect, Unit
from agents.core.issuer import (
    Case,
    Requester,
    authenticate,
    judge,
    key_of,
    refused,
    renew_after,
    reply_to,
    unit_for_issued,
    unit_for_pending,
    unit_for_refused,
)
from agents.core.policy import Approved, Context, Held, Policy, Refused
from agents.errors import ConfigurationError
from agents.ports import CertificateSigner, Clock, Entropy, InvitationRecord, Log
from agents.service.partners import Partners
from agents.service.stages import Staged, at_once
from protocol.csr import CertificationRequest, parse_csr
from protocol.envelope import Opened, Sealer
from protocol.errors import Problem, ProblemCode, ProtocolError, problem
from protocol.invitation import IssuedInvitation, Secret
from protocol.messages import Endpoint, EnrollmentRequest, Issued, Pending
from protocol.messages import Refused as RefusedReply
from protocol.names import Fingerprint, InvitationId, OrganisationName
from protocol.path import load_certificate
from protocol.transaction import State

PolicyOf = Callable[[OrganisationName], Policy | None]
"""The agreement with a partner, None without one. Raises `ConfigurationError` where its file cannot be used."""

KeyHolders = dict[Fingerprint, frozenset[OrganisationName]]
"""Which organisations hold certificates for a public key."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A request whose CSR has been looked at: its facts, or why there are none."""

    opened: Opened
    sealed: bytes
    csr: CertificationRequest | ProtocolError


@dataclass(frozen=True, slots=True)
class Answer:
    """What to record and what to send."""

    unit: Unit
    sealed: bytes


def parse(opened: Opened, sealed: bytes) -> Parsed:
    """Look at the CSR of an enrollment request. The cheapest check (its size) comes first, proof of possession last."""
    body = opened.message.body
    if not isinstance(body, EnrollmentRequest):
        raise TypeError(f"{body.type} is not an enrollment request")
    try:
        return Parsed(opened, sealed, parse_csr(body.csr))
    except ProtocolError as error:
        return Parsed(opened, sealed, error)


class Answering:
    """One issuer's answers. Used by one thread."""

    def __init__(  # noqa: PLR0913 - what an issuer is made of
        self,
        us: OrganisationName,
        endpoint: Endpoint,
        signer: CertificateSigner,
        sealer: Sealer,
        partners: Partners,
        policy_of: PolicyOf,
        clock: Clock,
        entropy: Entropy,
        log: Log,
    ) -> None:
        self._us, self._endpoint = us, endpoint
        self._signer, self._sealer = signer, sealer
        self._partners, self._policy_of = partners, policy_of
        self._clock, self._entropy, self._log = clock, entropy, log
        self._issuer_not_after = load_certificate(signer.certificate()).not_valid_after_utc

    def answer(
        self,
        parsed: Parsed,
        invitations: Mapping[InvitationId, InvitationRecord],
        holders: KeyHolders,
        *,
        before: State = State.RECEIVED,
    ) -> Answer | None:
        """Decide one request: a new one, or a held one (`before`), which the operator has approved.

        None where there is nobody to answer: a sender that no agreement names.

        Raises `ConfigurationError` if the agreement cannot be read and the request is a held one, which can wait.
        """
        return at_once(self.answer_in_stages(parsed, invitations, holders, before=before))

    def answer_in_stages(
        self,
        parsed: Parsed,
        invitations: Mapping[InvitationId, InvitationRecord],
        holders: KeyHolders,
        *,
        before: State = State.RECEIVED,
    ) -> Staged[Answer | None]:
        """As `answer`, with pauses after the judgement, the CA's signature and the sealing.

        The key of a request that is judged joins `holders`: the same key in another request of the batch must not pass
        because neither is recorded yet.
        """
        sender = parsed.opened.message.sender
        case = Case(parsed.opened, parsed.sealed, _names(parsed.csr), before)
        try:
            requester = Requester(sender, self._partners.pinned(sender), self._policy_of(sender))
            admission = authenticate(
                parsed.opened, requester, self._invitation(parsed.opened, invitations), self._us, self._clock.now()
            )
        except ProtocolError as error:
            if before is State.PENDING:  # who asked was proven when the request was held
                return self._refuse(case, error.problems)
            return self.turn_away(parsed.opened, error)
        except ConfigurationError as error:
            if before is State.PENDING:
                raise
            self._log.error(
                "policy unusable", partner=sender, why=str(error), fix="mend the file; the partner can ask again"
            )
            return self.turn_away(parsed.opened, _not_now())
        if isinstance(parsed.csr, ProtocolError):
            return self._refuse(case, parsed.csr.problems)
        return (yield from self._verdict(case, parsed.csr, requester, admission, holders))

    def refuse(self, held: Parsed, why: Problem) -> Answer:
        """Refuse a held request without asking the policy."""
        return self._refuse(Case(held.opened, held.sealed, _names(held.csr), State.PENDING), (why,))

    def _invitation(self, opened: Opened, records: Mapping[InvitationId, InvitationRecord]) -> IssuedInvitation | None:
        body = opened.message.body
        proof = body.invitation if isinstance(body, EnrollmentRequest) else None
        record = records.get(proof.id) if proof else None
        if record is None:
            return None
        secret = Secret(record.proof_key)
        return IssuedInvitation(record.id, record.partner, secret, record.expires_at, record.consumed_by)

    def _verdict(
        self,
        case: Case,
        csr: CertificationRequest,
        requester: Requester,
        admission: tuple[Effect, ...],
        holders: KeyHolders,
    ) -> Staged[Answer]:
        verdict = judge(csr, requester, self._context(case, csr, holders))
        key = csr.key.fingerprint
        holders[key] = holders.get(key, frozenset()) | {requester.name}
        yield
        match verdict:
            case Approved() as approved:
                recorded = admission if case.before is State.RECEIVED else ()
                return (yield from self._issue(case, csr, recorded, approved))
            case Held() as held:
                return self._hold(case, admission, held)
            case Refused(problems):
                return self._refuse(case, problems)

    def _context(self, case: Case, csr: CertificationRequest, holders: KeyHolders) -> Context:
        body = case.opened.message.body
        seconds = body.lifetime_seconds if isinstance(body, EnrollmentRequest) else None
        return Context(
            requester=case.opened.message.sender,
            now=self._clock.now(),
            issuer_not_after=self._issuer_not_after,
            lifetime=timedelta(seconds=seconds) if seconds else None,
            key_holders=holders.get(csr.key.fingerprint, frozenset()),
            approved=case.before is State.PENDING,
        )

    def _issue(
        self, case: Case, csr: CertificationRequest, admission: tuple[Effect, ...], approved: Approved
    ) -> Staged[Answer]:
        serial, now = self._entropy.serial_number(), self._clock.now()
        try:
            certificate = self._signer.issue(approved, serial)
        except ProtocolError as error:  # approved, but not this CA's to certify
            return self._refuse(case, error.problems)
        result = Issued(
            certificate=certificate,
            chain=self._signer.chain(),
            trust_bundle=self._signer.trust_bundle(),
            endpoint=self._endpoint,
            renew_after=renew_after(approved),
        )
        reply = reply_to(case.opened, result, now)
        yield
        sealed = self._sealer.seal(reply)
        yield
        key = csr.key.fingerprint
        unit = unit_for_issued(case, admission, approved, serial, certificate, sealed, key, self._us, now)
        self._log.info(
            "certificate issued",
            transaction=case.opened.message.transaction,
            partner=case.opened.message.sender,
            serial=serial,
        )
        return Answer(unit, sealed)

    def _hold(self, case: Case, admission: tuple[Effect, ...], held: Held) -> Answer:
        sealed = self._seal(case.opened, Pending(reason=held.reason))
        self._log.info("request held", transaction=case.opened.message.transaction, partner=case.opened.message.sender)
        return Answer(unit_for_pending(case, admission, held, sealed, self._us, self._clock.now()), sealed)

    def _refuse(self, case: Case, problems: tuple[Problem, ...]) -> Answer:
        result = refused(problems)
        sealed = self._seal(case.opened, result)
        self._log.info(
            "request refused",
            transaction=case.opened.message.transaction,
            partner=case.opened.message.sender,
            why=[str(item) for item in result.problems],
        )
        return Answer(unit_for_refused(case, result.problems, sealed, self._us, self._clock.now()), sealed)

    def turn_away(self, opened: Opened, error: ProtocolError) -> Answer | None:
        """Refuse without recording a transaction: who asked is not proven. The answer goes to the partner of that name,
        whom we know from our own records, so nobody else can be made to receive it."""
        key = key_of(opened)
        record = self._partners.record(key.partner)
        self._log.warning("request turned away", transaction=key.id, partner=key.partner, why=str(error))
        if record is None or not record.agreed:
            return None
        audit = Audit(self._clock.now(), "turned away", key.partner, key.id, str(error))
        return Answer(Unit((audit,)), self._seal(opened, refused(error.problems)))

    def conflicting(self, opened: Opened) -> bytes:
        """The sealed refusal of a transaction id that is in use for another request (RFC 9810: transactionIdInUse)."""
        fix = "Use a new transaction id for a new request; to repeat a request send the same bytes."
        problems = (
            problem(
                ProblemCode.TRANSACTION_ID_IN_USE, "transaction", opened.message.transaction, "an id used once", fix
            ),
        )
        return self._seal(opened, RefusedReply(problems=problems))

    def _seal(self, opened: Opened, result: Issued | Pending | RefusedReply) -> bytes:
        return self._sealer.seal(reply_to(opened, result, self._clock.now()))


def _names(csr: CertificationRequest | ProtocolError) -> tuple[str, ...]:
    return () if isinstance(csr, ProtocolError) else tuple(str(name) for name in csr.names)


def _not_now() -> ProtocolError:
    fix = "Nothing is wrong with the request: tell the issuer's operator, then enroll again."
    got = "a request that could not be judged"
    return ProtocolError(problem(ProblemCode.SYSTEM_FAILURE, "policy", got, "a readable policy at the issuer", fix))
