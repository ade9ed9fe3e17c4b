"""Who may use the channel: a valid path is not enough, certificate and agreement must stand in our own records.

Decides from the record that the caller found under the presented serial number. Left out: the path and the purpose,
which `protocol.path` has verified before, and what the agreement allows, which was judged when the certificate was
issued.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime

from protocol.errors import PathError, ProblemCode, problem
from protocol.names import OrganisationName


@dataclass(frozen=True, slots=True)
class IssuedFacts:
    """What our ledger says about one certificate: who issued it to whom, its bytes (DER), when it holds."""

    issuer: OrganisationName
    subject: OrganisationName
    certificate: bytes
    not_before: datetime
    not_after: datetime
    revoked_at: datetime | None


def admit(
    us: OrganisationName, record: IssuedFacts | None, leaf: bytes, now: datetime, *, agreed: bool
) -> OrganisationName:
    """The organisation that `us` issued `leaf` (DER) to, if it may use the channel at `now` (aware, UTC).

    `record` is what the ledger holds under the serial number of `leaf`, or None; `agreed` whether there is an agreement
    with its subject now. Raises `PathError` with one problem for the holder of the certificate: it is not recorded,
    revoked, of no partner any more, or not in force.
    """
    # 1. Issued by us, and the very bytes that we recorded: a serial number alone proves nothing.
    if record is None or record.issuer != us or not hmac.compare_digest(record.certificate, leaf):
        raise _unknown()
    # 2. Not revoked: a recorded revocation counts at once, also when the clock that wrote it runs ahead of ours.
    if record.revoked_at is not None:
        raise _revoked(record.revoked_at)
    # 3. Still a partner's: who takes an agreement away closes the channel to what was issued under it.
    if not agreed:
        raise _no_agreement(record.subject)
    # 4. In force (RFC 5280 section 4.1.2.5: both ends are included).
    if not record.not_before <= now <= record.not_after:
        raise _not_in_force(record, now)
    return record.subject


def _unknown() -> PathError:
    got = "a certificate that the issuer's records do not hold"
    fix = "Enroll with this issuer, then open the channel with the certificate from its reply."
    return PathError(problem(ProblemCode.NOT_AUTHORIZED, "client certificate", got, "a certificate on record", fix))


def _revoked(at: datetime) -> PathError:
    got = f"a certificate that was revoked at {_shown(at)}"
    fix = "Ask the issuer why; if the partnership goes on, enroll again with a new key."
    return PathError(problem(ProblemCode.NOT_AUTHORIZED, "client certificate", got, "one that is not revoked", fix))


def _no_agreement(subject: OrganisationName) -> PathError:
    got = f"a certificate of {subject}, with whom the issuer has no agreement any more"
    fix = "Ask the issuer's operator whether the partnership goes on; the certificate itself is in order."
    return PathError(problem(ProblemCode.NOT_AUTHORIZED, "client certificate", got, "a partner's", fix))


def _not_in_force(record: IssuedFacts, now: datetime) -> PathError:
    got = f"{_shown(now)} on the issuer's clock"
    allowed = f"between {_shown(record.not_before)} and {_shown(record.not_after)}"
    fix = "If it has expired, enroll again; otherwise compare the clocks of both machines."
    return PathError(problem(ProblemCode.BAD_TIME, "client certificate", got, allowed, fix))


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
