"""Every way in which a link fails, in words for the operator."""

import socket
import ssl
from dataclasses import replace

import pytest
from pika import exceptions
from pika.adapters.utils.connection_workflow import (
    AMQPConnectionWorkflowFailed,
    AMQPConnectorAMQPHandshakeError,
    AMQPConnectorSocketConnectError,
    AMQPConnectorStackTimeout,
)

from agents.adapters.amqp import BrokerAccess, ClientCertificate
from agents.adapters.amqp.trouble import describe
from agents.errors import ConfigurationError
from protocol.broker import BrokerAddress

PLAIN = BrokerAccess(BrokerAddress("amqp://broker.example"), "enroll.client-c", "client-b", lambda: "secret")
PASSWORD = BrokerAccess(
    BrokerAddress("amqps://broker.example"), "enroll.client-c", "client-b", lambda: "secret", authority="ca.pem"
)
TLS = replace(PASSWORD, login=ClientCertificate("certificate.pem", "key.pem"))


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
    (exceptions.ProbableAuthenticationError("..."), "the DNS name in our client certificate is a user"),
    (exceptions.AuthenticationError("EXTERNAL"), "lets nobody in by certificate. Ask the broker's operator"),
    (
        exceptions.ProbableAccessDeniedError("(530) NOT_ALLOWED - user connection limit (2) is reached"),
        "user 'client-b' have no more connections. End other agents",
    ),
    (exceptions.ConnectionClosedByBroker(530, "NOT_ALLOWED - number of channels"), "rabbitmqctl list_user_limits"),
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

LOST = exceptions.StreamLostError("Stream connection lost: ConnectionResetError(104, 'Connection reset by peer')")

PASSES = [
    (exceptions.ChannelClosedByBroker(404, "NOT_FOUND - no queue 'q'"), "load the definitions file"),
    (exceptions.ChannelClosedByBroker(406, "PRECONDITION_FAILED - user_id property"), "as `user` beside"),
    (exceptions.ChannelClosedByBroker(406, "size 9 is larger than configured max size 8"), "to 262144 at least"),
    (exceptions.ChannelClosedByBroker(406, "delivery acknowledgement on channel 1 timed out"), "kept a message"),
    (exceptions.ChannelClosedByBroker(406, "unknown delivery tag 7"), "Tell the broker's operator"),
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
    (exceptions.ProbableAuthenticationError(repr(LOST)), "broke while we logged in"),
    (exceptions.ProbableAccessDeniedError(repr(LOST)), "broke while we logged in"),
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


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (exceptions.ProbableAuthenticationError("..."), "Check the password"),
        (exceptions.AuthenticationError("PLAIN"), "lets nobody in by password"),
        (exceptions.IncompatibleProtocolError("alert certificate required"), "whether it demands a client certificate"),
    ],
)
def test_who_logs_in_with_a_password_is_told_of_passwords(error, words):
    trouble = describe(error, PASSWORD)
    assert words in trouble.text
    assert trouble.needs_operator


def test_without_tls_a_foreign_protocol_is_no_matter_of_certificates():
    trouble = describe(exceptions.IncompatibleProtocolError("..."), PLAIN)
    assert "did not greet as AMQP" in trouble.text
    assert not trouble.needs_operator


def test_texts_of_the_broker_are_escaped_and_cut():
    text = describe(exceptions.ConnectionClosedByBroker(320, "\x1b[31m" + "x" * 5000), PLAIN).text
    assert text.isprintable()
    assert len(text) < 500
