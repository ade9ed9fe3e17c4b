"""Names, times and effects for tests of the ledger: plausible by default, with what matters to a test overridden."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from agents.core import effects as fx
from protocol.names import Fingerprint, InvitationId, OrganisationName, SerialNumber, TransactionId
from protocol.transaction import Role, State

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
US, PARTNER, OTHER = OrganisationName("client-c"), OrganisationName("client-b"), OrganisationName("client-d")
REQUEST, REPLY = "enrollment.request", "enrollment.reply"
SECRET = bytes(range(32))


def transaction_id(number: int) -> TransactionId:
    return TransactionId(f"01900000-0000-7000-8000-{number:012x}")


def key(number: int, partner: OrganisationName = PARTNER, role: Role = Role.ISSUER) -> fx.TransactionKey:
    return fx.TransactionKey(role, partner, transaction_id(number))


def invitation_id(number: int) -> InvitationId:
    return InvitationId(f"{number:032x}")


def serial(number: int) -> SerialNumber:
    return SerialNumber.from_int(number)


def opened(number: int, **changes: Any) -> fx.OpenTransaction:
    effect = fx.OpenTransaction(key(number), State.PENDING, Fingerprint.of(b"request"), NOW, LATER, ("a.example",))
    return replace(effect, **changes)


def moved(number: int, before: State, after: State, **changes: Any) -> fx.MoveTransaction:
    return replace(fx.MoveTransaction(key(number), before, after, LATER), **changes)


def certified(number: int, **changes: Any) -> fx.RecordCertificate:
    der = b"certificate %d" % number
    lifetime = (NOW, NOW + timedelta(days=90))
    effect = fx.RecordCertificate(
        serial(number), US, PARTNER, transaction_id(number), der, Fingerprint.of(b"key"), *lifetime
    )
    return replace(effect, **changes)


def shown(number: int, **changes: Any) -> fx.MarkShown:
    return replace(fx.MarkShown(serial(number), US, NOW), **changes)


def invited(number: int, **changes: Any) -> fx.RecordInvitation:
    return replace(fx.RecordInvitation(invitation_id(number), PARTNER, SECRET, NOW, LATER), **changes)


def consumed(number: int, by: int, **changes: Any) -> fx.ConsumeInvitation:
    return replace(fx.ConsumeInvitation(invitation_id(number), PARTNER, transaction_id(by), NOW), **changes)


def stored(number: int, body: bytes = b"reply", **changes: Any) -> fx.StoreMessage:
    return replace(fx.StoreMessage(key(number), REPLY, body, NOW, outgoing=True, issuer=US), **changes)


def pinned(data: bytes, **changes: Any) -> fx.PinAnchor:
    return replace(fx.PinAnchor(PARTNER, Role.REQUESTER, Fingerprint.of(data), data, NOW), **changes)


def seen(data: bytes, **changes: Any) -> fx.FillAnchor:
    return replace(fx.FillAnchor(PARTNER, Role.REQUESTER, data), **changes)


def unpinned(data: bytes, **changes: Any) -> fx.UnpinAnchor:
    return replace(fx.UnpinAnchor(PARTNER, Role.REQUESTER, Fingerprint.of(data)), **changes)


def noted(detail: str = "detail") -> fx.Audit:
    return fx.Audit(NOW, "noted", None, None, detail)


def unit(*effects: fx.Effect) -> fx.Unit:
    return fx.Unit(effects)
