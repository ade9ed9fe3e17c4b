"""What went wrong when dialling, as errors for our operator: what was got, what was wanted, what to do.

`UnreachableError` is worth trying again; `NotVerifiedError` is not, until somebody has changed something.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

from cryptography import x509

from agents.adapters.tls.alerts import in_words
from agents.errors import AgentError, NotVerifiedError, UnreachableError
from protocol.errors import MessageError, ProtocolError, printable
from protocol.messages import Endpoint, parse_refusal
from protocol.names import OrganisationName

REFUSAL_SHOWN = 1024
"""Longest quotation of what the partner says, in characters."""

TRY_LATER = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE}
)
"""Statuses that say nothing about who we are."""

ABOUT_VALIDITY = frozenset({"SSLV3_ALERT_CERTIFICATE_EXPIRED", "SSLV3_ALERT_CERTIFICATE_UNKNOWN"})
"""Alerts that make one look at the dates of our own certificate."""


@dataclass(frozen=True, slots=True)
class Call:
    """Whom we dialled, as whom, and when: what every message about it mentions."""

    endpoint: Endpoint
    partner: OrganisationName
    ours: x509.Certificate
    now: datetime

    def unreachable(self, what: str) -> UnreachableError:
        """No answer that says anything about either end."""
        return UnreachableError(
            f"{self}: {what}. Try again; if it lasts, ask {self.partner} whether its daemon is well."
        )

    def not_verified(self, what: str, advice: str) -> NotVerifiedError:
        """An answer, but not the one that must come."""
        return NotVerifiedError(f"{self}: {what}. {advice}")

    def failure(self, error: OSError) -> AgentError:
        """What a failure of the connection or of TLS means."""
        match error:
            case ssl.SSLCertVerificationError():
                return self.wrong_certificate(printable(error.verify_message))
            case TimeoutError():
                return self.unreachable("it took the connection, but did not answer in time")
            case ssl.SSLEOFError() | ssl.SSLZeroReturnError() | ConnectionError():
                return self.unreachable("it closed the connection without a word: it is busy, stopping, or refuses us")
            case ssl.SSLError():
                return self._tls_failure(error)
            case _:
                return self.unreachable(in_words(error))

    def wrong_certificate(self, why: str) -> NotVerifiedError:
        """Its certificate is not one that we accept for it."""
        return self.not_verified(
            f"its server certificate is not accepted: {why}",
            f"Wanted: a certificate for '{self.endpoint.host}', in force, under the trust anchors pinned for "
            f"{self.partner}. Tell {self.partner} what is wrong; our statement was not sent to that server.",
        )

    def answered(self, status: int, body: bytes) -> AgentError:
        """A status other than 200, with the reason that came with it."""
        what = f"it answered {status}: {_quoted(body)}"
        if status in TRY_LATER:
            return self.unreachable(what)
        return self.not_verified(what, f"Wanted: a channel statement. Do what the answer says, or ask {self.partner}.")

    def unusable(self, error: ProtocolError) -> NotVerifiedError:
        """What it shows or says breaks the protocol."""
        what = f"it does not speak as a channel does: {printable(error, REFUSAL_SHOWN)}"
        return self.not_verified(what, "Is the address right, and are both agents of the same version?")

    def disagreement(self, what: str, got: str, wanted: str) -> NotVerifiedError:
        """It sees somebody else than us, or is somebody else."""
        advice = "Somebody may stand in between: make sure that nothing on the way terminates TLS."
        return self.not_verified(f"{what}: got {printable(got)}, wanted {wanted}", advice)

    def _tls_failure(self, error: ssl.SSLError) -> NotVerifiedError:
        what = f"TLS failed: {in_words(error)}"
        if error.reason in ABOUT_VALIDITY:
            what += f" ({self._our_validity()})"
        return self.not_verified(
            what,
            f"Wanted: TLS 1.3 with both certificates. Compare the certificate that {self.partner} issued last with the "
            "installed one (`agent status`); if it is another or has ended, enroll again.",
        )

    def _our_validity(self) -> str:
        start, end = self.ours.not_valid_before_utc, self.ours.not_valid_after_utc
        if self.now > end:
            return f"ours ended {_span(self.now - end)} ago, at {end:%Y-%m-%dT%H:%M:%SZ}"
        return f"ours holds from {start:%Y-%m-%dT%H:%M:%SZ} to {end:%Y-%m-%dT%H:%M:%SZ}; compare both clocks"

    def __str__(self) -> str:
        return f"{self.partner} at {self.endpoint}"


def _quoted(body: bytes) -> str:
    """The partner's reasons. They are a stranger's text, so they are escaped whatever the model allows."""
    try:
        problems = parse_refusal(body).problems
    except MessageError:
        return printable(body, REFUSAL_SHOWN)
    return printable("; ".join(map(str, problems)), REFUSAL_SHOWN)


def _span(span: timedelta) -> str:
    return str(timedelta(seconds=round(span.total_seconds())))
