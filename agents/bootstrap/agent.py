"""Opens the agent in a home and puts its parts together."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.adapters.clock import SystemClock
from agents.adapters.entropy import SystemEntropy
from agents.adapters.home import HomeLock, read_health, write_health
from agents.config.agent import AgentConfig, load_config, parse_listen
from agents.config.policy_files import PolicyFiles
from agents.core.admission import IssuedFacts, admit
from agents.core.effects import RecordSession, Unit
from agents.errors import ConfigurationError
from protocol.names import Fingerprint, OrganisationName
from protocol.topology import reply_queue, request_queue
from protocol.transaction import Role

if TYPE_CHECKING:
    from agents.adapters.amqp import AmqpBus
    from agents.adapters.amqp.access import BrokerAccess
    from agents.adapters.credentials import CredentialFiles
    from agents.adapters.tls import TlsChannelDialer, TlsChannelListener
    from agents.config.agent import Broker
    from agents.ports import CertificateRecord, CertificateSigner, ChannelCredential, Ledger, Log
    from agents.service.answering import Answering
    from agents.service.daemon import Daemon, Link
    from agents.service.requesting import Requesting
    from protocol.envelope import Identity, Sealer
    from protocol.messages import ChannelStatement, PeerView

PARTNERS = "partners"
"""Directory of the agreements, one policy file per partner."""


class Agent:
    """One agent, opened for use; its parts are made when they are first asked for.

    Raises `ConfigurationError` or `StateError` where the home cannot be used.
    """

    def __init__(self, home: Path, *, log_form: str = "auto", debug: bool = False) -> None:
        self.home = home
        self.config: AgentConfig = load_config(home)
        self.name: OrganisationName = self.config.organisation.name
        self.clock = SystemClock()
        self.entropy = SystemEntropy()
        self.lock = HomeLock(home)
        self.policies = PolicyFiles(home / PARTNERS, self.clock)
        self._log_form, self._debug = log_form, debug

    @cached_property
    def log(self) -> Log:
        """The structured log."""
        from agents.adapters.log import make_log

        as_json = {"auto": None, "json": True, "text": False}.get(self._log_form)
        return make_log(as_json=as_json, debug=self._debug, organisation=self.name)

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger; the caller closes it."""
        from agents.adapters.ledger import open_ledger

        url = self.config.ledger.url
        return open_ledger(url if "://" in url else str(self.home / url))

    @cached_property
    def identity(self) -> Identity:
        """The key that seals envelopes."""
        from agents.adapters.keystore import load_identity

        return load_identity(self.home)

    @cached_property
    def sealer(self) -> Sealer:
        """Seals as this agent."""
        from protocol.envelope import Sealer

        return Sealer(self.identity)

    @cached_property
    def root(self) -> Fingerprint:
        """SHA-256 of our root certificate."""
        return Fingerprint.of(self.identity.chain[-1])

    @cached_property
    def credentials(self) -> CredentialFiles:
        """The credentials that we hold."""
        from agents.adapters.credentials import CredentialFiles

        return CredentialFiles(self.home)

    @cached_property
    def signer(self) -> CertificateSigner:
        """The one door to the issuing CA's key."""
        from agents.adapters.files import read_private
        from agents.adapters.keystore import open_signer

        passphrase = read_private(self.home / self.config.ca.passphrase_file).rstrip(b"\r\n")
        return open_signer(self.home, passphrase, self.clock.now())

    def health(self) -> dict[str, Any] | None:
        """What the daemon last said of itself."""
        return read_health(self.home)

    # --- links to the broker -------------------------------------------------------------------------------------

    def access(self, issuer: OrganisationName) -> BrokerAccess:
        """How we reach the virtual host of `issuer` and log in there. Raises `ConfigurationError`."""
        from agents.adapters.amqp.access import BrokerAccess

        settings = self.config.broker_for(issuer)
        if settings is None:
            raise ConfigurationError(
                f"no broker is configured for {issuer}: add a [broker] section with url, user and password_file to "
                f"{self.home / 'agent.toml'} (agent init --broker, --broker-password-file writes it)."
            )
        partner = self.ledger.partner(issuer)
        invited_to = partner.broker if partner and issuer not in self.config.brokers else None
        authority = self.home / settings.ca_file if settings.ca_file else None
        return BrokerAccess(
            url=invited_to or settings.location(issuer),
            user=settings.user or self.name,
            login=self._login(settings),
            authority=authority,
        )

    def _login(self, settings: Broker) -> Any:
        from agents.adapters.amqp.access import ClientCertificate, PasswordFile

        if settings.certificate_file and settings.key_file:
            return ClientCertificate(self.home / settings.certificate_file, self.home / settings.key_file)
        if settings.password_file:
            return PasswordFile(self.home / settings.password_file)
        raise ConfigurationError(
            f"the broker at {settings.url} needs a login: set password_file, or certificate_file and key_file."
        )

    def bus(self, role: Role, issuer: OrganisationName) -> AmqpBus:
        """A link to the broker of `issuer`; it connects by itself."""
        from agents.adapters.amqp import AmqpBus

        queue = request_queue(self.name) if role is Role.ISSUER else reply_queue(self.name)
        return AmqpBus(self.access(issuer), self.name, queue, self.clock, self.log)  # type: ignore[arg-type]

    def link(self, role: Role, issuer: OrganisationName, *, upkeep: bool = True) -> Link:
        """A link with the thread that works on it, not yet started. Only one issuer process does the upkeep."""
        from agents.service.daemon import Link
        from agents.service.supervision import Worker

        bus = self.bus(role, issuer)
        work = self._issuing(bus, upkeep=upkeep) if role is Role.ISSUER else self.requesting(issuer, bus).work
        return Link(bus, Worker(f"{role.value} {issuer}", work, bus, self.log))

    def requesting(self, issuer: OrganisationName, bus: AmqpBus) -> Requesting:
        """The requester's side of the link to `issuer`."""
        from agents.service.installing import Installing
        from agents.service.partners import Partners
        from agents.service.requesting import Requesting

        installing = Installing(
            self.name, issuer, self.ledger, self.sealer, self.credentials, self.dialer, self.clock, self.log
        )
        partners = Partners(self.ledger, self.clock)
        return Requesting(self.name, issuer, bus, self.ledger, self.sealer, partners, installing, self.clock, self.log)

    def _issuing(self, bus: AmqpBus, *, upkeep: bool) -> Any:
        from agents.service.inbox import Inbox
        from agents.service.issuing import Issuing
        from agents.service.partners import Partners
        from agents.service.relay import Relay
        from agents.service.upkeep import Upkeep

        partners = Partners(self.ledger, self.clock)
        answering = self._answering(partners)
        inbox = Inbox(self.name, self.name, partners, self.clock, self.log)
        relay = Relay(self.name, self.name, bus, self.ledger, self.clock, self.log)
        issuing = Issuing(self.name, bus, self.ledger, answering, self.sealer, partners, inbox, self.clock, self.log)
        within = self.config.issuing.confirm_within
        by_the_clock = Upkeep(self.name, self.ledger, answering, inbox, relay, within, self.clock, self.log)

        def work(timeout: float) -> None:
            issuing.work(timeout)
            by_the_clock.work()

        return work if upkeep else issuing.work

    def _answering(self, partners: Any) -> Answering:
        from agents.service.answering import Answering

        if self.config.channel is None:
            raise ConfigurationError(
                f"{self.name} has no channel that partners could reach: make the agent with `agent init --endpoint`, "
                "or invite nobody."
            )
        return Answering(
            self.name,
            self.config.channel.endpoint,
            self.signer,
            self.sealer,
            partners,
            self.policies.policy_of,
            self.clock,
            self.entropy,
            self.log,
        )

    # --- the channel -----------------------------------------------------------------------------------------------

    @cached_property
    def dialer(self) -> TlsChannelDialer:
        """Opens channels to partners."""
        from agents.adapters.tls import TlsChannelDialer

        return TlsChannelDialer(self.clock)

    def channel_credential(self) -> ChannelCredential | None:
        """What our channel is served with; None where it is not."""
        from agents.adapters.keystore import channel_server_credential

        return channel_server_credential(self.home)

    def listener(self) -> TlsChannelListener | None:
        """Our own channel, not yet open; None where none is configured."""
        from agents.adapters.tls import TlsChannelListener

        credential = self.channel_credential()
        if self.config.channel is None or credential is None:
            return None
        return TlsChannelListener(
            organisation=self.name,
            credential=credential,
            client_anchors=self.signer.trust_bundle(),
            intermediates=self.signer.chain(),
            listen=parse_listen(self.config.channel.listen),
            admission=self._admit,
            sink=self._note_session,
            clock=self.clock,
            log=self.log,
        )

    def _admit(self, leaf: bytes) -> OrganisationName:
        from protocol.certificate import serial_number
        from protocol.path import load_certificate

        record = self.ledger.certificate(self.name, serial_number(load_certificate(leaf)))
        return admit(self.name, _facts(record) if record else None, leaf, self.clock.now())

    def _note_session(self, statement: ChannelStatement | None, seen: PeerView, partner: OrganisationName) -> None:
        partner_saw = statement.sees.model_dump_json() if statement else None
        session = RecordSession(partner, self.clock.now(), seen.model_dump_json(), partner_saw)
        self.ledger.commit([Unit((session,))])

    def daemon(self) -> Daemon:
        """The whole agent at work. The caller holds the lock of the home."""
        from agents.adapters.crew import IssuingCrew
        from agents.service.daemon import Daemon

        def report(health: dict[str, Any]) -> None:
            write_health(self.home, health)

        more = self.config.issuing.processes - 1
        crew = IssuingCrew(self.home, more, self.log) if more else None
        return Daemon(self.name, self.ledger, self.link, self.listener(), crew, report, self.clock, self.log)


def _facts(record: CertificateRecord) -> IssuedFacts:
    return IssuedFacts(
        record.issuer, record.subject, record.certificate, record.not_before, record.not_after, record.revoked_at
    )
