"""A root that an operator removes: what that records."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from agents.core.effects import Audit, Unit, UnpinAnchor
from protocol.names import Fingerprint, OrganisationName
from protocol.transaction import Role


def unit_for_unpinned(partner: OrganisationName, acts_as: Role, roots: Collection[Fingerprint], now: datetime) -> Unit:
    """The end of the trust in `roots`, in this role alone. What was issued under them is not touched."""
    removed = [UnpinAnchor(partner, acts_as, root) for root in sorted(roots)]
    audits = [Audit(now, "root removed", partner, None, f"as {acts_as}: {one.fingerprint}") for one in removed]
    return Unit((*removed, *audits))
