"""Every way in which a link fails, in words for the operator."""

import socket
import ssl

import pytest
from pika import exceptions
from pika.adapters.utils.connection_workflow import (
    AMQPConnectionWorkflowFailed,
    AMQPConnectorAMQPHandshakeError,
    AMQPConnectorSocketConnectError,
    AMQPConnectorStackTimeout,
)

from agents.adapters.amqp import BrokerAccess
from agents.adapters.amqp.trouble import describe
from agents.errors import ConfigurationError

PLAIN = BrokerAccess("amqp://broker.example/enroll.client-c", "client-b", lambda: "secret")
TLS = BrokerAccess("amqps://broker.example/enroll.client-c", "client-b", lambda: "secret", authority="ca.pem")


def connecting(error):
    """How pika wraps what went wrong while connecting."""
    workflow = AMQPConnectionWorkflowFailed([OSError("earlier"), AMQPConnectorSocketConnectError(error)])
    return exceptions.AMQPConnectionError(workflow)


def verification_failed():
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate in certificate chain"
    return error


NEEDS_OPERATOR = [
    (exceptions.ProbableAuthenticationError("..."), "refused the login of user 'client-b'"),
    (exceptions.AuthenticationError("PLAIN"), "refused the login of user 'client-b'"),
    (exceptions.ProbableAccessDeniedError("..."), "refused access to virtual host 'enroll.client-c'"),
    (exceptions.ChannelClosedByBroker(403, "ACCESS_REFUSED - read access"), "permissions of user 'client-b'"),
    (AMQPConnectorAMQPHandshakeError(exceptions.ProbableAuthenticationError("...")), "refused the login"),
    (verification_failed(), "self-signed certificate in certificate chain"),
    (connecting(ssl.SSLError(1, "wrong version number")), "wrong version number"),
    (exceptions.IncompatibleProtocolError("alert certificate required"), "client certificate is in force"),
    (
        exceptions.IncompatibleProtocolError(
            "StreamLostError('[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert')"
        ),
        "before the login: TLSV13_ALERT_CERTIFICATE_REQUIRED.",
    ),
    (ConfigurationError("the key is encrypted"), "the key is encrypted"),
    (FileNotFoundError(2, "No such file or directory", "/x/password"), "/x/password cannot be read"),
]

PASSES = [
    (exceptions.ChannelClosedByBroker(404, "NOT_FOUND - no queue 'q'"), "load the definitions file"),
    (exceptions.ChannelClosedByBroker(406, "PRECONDITION_FAILED - user_id"), "Compare our user name"),
    (exceptions.ConnectionClosedByBroker(320, "CONNECTION_FORCED - shutdown"), "320 CONNECTION_FORCED"),
    (connecting(socket.gaierror(-2, "Name or service not known")), "cannot be resolved: Name or service not known"),
    (connecting(ConnectionRefusedError(111, "refused")), "Nothing listens"),
    (connecting(TimeoutError("timed out")), "does not answer"),
    (connecting(AMQPConnectorStackTimeout("timed out")), "does not answer"),
    (connecting(ssl.SSLEOFError(8, "EOF occurred")), "EOF occurred"),
    (exceptions.AMQPHeartbeatTimeout("..."), "fell silent"),
    (exceptions.ConnectionBlockedTimeout("..."), "lacks memory or disk"),
    (exceptions.ConsumerCancelled("queue 'q'"), "queue 'q'"),
    (exceptions.StreamLostError("Transport indicated EOF"), "Transport indicated EOF"),
    (RuntimeError(), "RuntimeError"),
]


@pytest.mark.parametrize(("error", "words"), NEEDS_OPERATOR)
def test_what_only_a_person_can_mend_says_so(error, words):
    trouble = describe(error, TLS)
    assert words in trouble.text
    assert trouble.needs_operator


@pytest.mark.parametrize(("error", "words"), PASSES)
def test_what_may_pass_is_tried_again_soon(error, words):
    trouble = describe(error, TLS)
    assert words in trouble.text
    assert not trouble.needs_operator


def test_without_tls_a_foreign_protocol_is_no_matter_of_certificates():
    trouble = describe(exceptions.IncompatibleProtocolError("..."), PLAIN)
    assert "does not speak AMQP" in trouble.text
    assert not trouble.needs_operator


def test_texts_of_the_broker_are_escaped_and_cut():
    text = describe(exceptions.ConnectionClosedByBroker(320, "\x1b[31m" + "x" * 5000), PLAIN).text
    assert text.isprintable()
    assert len(text) < 500
