"""Answers requests, all of a list in each stage: judge, sign, seal. Nothing is recorded or sent here: see `issuing`.

One stage's code and tables stay in the processor's caches for the whole list; an enrollment costs a seventh less than
when each goes through all stages by itself. Each request fails alone; faults of the agent's surroundings pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from agents.core.case import Case, Requester, authenticate, judge, key_of
from agents.core.effects import Audit, Unit
from agents.core.issuer import Issuance, refused, reply_to, unit_for_issued, unit_for_pending, unit_for_refused
from agents.core.policy import Approved, Context, Held, Policy, Refused, Verdict
from agents.errors import ConfigurationError
from agents.ports import InvitationRecord
from agents.service.authority import Authority
from agents.service.isolation import Fault, alone
from agents.service.partners import Partners
from agents.service.workplace import Workplace
from protocol.csr import CertificationRequest
from protocol.envelope import Opened, Sealer
from protocol.errors import ProblemCode, ProtocolError, problem
from protocol.invitation import IssuedInvitation, Secret
from protocol.messages import Issued, Pending
from protocol.messages import Refused as RefusedReply
from protocol.names import Fingerprint, InvitationId, OrganisationName

PolicyOf = Callable[[OrganisationName], Policy | None]
"""The agreement with a partner, None without one. Raises `ConfigurationError` where its file cannot be used."""

Judged = Verdict | ProtocolError | Fault
"""The policy's verdict; or why a sender is turned away; or that we failed."""

Signed = Issuance | Held | Refused | ProtocolError | Fault
"""As `Judged`, with the certificate of what was approved."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger knows that bears on some requests."""

    invitations: Mapping[InvitationId, InvitationRecord]
    key_holders: dict[Fingerprint, frozenset[OrganisationName]]
    """Which organisations hold certificates for a public key. The keys of requests that are judged join: the same key
    in another request of the batch must not pass because neither is recorded yet."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What to record, and the sealed reply to send."""

    unit: Unit
    sealed: bytes


