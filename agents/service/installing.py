"""From an accepted answer to a verified credential: stage the files, open the channel, make the credential current.

The credential in use stays untouched until both ends of the channel have seen the new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from agents.core.answers import verified_chain
from agents.core.effects import Effect, StoreMessage
from agents.core.requester import (
    confirmation_message,
    to_send,
    unit_for_move,
    unit_for_verified,
    why_abandoned,
    why_given_up,
)
from agents.errors import AgentError, LedgerUnavailableError, NotVerifiedError
from agents.ports import (
    CertificateRecord,
    ChannelCredential,
    ChannelDialer,
    ChannelReport,
    CredentialStore,
    TransactionRecord,
)
from agents.service.isolation import Fault, alone
from agents.service.retries import Doubling, Retries
from agents.service.rotation import PAGE, Rotation
from agents.service.stored import granted
from agents.service.workplace import Workplace
from protocol.envelope import Sealer
from protocol.errors import Problem, ProtocolError
from protocol.messages import Delivered, Rejected, Verified
from protocol.names import OrganisationName, SerialNumber, TransactionId
from protocol.transaction import Event, Role, State, states_before

UNDERWAY = states_before(Role.REQUESTER, Event.UNUSABLE)
"""States between the answer and the end: what is next does not wait for the issuer, and is given up after a while."""

PATIENCE = timedelta(minutes=10)
"""How long a step that fails is tried before the certificate is given up; issuers wait longer."""

RETRY = Doubling(0.5, 15.0)
"""Between two tries."""


class Installing:
    """Credentials from one issuer. Used by one thread."""

    def __init__(
        self,
        place: Workplace,
        issuer: OrganisationName,
        sealer: Sealer,
        store: CredentialStore,
        dialer: ChannelDialer,
    ) -> None:
        self._us, self._ledger, self._clock, self._log = place.us, place.ledger, place.clock, place.log
        self._issuer, self._sealer, self._store, self._dialer = issuer, sealer, store, dialer
        self._underway = Rotation(self._underway_after, PAGE)
        self._retries = Retries[TransactionId, str](RETRY)

    def work(self) -> None:
        """Take every transaction that is on its way one step further. Raises `LedgerUnavailableError`."""
        for record in self._underway.next_page():
            if self._retries.is_due(record.key.id, self._clock.monotonic()):
                step = alone(partial(self._advance, record), self._log, "installing a credential")
                if isinstance(step, Fault):
                    self._abandon(record, step.reason)

    def _underway_after(self, last: TransactionRecord | None) -> Sequence[TransactionRecord]:
        return self._ledger.next_transactions(Role.REQUESTER, UNDERWAY, PAGE, last, partner=self._issuer)

    def concern(self) -> str | None:
        """Why a credential is not verified yet and will be tried again; None if none waits for that."""
        return next(iter(self._retries.whys(self._clock.monotonic())), None)

    def _advance(self, record: TransactionRecord) -> None:
        certificate = self._ledger.certificate(self._issuer, record.serial) if record.serial else None
        if certificate is None:
            raise TypeError(f"the ledger holds no certificate for transaction {record.key.id}")
        try:
            self._step(record, certificate)
            self._retries.settle(record.key.id)
        except LedgerUnavailableError:
            raise
        except AgentError as error:
            self._try_again(record, error)

    def _step(self, record: TransactionRecord, certificate: CertificateRecord) -> None:
        """What keeps a step from being taken may pass, but the issuer does not wait for ever."""
        try:
            if record.state is State.ISSUED:
                self._install(record, certificate)
            elif record.key_path is None:
                self._deliver(record, certificate)
            else:
                self._verify(record, certificate)
        except LedgerUnavailableError:
            raise
        except AgentError as error:
            if not isinstance(error, NotVerifiedError) and self._clock.now() <= record.updated_at + PATIENCE:
                raise
            self._give_up(record, certificate, error)

    def _install(self, record: TransactionRecord, certificate: CertificateRecord) -> None:
        """Write the credential's files beside the current one. They are complete or absent, never half there."""
        answer = granted(self._ledger, record.key)
        if answer is None:
            raise TypeError(f"the ledger holds no answer for transaction {record.key.id}")
        partner = self._ledger.partner(self._issuer)
        if partner is None:
            raise TypeError(f"the ledger does not know {self._issuer}")
        anchors = partner.certificates_as(Role.ISSUER)
        # As it was accepted: the path was judged at the moment from which the transaction is issued.
        try:
            chain = verified_chain(answer, partner.pinned_as(Role.ISSUER), record.updated_at)
        except ProtocolError as error:
            raise NotVerifiedError(
                f"the root under which {self._issuer} issued the certificate is not pinned any more: it was removed "
                "here meanwhile (`agent unpin`)."
            ) from error
        self._store.stage(self._issuer, certificate.serial, certificate.certificate, chain, anchors, _own_key(record))
        self._log.info(
            "credential installed", transaction=record.key.id, partner=self._issuer, serial=certificate.serial
        )
        self._move(record, Event.INSTALLED)

    def _deliver(self, record: TransactionRecord, certificate: CertificateRecord) -> None:
        """The key is not ours to use: say that the certificate arrived, and leave the channel to the key's holder.

        Nobody has verified this credential, so the current one stays current.
        """
        self._move(record, Event.KEY_ELSEWHERE, self._confirmation(record, certificate, Delivered()))

    def _verify(self, record: TransactionRecord, certificate: CertificateRecord) -> None:
        """Open the channel with the new credential; only if both ends agree does it become the current one."""
        report = self._dial(record, certificate)
        self._store.activate(self._issuer, certificate.serial)
        confirmation = self._confirmation(record, certificate, Verified(seen=report.we_saw))
        verified = unit_for_verified(record.key, report.we_saw, report.partner_saw, confirmation, self._clock.now())
        self._log.info(
            "channel verified", transaction=record.key.id, partner=self._issuer, tls=report.we_saw.tls_version
        )
        self._ledger.commit([verified])

    def _dial(self, record: TransactionRecord, certificate: CertificateRecord) -> ChannelReport:
        partner = self._ledger.partner(self._issuer)
        credential = self._store.credential(self._issuer, certificate.serial)
        if partner is None or partner.endpoint is None or credential is None:
            raise TypeError(f"the ledger holds no endpoint or credential for transaction {record.key.id}")
        if record.key_path and not _own_key(record):
            credential = ChannelCredential(credential.chain_path, record.key_path)
        anchors = partner.certificates_as(Role.ISSUER)
        now = self._clock.now()
        return self._dialer.dial(partner.endpoint, credential, anchors, self._us, self._issuer, now)

    def _try_again(self, record: TransactionRecord, error: AgentError) -> None:
        wait = self._retries.put_off(record.key.id, self._clock.monotonic(), str(error))
        self._log.warning("will try again", transaction=record.key.id, why=str(error), again_in_seconds=round(wait, 1))

    def _give_up(self, record: TransactionRecord, certificate: CertificateRecord, error: AgentError) -> None:
        """End the transaction, and tell the issuer, so that it withdraws the certificate.

        If that fails, nothing has been recorded, and it is tried again.
        """
        ours, told = why_given_up(error)
        event = "channel not verified" if ours.field == "channel" else "credential given up"
        self._log.error(event, transaction=record.key.id, partner=self._issuer, why=str(error), fix=ours.fix)
        self._take_out_of_use(certificate.serial)
        confirmation = self._confirmation(record, certificate, Rejected(problem=told))
        self._move(record, Event.UNUSABLE, confirmation, problems=(ours,))

    def _take_out_of_use(self, serial: SerialNumber) -> None:
        """A process that ended between the swap and its record has left a credential current that the ledger does not
        hold for verified. The ledger decides: the one that was verified before is current again."""
        verified = self._ledger.list_transactions(Role.REQUESTER, {State.VERIFIED}, partner=self._issuer)
        self._store.withdraw(self._issuer, serial, [record.serial for record in verified if record.serial])

    def _abandon(self, record: TransactionRecord, why: str) -> None:
        """End a transaction that this program cannot go on with; its issuer withdraws the certificate in time."""
        reason = why_abandoned(why)
        self._log.error("credential given up", transaction=record.key.id, partner=self._issuer, why=why, fix=reason.fix)
        if record.serial:
            self._take_out_of_use(record.serial)
        self._move(record, Event.UNUSABLE, problems=(reason,))
        self._retries.settle(record.key.id)

    def _confirmation(
        self, record: TransactionRecord, certificate: CertificateRecord, result: Verified | Delivered | Rejected
    ) -> StoreMessage:
        message = confirmation_message(record.key, self._us, certificate.certificate, result, self._clock.now())
        return to_send(record.key, message, self._sealer.seal(message))

    def _move(
        self, record: TransactionRecord, event: Event, *effects: Effect, problems: tuple[Problem, ...] | None = None
    ) -> None:
        self._ledger.commit([unit_for_move(record.key, record.state, event, self._clock.now(), problems, *effects)])


def _own_key(record: TransactionRecord) -> str | None:
    """The key's path relative to our home; None for a key that lies elsewhere (its path is then absolute)."""
    return None if record.key_path is None or record.key_path.startswith("/") else record.key_path
