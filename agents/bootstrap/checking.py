"""A certification request judged against a policy file, as the issuer would, without an agent or its state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from agents.adapters.clock import SystemClock
from agents.core.agreement import Context, Policy
from agents.core.policy import Refused, Verdict, evaluate
from protocol.csr import parse_csr, read_csr_file
from protocol.errors import ProtocolError
from protocol.names import OrganisationName

NO_ISSUER_ENDS = datetime.max.replace(tzinfo=UTC, microsecond=0)
"""Without an agent there is no CA certificate whose end would shorten a lifetime."""


def judge_offered(data: bytes, policy: Policy, partner: OrganisationName, lifetime: timedelta | None) -> Verdict:
    """Judge a file that somebody offers as a request (PEM or DER). What is none is refused like everything else.

    Which keys have certificates already, which sign envelopes or certificates, and which name its own channel has, only
    an issuer knows; here no key and no name is taken.
    """
    try:
        request = parse_csr(read_csr_file(data))
    except ProtocolError as error:
        return Refused(error.problems)
    context = Context(
        requester=partner,
        now=SystemClock().now(),
        issuer_not_after=NO_ISSUER_ENDS,
        lifetime=lifetime,
        key_holders=frozenset(),
        signing_keys=frozenset(),
        endpoint=None,
        approved=False,
    )
    return evaluate(request, policy, context)