class Answering:
    """One issuer's answers. Used by one thread."""

    def __init__(
        self, place: Workplace, partners: Partners, policy_of: PolicyOf, authority: Authority, sealer: Sealer
    ) -> None:
        self._ledger, self._clock, self._log = place.ledger, place.clock, place.log
        self._partners, self._policy_of = partners, policy_of
        self._authority, self._sealer = authority, sealer

    def look_up(self, cases: Sequence[Case]) -> Known:
        """What is known of the invitations and keys of all these requests. Raises `LedgerUnavailableError`."""
        invitations = [case.request.invitation.id for case in cases if case.request.invitation]
        keys = [case.csr.key.fingerprint for case in cases if not isinstance(case.csr, ProtocolError)]
        return Known(self._ledger.invitations(invitations), self._ledger.key_holders(keys))

    def judge(self, cases: Sequence[Case], known: Known) -> list[Judged]:
        """Authenticate each sender and ask the policy.

        Raises `ConfigurationError` if the agreement cannot be read and a request is a held one, which can wait.
        """
        return [alone(partial(self._judge, case, known), self._log, "judging a request") for case in cases]

    def sign(self, judged: Sequence[Judged]) -> list[Signed]:
        """Have the CA sign what was approved. Raises `StateError` if it cannot."""
        return [alone(partial(self._sign, one), self._log, "signing a certificate") for one in judged]

    def seal(self, cases: Sequence[Case], signed: Sequence[Signed]) -> list[Reply | Fault | None]:
        """Answer each request. None where there is nobody to answer: a sender that no agreement names."""
        pairs = zip(cases, signed, strict=True)
        return [alone(partial(self._answer, case, one), self._log, "sealing a reply") for case, one in pairs]

    def _judge(self, case: Case, known: Known) -> Verdict | ProtocolError:
        sender, now = case.key.partner, self._clock.now()
        try:
            requester = self._requester(sender)
            authenticate(case, requester, _invitation(case, known), now)
        except ProtocolError as error:
            return Refused(error.problems) if case.held else error.as_value()
        except ConfigurationError as error:
            if case.held:
                raise
            fix = "mend the file; the partner can ask again"
            self._log.error("policy unusable", partner=sender, why=str(error), fix=fix)
            return _not_now()
        if isinstance(case.csr, ProtocolError):
            return Refused(case.csr.problems)
        verdict = judge(case.csr, requester, self._context(case, case.csr, known))
        key = case.csr.key.fingerprint
        known.key_holders[key] = known.key_holders.get(key, frozenset()) | {sender}
        return verdict

    def _requester(self, name: OrganisationName) -> Requester:
        return Requester(name, self._partners.pinned(name), self._policy_of(name))

    def _context(self, case: Case, csr: CertificationRequest, known: Known) -> Context:
        seconds = case.request.lifetime_seconds
        return Context(
            requester=case.key.partner,
            now=self._clock.now(),
            issuer_not_after=self._authority.not_after,
            lifetime=timedelta(seconds=seconds) if seconds else None,
            key_holders=known.key_holders.get(csr.key.fingerprint, frozenset()),
            signing_keys=case.opened.keys | self._authority.keys,
            endpoint=self._authority.endpoint.host,
            approved=case.held,
        )

    def _sign(self, judged: Judged) -> Signed:
        return self._authority.sign(judged) if isinstance(judged, Approved) else judged

    def _answer(self, case: Case, signed: Signed) -> Reply | Fault | None:
        now = self._clock.now()
        match signed:
            case Issuance():
                sealed = self._seal(case.opened, self._authority.issued(signed))
                self._say("certificate issued", case, serial=signed.serial, notes=signed.notes)
                return Reply(unit_for_issued(case, signed, sealed, now), sealed)
            case Held(reason=reason):
                sealed = self._seal(case.opened, Pending(reason=reason))
                self._say("request held", case)
                return Reply(unit_for_pending(case, signed, sealed, now), sealed)
            case Refused():
                reply = refused(signed.problems)
                sealed = self._seal(case.opened, reply)
                self._say("request refused", case, why=[str(item) for item in reply.problems])
                return Reply(unit_for_refused(case, reply.problems, sealed, now), sealed)
            case ProtocolError():
                return self.turn_away(case.opened, signed)
            case Fault():
                return signed

    def turn_away(self, opened: Opened, error: ProtocolError) -> Reply | None:
        """Refuse without recording a transaction: who asked is not proven. The answer goes to the partner of that name,
        whom we know from our own records, so nobody else can be made to receive it."""
        key = key_of(opened)
        record = self._partners.record(key.partner)
        self._log.warning("request turned away", transaction=key.id, partner=key.partner, why=str(error))
        if record is None or not record.agreed:
            return None
        audit = Audit(self._clock.now(), "turned away", key.partner, key.id, str(error))
        return Reply(Unit((audit,)), self._seal(opened, refused(error.problems)))

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

    def _say(self, event: str, case: Case, **fields: object) -> None:
        self._log.info(event, transaction=case.key.id, partner=case.key.partner, **fields)


def _invitation(case: Case, known: Known) -> IssuedInvitation | None:
    proof = case.request.invitation
    record = known.invitations.get(proof.id) if proof else None
    if record is None:
        return None
    secret = Secret(record.proof_key)
    return IssuedInvitation(
        record.id, record.partner, secret, record.expires_at, record.consumed_by, record.withdrawn_at
    )


def _not_now() -> ProtocolError:
    fix = "Nothing is wrong with the request: tell the issuer's operator, whose log says why; then enroll again."
    got = "the issuer's agreement with you cannot be read"
    return ProtocolError(problem(ProblemCode.SYSTEM_FAILURE, "agreement", got, "an agreement that can be read", fix))
