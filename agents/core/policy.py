"""The policy: facts of a request in, verdict out. The only place that can construct `Approved`."""

from __future__ import annotations

from dataclasses import InitVar, dataclass

from agents.core.agreement import Approval, Context, Policy
from agents.core.candidate import Grant, grants, notes, propose
from agents.core.profile import CertificateSpec
from agents.core.rules import RULES
from protocol.csr import CertificationRequest
from protocol.errors import Problem

__all__ = ["Approved", "Context", "Grant", "Held", "Policy", "Refused", "Verdict", "evaluate"]

_WARRANT = object()


@dataclass(frozen=True, slots=True)
class Approved:
    """A certificate that the policy allows, exactly as it will be issued. The CA key signs nothing else.

    Raises `TypeError` when anything but `evaluate` constructs it.
    """

    spec: CertificateSpec
    notes: tuple[str, ...]
    """What was asked for and is not in the certificate, in words for the requester."""
    grants: tuple[Grant, ...]
    """Every name and attribute of the certificate, with the rule that let it in."""
    warrant: InitVar[object]

    def __post_init__(self, warrant: object) -> None:
        if warrant is not _WARRANT:
            raise TypeError("only agents.core.policy.evaluate approves; pass its verdict on instead")


@dataclass(frozen=True, slots=True)
class Refused:
    """Every reason why not."""

    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """Allowed by every rule, but a person must approve. `spec` is what would be issued; the rest as in `Approved`."""

    spec: CertificateSpec
    reason: str
    notes: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()


Verdict = Approved | Refused | Held


def evaluate(request: CertificationRequest, policy: Policy, context: Context) -> Verdict:
    """Judge the certificate that would be issued for `request`; what is approved is that very certificate.

    The caller owes the context: that the requester is who it says it is, and who holds which key.
    """
    candidate = propose(request, policy, context)
    problems = tuple(problem for rule in RULES for problem in rule(candidate))
    if problems:
        return Refused(problems)
    if policy.approval is Approval.MANUAL and not context.approved:
        reason = "the policy allows this request; a person at the issuer must approve it"
        return Held(candidate.spec, reason, notes(candidate), grants(candidate))
    return Approved(candidate.spec, notes(candidate), grants(candidate), _WARRANT)
