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

from agents.adapters.amqp.access import BrokerAccess
from agents.errors import AgentError
from protocol.errors import printable

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
    return Trouble(f"The link to the broker at {access.url} broke: {_quote(error)}. It will be tried again.")


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
    return _login(error, access) or _reply(error, access) or _weather(error, access) or _ours(error)


def _login(error: BaseException, access: BrokerAccess) -> Trouble | None:
    where, host = access.url, f"virtual host '{printable(access.virtual_host)}'"
    match error:
        case exceptions.ProbableAuthenticationError() | exceptions.AuthenticationError():
            fix = "Check the password, or ask the broker's operator whether the user exists"
            return Trouble(
                f"The broker at {where} refused the login of user '{access.user}'. {fix}.", needs_operator=True
            )
        case exceptions.ProbableAccessDeniedError():
            fix = f"Ask the broker's operator whether {host} exists and user '{access.user}' has permissions in it"
            return Trouble(f"The broker at {where} refused access to {host}. {fix}.", needs_operator=True)
        case exceptions.IncompatibleProtocolError():
            return Trouble(_tls_text(error, access), needs_operator=access.authority is not None)
        case ssl.SSLError():
            return Trouble(_tls_text(error, access), needs_operator=not isinstance(error, ssl.SSLEOFError))
    return None


def _tls_text(error: BaseException, access: BrokerAccess) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        fix = "Check that the CA file is the one that certifies the broker, and that the host name in the URL is right"
        return f"The certificate of the broker at {access.url} is not valid: {_quote(error.verify_message)}. {fix}."
    if access.authority is None:
        return f"What listens at {access.url} does not speak AMQP 0-9-1. Check the port; for TLS write amqps://."
    fix = "Check that the port speaks TLS, and that our client certificate is in force and from a CA the broker trusts"
    return f"The broker at {access.url} ended the TLS connection before the login: {_quote(_alert(error))}. {fix}."


def _alert(error: BaseException) -> object:
    """OpenSSL's name of the reason, dug out of what pika wraps around it."""
    found = re.search(r"\[SSL: (\w+)\]", str(error))
    return found.group(1) if found else error


def _reply(error: BaseException, access: BrokerAccess) -> Trouble | None:
    """The broker closed the connection or the channel and gave a reason: a reply code of AMQP 0-9-1 section 1.2."""
    if not isinstance(error, exceptions.ConnectionClosedByBroker | exceptions.ChannelClosedByBroker):
        return None
    said = f"The broker at {access.url} said {error.reply_code} {_quote(error.reply_text)}."
    match error.reply_code:
        case 403:
            fix = f"Ask the broker's operator for the permissions of user '{access.user}'"
            return Trouble(f"{said} {fix}; `agent` writes a definitions file with the right ones.", needs_operator=True)
        case 404:
            return Trouble(f"{said} Ask the broker's operator to load the definitions file: agents declare nothing.")
        case 406:
            return Trouble(f"{said} Compare our user name and the broker's largest message with the configuration.")
    return Trouble(f"{said} It will be tried again.")


def _weather(error: BaseException, access: BrokerAccess) -> Trouble | None:
    texts = (text for kind, text in _WEATHER if isinstance(error, kind))
    text = next(texts, None)
    return Trouble(text.format(url=access.url, error=_quote(error.args[-1] if error.args else error))) if text else None


def _ours(error: BaseException) -> Trouble | None:
    if isinstance(error, AgentError):
        return Trouble(str(error), needs_operator=True)
    if isinstance(error, OSError) and error.filename:
        fix = "The agent must be able to read it"
        return Trouble(f"{error.filename} cannot be read: {_quote(error.strerror)}. {fix}.", needs_operator=True)
    return None


def _quote(value: object) -> str:
    return printable(repr(value) if isinstance(value, BaseException) else value)
