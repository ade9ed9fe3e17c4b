"""Opens the agent in a home and puts its parts together."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.adapters.clock import SystemClock
from agents.adapters.entropy import SystemEntropy
from agents.adapters.home import HomeLock, forget_health, read_health
from agents.config.agent import FILE, AgentConfig, load_config
from agents.config.agreements import PolicyFiles
from agents.errors import ConfigurationError
from protocol.names import Fingerprint, OrganisationName

if TYPE_CHECKING:
    from agents.adapters.amqp.access import BrokerAccess
    from agents.adapters.credentials import CredentialFiles
    from agents.adapters.tls import TlsChannelDialer
    from agents.ports import CertificateSigner, ChannelCredential, Clock, Ledger, Log
    from agents.service.workplace import Workplace
    from protocol.broker import BrokerAddress
    from protocol.envelope import Identity, Sealer

PARTNERS = "partners"
"""Directory of the agreements, one policy file per partner."""


class Agent:
    """One agent, opened for use; its parts are made when they are first asked for.

    With `terse`, only what needs attention is logged. Raises `ConfigurationError` or `StateError` where the home cannot
    be used.
    """

    def __init__(
        self,
        home: Path,
        *,
        log_form: str = "auto",
        debug: bool = False,
        terse: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.home = home
        self.config: AgentConfig = load_config(home)
        self.name: OrganisationName = self.config.organisation.name
        self.clock: Clock = clock or SystemClock()
        self.entropy = SystemEntropy()
        self.lock = HomeLock(home)
        self.policies = PolicyFiles(home / PARTNERS, self.clock)
        self._log_form, self._debug, self._terse = log_form, debug, terse

    @cached_property
    def log(self) -> Log:
        """The structured log."""
        from agents.adapters.log import make_log
        from agents.bootstrap.terse import TerseLog

        as_json = {"auto": None, "json": True, "text": False}.get(self._log_form)
        log = make_log(as_json=as_json, debug=self._debug, organisation=self.name)
        return TerseLog(log) if self._terse else log

    @property
    def ledger_url(self) -> str:
        """Where the ledger is: a URL, or the path of its file."""
        url = self.config.ledger.url
        return url if "://" in url else str(self.home / url)

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger; the caller closes it."""
        from agents.adapters.ledger import open_ledger

        return open_ledger(self.ledger_url)

    @cached_property
    def place(self) -> Workplace:
        """What every service works with."""
        from agents.service.workplace import Workplace

        return Workplace(self.name, self.ledger, self.clock, self.log)

    @cached_property
    def identity(self) -> Identity:
        """The key that seals envelopes. Raises `ConfigurationError` if its certificate is another organisation's."""
        from agents.adapters.keystore import load_identity
        from protocol.path import agent_organisation, load_certificate

        identity = load_identity(self.home)
        certified = agent_organisation(load_certificate(identity.chain[0]))
        if certified != self.name:
            raise ConfigurationError(
                f"{self.home / FILE} says name = '{self.name}', but the identity in {self.home} was made for "
                f"{certified}, and partners believe that one only. Write name = '{certified}' there, or make an agent "
                f"for {self.name} in a home of its own (agent init)."
            )
        return identity

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

    def forget_health(self) -> None:
        """The daemon has ended as it should. Raises `OSError`."""
        forget_health(self.home)

    def access(self, issuer: OrganisationName, invited_to: BrokerAddress | None = None) -> BrokerAccess:
        """How we reach the virtual host of `issuer` and log in there; `invited_to` is where its invitation says it is.

        Our login goes to the broker that our own operator named and to no other, whatever an invitation says. Raises
        `ConfigurationError`.
        """
        from agents.bootstrap.access import broker_access

        partner = self.ledger.partner(issuer)
        return broker_access(self.home, self.config, issuer, invited_to or (partner.broker if partner else None))

    @cached_property
    def dialer(self) -> TlsChannelDialer:
        """Opens channels to partners."""
        from agents.adapters.tls import TlsChannelDialer

        return TlsChannelDialer(self.clock)

    def channel_credential(self) -> ChannelCredential | None:
        """What our channel is served with; None where it is not."""
        from agents.adapters.keystore import channel_server_credential

        return channel_server_credential(self.home)
