"""What a failure of the link means and what the operator can do about it, in words.

Texts of the broker are quoted escaped and cut: it is a stranger.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from pika import exceptions
from pika.adapters.utils.connection_workflow import (
    AMQPConnectionWorkflowFailed,
    AMQPConnectorPhaseErrorBase,
    AMQPConnectorStackTimeout,
)

from agents.adapters.amqp.access import BrokerAccess, ClientCertificate
from agents.errors import AgentError
from protocol.errors import printable
from protocol.topology import MESSAGE_BYTES_MAX

_WEATHER: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, "The host name in {url} cannot be resolved: {error}. Check the URL and DNS."),
    (ConnectionRefusedError, "Nothing listens at {url}. Check the URL, and whether the broker runs."),
    (AMQPConnectorStackTimeout, "The broker at {url} does not answer. Check the URL, firewalls, and whether it runs."),
    (TimeoutError, "The broker at {url} does not answer. Check the URL, firewalls, and whether it runs."),
    (exceptions.AMQPHeartbeatTimeout, "The broker at {url} fell silent: no heartbeat. It will be tried again."),
    (exceptions.ConnectionBlockedTimeout, "The broker at {url} lacks memory or disk. Ask its operator to make room."),
    (
        exceptions.ConsumerCancelled,
        "The broker at {url} ended our consuming of {error}. Was it deleted? Ask its operator.",
    ),
)
"""What may pass by itself."""

_DEFINITIONS = "to load the definitions file again (rabbitmqctl import_definitions)"

_LIMIT_FIX = (
    "End other agents that log in as this user, or ask the broker's operator whether it was shut out "
    "(rabbitmqctl list_user_limits); to load the definitions file again gives it its limits back"
)

_OTHER_LOGIN = "Ask the broker's operator for the other kind of login, and name its files in agent.toml"

_PRECONDITIONS = (
    ("user_id", "Write the user that the broker names as `user` beside the broker's url in agent.toml"),
    ("max size", f"Ask the broker's operator to set max_message_size to {MESSAGE_BYTES_MAX} at least"),
    ("timed out", "We kept a message for longer than the broker allows, and get it again: see what else is wrong here"),
)
"""What to do where the broker says 406, by what it says."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a link is down, and whether trying again soon is pointless until a person has acted."""

    text: str
    needs_operator: bool = False


def describe(error: BaseException, access: BrokerAccess) -> Trouble:
    """The trouble behind an exception that ended a link or kept it from coming up."""
    for cause in _causes(error):
        trouble = _known(cause, access)
        if trouble:
            return trouble
    return Trouble(f"The link to the broker at {access.address} broke: {_quote(error)}. It will be tried again.")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception inside pika's wrappers, innermost first."""
    inner = error.args[0] if isinstance(error, exceptions.AMQPConnectionError) and error.args else None
    if isinstance(error, AMQPConnectionWorkflowFailed):
        inner = error.exceptions[-1]
    elif isinstance(error, AMQPConnectorPhaseErrorBase):
        inner = error.exception
    if isinstance(inner, BaseException):
        yield from _causes(inner)
    yield error


def _known(error: BaseException, access: BrokerAccess) -> Trouble | None:
    return (
        _login(error, access) or _tls(error, access) or _reply(error, access) or _weather(error, access) or _ours(error)
    )


def _login(error: BaseException, access: BrokerAccess) -> Trouble | None:
    where, host = access.address, f"virtual host '{printable(access.virtual_host)}'"
    match error:
        case exceptions.ProbableAuthenticationError() | exceptions.ProbableAccessDeniedError() if _is_lost(error):
            return Trouble(f"The link to the broker at {where} broke while we logged in. It will be tried again.")
        case exceptions.ProbableAuthenticationError():
            text = f"The broker at {where} refused the login of user '{access.user}'. {_login_fix(access)}."
            return Trouble(text, needs_operator=True)
        case exceptions.AuthenticationError():
            text = f"The broker at {where} lets nobody in by {_login_kind(access)}. {_OTHER_LOGIN}."
            return Trouble(text, needs_operator=True)
        case exceptions.ProbableAccessDeniedError() if "connection limit" in str(error):
            text = f"The broker at {where} lets user '{access.user}' have no more connections. {_LIMIT_FIX}."
            return Trouble(text, needs_operator=True)
        case exceptions.ProbableAccessDeniedError():
            fix = f"Ask the broker's operator whether {host} exists and user '{access.user}' has permissions in it"
            return Trouble(f"The broker at {where} refused access to {host}. {fix}.", needs_operator=True)
    return None


