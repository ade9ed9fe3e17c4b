"""The policy: facts of a request in, verdict out. The only place that can construct `Approved`."""

from __future__ import annotations

from dataclasses import dataclass

from agents.core.profile import CertificateSpec
from protocol.errors import Problem


@dataclass(frozen=True, slots=True)
class Approved:
    """A certificate that the policy allows, exactly as it will be issued. The CA key signs nothing else."""

    spec: CertificateSpec
    notes: tuple[str, ...]
    """What was asked for and is not in the certificate, in words for the requester."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Every reason why not."""

    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """Allowed by every rule, but a person must approve. `spec` is what would be issued."""

    spec: CertificateSpec
    reason: str


Verdict = Approved | Refused | Held
