"""What each type of effect writes: which statements, with which rows, and when too few changed rows are a conflict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from agents.adapters.ledger import rows as r
from agents.adapters.ledger import statements as st
from agents.adapters.ledger.values import micros
from agents.core import effects as fx

Sequences = Iterator[int]
"""Gives out the sequence numbers of new messages."""


@dataclass(frozen=True, slots=True)
class Write:
    """One statement for many rows. An `exact` one conflicts unless every row of it changes a row of the ledger."""

    statement: st.Statement
    rows: Sequence[r.Row]
    exact: bool = False


Encode = Callable[[Sequence[Any], Sequences], tuple[Write, ...]]
"""From effects of one type to what they write, in order."""


def _each(statement: st.Statement, row: Callable[[Any], r.Row], *, exact: bool = False) -> Encode:
    """One statement, and one row of it for each effect."""
    return lambda effects, _: (Write(statement, [row(effect) for effect in effects], exact),)


def _pin_anchor(effects: Sequence[fx.PinAnchor], _: Sequences) -> tuple[Write, ...]:
    partners = [r.anchored_partner(effect) for effect in effects]
    anchors = [r.anchor(effect) for effect in effects]
    return Write(st.ensure_partner, partners), Write(st.pin_anchor, anchors, exact=True)


def _store_message(effects: Sequence[fx.StoreMessage], sequences: Sequences) -> tuple[Write, ...]:
    rows = [r.message(effect, next(sequences)) for effect in effects]
    outgoing = [row for row in rows if row["outgoing"]]
    return Write(st.insert_message, rows), Write(st.insert_publication, outgoing)


def _mark_published(effects: Sequence[fx.MarkPublished], _: Sequences) -> tuple[Write, ...]:
    rows: list[r.Row] = [{"key_sequence": number, "at": micros(e.at)} for e in effects for number in e.sequences]
    return (Write(st.mark_published, rows),)


def _mark_sent(effects: Sequence[fx.MarkSent], _: Sequences) -> tuple[Write, ...]:
    rows = [r.key_row(key) | {"key_type": kind, "at": micros(e.at)} for e in effects for key, kind in e.messages]
    return (Write(st.mark_sent, rows),)


def _quarantine(effects: Sequence[fx.Quarantine], _: Sequences) -> tuple[Write, ...]:
    of_issuer: dict[str, list[r.Row]] = {}
    for effect in effects:
        of_issuer.setdefault(effect.issuer, []).append(r.quarantined(effect))
    newest = [row for rows in of_issuer.values() for row in rows[-st.QUARANTINE_MAX :]]
    bounds: list[r.Row] = [{"key_link": issuer, "kept": st.QUARANTINE_MAX} for issuer in of_issuer]
    return Write(st.insert_quarantine, newest), Write(st.prune_quarantine, bounds)


WRITES: Mapping[type[fx.Effect], Encode] = MappingProxyType(
    {
        fx.OpenTransaction: _each(st.open_transaction, r.opened_transaction, exact=True),
        fx.MoveTransaction: _each(st.move_transaction, r.move, exact=True),
        fx.RecordCertificate: _each(st.insert_certificate, r.certificate, exact=True),
        fx.RevokeCertificate: _each(st.revoke_certificate, r.revocation, exact=True),
        fx.MarkShown: _each(st.mark_shown, r.shown),
        fx.RecordPartner: _each(st.upsert_partner, r.partner),
        fx.PinAnchor: _pin_anchor,
        fx.FillAnchor: _each(st.fill_anchor, r.seen_anchor),
        fx.UnpinAnchor: _each(st.unpin_anchor, r.removed_anchor, exact=True),
        fx.RecordInvitation: _each(st.insert_invitation, r.invitation, exact=True),
        fx.WithdrawInvitations: _each(st.withdraw_invitations, r.withdrawal),
        fx.ConsumeInvitation: _each(st.consume_invitation, r.used_invitation, exact=True),
        fx.StoreMessage: _store_message,
        fx.MarkPublished: _mark_published,
        fx.MarkSent: _mark_sent,
        fx.MarkUnpublished: _each(st.mark_unpublished, r.latest_message),
        fx.RecordApproval: _each(st.decide_transaction, r.approval, exact=True),
        fx.RecordSession: _each(st.record_session, r.session),
        fx.Quarantine: _quarantine,
        fx.Audit: _each(st.insert_audit, r.audit_line),
    }
)