def _is_lost(error: BaseException) -> bool:
    """Whether pika only guesses that we were refused, by when the connection broke. A broker that refuses says so."""
    return exceptions.StreamLostError.__name__ in str(error)


def _tls(error: BaseException, access: BrokerAccess) -> Trouble | None:
    match error:
        case exceptions.IncompatibleProtocolError():
            return Trouble(_tls_text(error, access), needs_operator=access.address.is_tls)
        case ssl.SSLError():
            return Trouble(_tls_text(error, access), needs_operator=not isinstance(error, ssl.SSLEOFError))
    return None


def _login_kind(access: BrokerAccess) -> str:
    return "certificate" if isinstance(access.login, ClientCertificate) else "password"


def _login_fix(access: BrokerAccess) -> str:
    if isinstance(access.login, ClientCertificate):
        return "Ask the broker's operator whether the DNS name in our client certificate is a user of the broker"
    return "Check the password, or ask the broker's operator whether the user exists"


def _tls_text(error: BaseException, access: BrokerAccess) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        fix = "Check that the CA file is the one that certifies the broker, and that the host name in the URL is right"
        why = _quote(error.verify_message).rstrip(".")
        return f"The certificate of the broker at {access.address} is not valid: {why}. {fix}."
    if not access.address.is_tls:
        fix = "Check the port and whether the broker runs; for TLS write amqps:// and name its CA certificate (ca_file)"
        return f"What listens at {access.address} ended the connection and did not greet as AMQP 0-9-1 does. {fix}."
    why, fix = _quote(_alert(error)), "Check that the port speaks TLS, "
    if isinstance(access.login, ClientCertificate):
        fix += "and that our client certificate is in force and from a CA the broker trusts"
    else:
        fix += "and ask the broker's operator whether it demands a client certificate (certificate_file and key_file)"
    return f"The broker at {access.address} ended the TLS connection before the login: {why}. {fix}."


def _alert(error: BaseException) -> object:
    """OpenSSL's name of the reason, dug out of what pika wraps around it."""
    found = re.search(r"\[SSL: (\w+)\]", str(error))
    return found.group(1) if found else error


def _reply(error: BaseException, access: BrokerAccess) -> Trouble | None:
    """The broker closed the connection or the channel and gave a reason: a reply code of AMQP 0-9-1 section 1.2."""
    if not isinstance(error, exceptions.ConnectionClosedByBroker | exceptions.ChannelClosedByBroker):
        return None
    said = f"The broker at {access.address} said {error.reply_code} {_quote(error.reply_text)}."
    match error.reply_code:
        case 403:
            fix = f"Ask the broker's operator for the permissions of user '{access.user}'"
            return Trouble(f"{said} {fix}: {_DEFINITIONS} sets them right.", needs_operator=True)
        case 404:
            return Trouble(f"{said} Ask the broker's operator {_DEFINITIONS}: agents declare nothing.")
        case 406:
            return Trouble(f"{said} {_precondition_fix(error.reply_text)}.")
        case 530:
            return Trouble(f"{said} {_LIMIT_FIX}.", needs_operator=True)
    return Trouble(f"{said} It will be tried again.")


def _precondition_fix(said: str) -> str:
    return next((fix for words, fix in _PRECONDITIONS if words in said), "Tell the broker's operator")


def _weather(error: BaseException, access: BrokerAccess) -> Trouble | None:
    texts = (text for kind, text in _WEATHER if isinstance(error, kind))
    text = next(texts, None)
    said = _quote(error.args[-1] if error.args else error)
    return Trouble(text.format(url=access.address, error=said)) if text else None


def _ours(error: BaseException) -> Trouble | None:
    if isinstance(error, AgentError):
        return Trouble(str(error), needs_operator=True)
    if isinstance(error, OSError) and error.filename:
        fix = "The agent must be able to read it"
        return Trouble(f"{error.filename} cannot be read: {_quote(error.strerror)}. {fix}.", needs_operator=True)
    return None


def _quote(value: object) -> str:
    return printable(repr(value) if isinstance(value, BaseException) else value)
