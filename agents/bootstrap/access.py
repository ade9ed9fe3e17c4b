"""Which broker an agent meets an issuer at, and how it logs in there: as its own operator says, in `agent.toml`."""

from __future__ import annotations

from pathlib import Path

from agents.adapters.amqp.access import BrokerAccess, ClientCertificate, PasswordFile
from agents.bootstrap.given import readable, shared_secret
from agents.config.agent import FILE, AgentConfig, Broker
from agents.errors import ConfigurationError
from protocol.broker import BrokerAddress
from protocol.names import OrganisationName


def broker_access(
    home: Path, config: AgentConfig, issuer: OrganisationName, invited_to: BrokerAddress | None
) -> BrokerAccess:
    """How we reach the virtual host of `issuer` and log in there; `invited_to` is where its invitation says it is.

    Raises `ConfigurationError`, also for files of a login that are not there or that everybody can read.
    """
    settings, own = config.broker_for(issuer), issuer in config.brokers
    if settings is None:
        raise ConfigurationError(
            f"no broker is configured for {issuer}: add a [broker] section with url, user and password_file to "
            f"{home / FILE} (agent init --broker, --broker-password-file writes it)."
        )
    if invited_to and not own and settings.url != invited_to:
        raise ConfigurationError(
            f"{issuer} is reached through the broker {invited_to}, but [broker] in {home / FILE} is {settings.url}, "
            "and our login is for that one. If both are the same broker, or you have a login at the other, add a "
            f"section [brokers.{issuer}] with url, user and password_file; if this is a typing error, correct url in "
            "[broker]."
        )
    section = f"[{f'brokers.{issuer}' if own else 'broker'}] in {home / FILE}"
    access = BrokerAccess(
        address=settings.url,
        virtual_host=settings.virtual_host_of(issuer),
        user=settings.user or config.organisation.name,
        login=_login(home, settings, section, config.organisation.name),
        authority=readable(f"ca_file of {section}:", home / settings.ca_file) if settings.ca_file else None,
    )
    access.require_usable()
    return access


def _login(home: Path, settings: Broker, section: str, us: OrganisationName) -> PasswordFile | ClientCertificate:
    if settings.certificate_file and settings.key_file:
        return ClientCertificate(
            readable(f"certificate_file of {section}:", home / settings.certificate_file),
            shared_secret(f"key_file of {section}:", home / settings.key_file),
        )
    if settings.password_file:
        return PasswordFile(shared_secret(f"password_file of {section}:", home / settings.password_file))
    raise ConfigurationError(
        f"the broker at {settings.url} needs a login, and {section} has none: add password_file (and user, if it is "
        f"not '{us}'), or certificate_file and key_file."
    )
