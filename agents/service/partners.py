"""Partners in one role and their trust anchors, remembered for a moment so that many messages ask the ledger once.

Only who has an anchor is remembered: the first anchor of a partner may be pinned at any moment, by another process too.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509

from agents.ports import PartnerRecord
from agents.service.workplace import Workplace
from protocol.names import Fingerprint, OrganisationName
from protocol.path import load_certificate
from protocol.transaction import Role

REMEMBERED_SECONDS = 1.0
"""How long an answer of the ledger is used: a partner whose root was removed is refused after this at the latest."""


class Partners:
    """What the ledger knows of partners that act as requesters, or as issuers: a root that is pinned for the one role
    counts for nothing in the other. Used by one thread."""

    def __init__(self, place: Workplace, acts_as: Role) -> None:
        self._ledger, self._clock, self._acts_as = place.ledger, place.clock, acts_as
        self._known: dict[OrganisationName, tuple[PartnerRecord | None, Sequence[x509.Certificate]]] = {}
        self._until = 0.0

    def record(self, name: OrganisationName) -> PartnerRecord | None:
        """The partner's record, None for a stranger."""
        return self._look_up(name)[0]

    def anchors_of(self, name: OrganisationName) -> Sequence[x509.Certificate]:
        """The partner's pinned roots whose certificates have been seen; empty for a stranger."""
        return self._look_up(name)[1]

    def pinned(self, name: OrganisationName) -> frozenset[Fingerprint]:
        """Fingerprints of the partner's pinned roots."""
        record = self.record(name)
        return record.pinned_as(self._acts_as) if record else frozenset()

    def forget(self) -> None:
        """Ask the ledger anew: something was just recorded."""
        self._known.clear()

    def _look_up(self, name: OrganisationName) -> tuple[PartnerRecord | None, Sequence[x509.Certificate]]:
        if self._clock.monotonic() >= self._until:
            self._known.clear()
            self._until = self._clock.monotonic() + REMEMBERED_SECONDS
        known = self._known.get(name)
        if known is None:
            record = self._ledger.partner(name)
            anchors = record.certificates_as(self._acts_as) if record else ()
            known = (record, [load_certificate(der) for der in anchors])
            if known[1]:
                self._known[name] = known
        return known
