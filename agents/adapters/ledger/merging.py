"""In which order the effects of many units may be recorded, so that those of one type go to the database together.

Two effects commute when they are about different subjects: whether an effect conflicts depends only on what was
recorded about its own subject. So effects of one type are grouped, and only effects about one subject keep their order.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from agents.core import effects as fx

Group = tuple[type[fx.Effect], list[Any]]

SUBJECT: Mapping[type[fx.Effect], Callable[[Any], Hashable]] = MappingProxyType(
    {
        fx.OpenTransaction: lambda effect: effect.key,
        fx.MoveTransaction: lambda effect: effect.key,
        fx.RecordApproval: lambda effect: effect.key,
        fx.RecordCertificate: lambda effect: (effect.issuer, effect.serial),
        fx.RevokeCertificate: lambda effect: (effect.issuer, effect.serial),
        fx.MarkShown: lambda effect: (effect.issuer, effect.serial),
        fx.RecordPartner: lambda effect: ("partner", effect.name),
        fx.PinAnchor: lambda effect: ("partner", effect.partner),
        fx.FillAnchor: lambda effect: ("partner", effect.partner),
        fx.UnpinAnchor: lambda effect: ("partner", effect.partner),
        # What is withdrawn is named by partner, what is used by id, so these three keep their order altogether.
        fx.RecordInvitation: lambda _: "invitations",
        fx.WithdrawInvitations: lambda _: "invitations",
        fx.ConsumeInvitation: lambda _: "invitations",
        # What is marked is named by sequence or by transaction, so these four keep their order altogether.
        fx.StoreMessage: lambda _: "messages",
        fx.MarkPublished: lambda _: "messages",
        fx.MarkSent: lambda _: "messages",
        fx.MarkUnpublished: lambda _: "messages",
        fx.RecordSession: lambda _: "sessions",
        fx.Quarantine: lambda _: "quarantine",
        fx.Audit: lambda _: "audit",
    }
)


def merge(effects: Iterable[fx.Effect]) -> list[Group]:
    """Group effects by type, in an order that is as good as the given one. Usually one group for each type."""
    groups: list[Group] = []
    latest_of_type: dict[type[fx.Effect], int] = {}
    latest_of_subject: dict[Hashable, int] = {}
    for effect in effects:
        kind = type(effect)
        subject = SUBJECT[kind](effect)
        place = latest_of_type.get(kind, -1)
        if place < latest_of_subject.get(subject, 0):
            place = latest_of_type[kind] = len(groups)
            groups.append((kind, []))
        groups[place][1].append(effect)
        latest_of_subject[subject] = place
    return groups
