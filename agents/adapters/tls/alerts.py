"""What OpenSSL reports, in words: alerts that the other end sent (RFC 8446 section 6), and failures at this end."""

from __future__ import annotations

import ssl

from protocol.errors import printable

ALERTS = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "certificate_required: it saw no certificate of ours",
    "TLSV1_ALERT_UNKNOWN_CA": "unknown_ca: our certificate is not issued by an authority that it trusts",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "certificate_expired: our certificate is not in force on its clock",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "certificate_revoked: our certificate is revoked",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "certificate_unknown: it does not accept our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "bad_certificate: our certificate is damaged, or not for this use",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "unsupported_certificate: our certificate is not one for TLS clients",
    "TLSV1_ALERT_ACCESS_DENIED": "access_denied: our certificate is valid, but may not come in",
    "TLSV1_ALERT_DECRYPT_ERROR": "decrypt_error: a signature of ours does not verify",
    "TLSV1_UNRECOGNIZED_NAME": "unrecognized_name: it does not serve the host name that we asked for",
    "TLSV13_ALERT_MISSING_EXTENSION": "missing_extension: it wants an extension such as the server name",
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": "no_application_protocol: it does not speak http/1.1",
    "TLSV1_ALERT_PROTOCOL_VERSION": "protocol_version: it does not do TLS 1.3",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "handshake_failure: it shares no algorithm with us",
    "TLSV1_ALERT_INTERNAL_ERROR": "internal_error: it failed by itself",
}
"""OpenSSL's reason for each alert received -> the alert's name and its meaning here."""

FAILURES = {
    "WRONG_VERSION_NUMBER": "what came is not TLS",
    "PACKET_LENGTH_TOO_LONG": "what came is not TLS",
    "RECORD_LAYER_FAILURE": "what came is not TLS",
    "HTTP_REQUEST": "plain HTTP instead of TLS",
    "HTTPS_PROXY_REQUEST": "plain HTTP instead of TLS",
    "UNSUPPORTED_PROTOCOL": "a TLS version other than 1.3",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no certificate from the other end",
    "CALLBACK_FAILED": "a server name that is missing or not ours",
    "NO_SHARED_CIPHER": "no algorithm in common",
    "UNEXPECTED_EOF_WHILE_READING": "the other end went away",
}
"""OpenSSL's reason for a failure that was noticed at this end -> what happened."""


def alert_in_words(error: ssl.SSLError) -> str | None:
    """The alert that the other end sent, or None if `error` is something else."""
    return ALERTS.get(error.reason or "")


def in_words(error: OSError) -> str:
    """What went wrong with a connection: printable, without any path."""
    if isinstance(error, TimeoutError):
        return "not done in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the other end's certificate: {printable(error.verify_message)}"
    if isinstance(error, ssl.SSLError):
        reason = error.reason or str(error)
        return f"alert {alert_in_words(error)}" if reason in ALERTS else FAILURES.get(reason, printable(reason))
    return printable(error.strerror or error)
