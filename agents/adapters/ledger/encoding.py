"""What each type of effect writes: which statements, with which rows, and when the count of changed rows is a conflict.

Names are stored as plain `str`: drivers take the exact type faster, and psycopg knows no subclass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from agents.adapters.ledger import statements as st
from agents.adapters.ledger.values import micros, problems_json, words_json
from agents.core import effects as fx
from protocol.transaction import State

Row = dict[str, str | int | bytes | bool | None]
Sequences = Iterator[int]
"""Gives out the sequence numbers of new messages."""


@dataclass(frozen=True, slots=True)
class Write:
    """One statement for many rows. An `exact` one conflicts unless every row of it changes a row of the ledger."""

    statement: st.Statement
    rows: Sequence[Row]
    exact: bool = False


Writes = tuple[Write, ...]


def _open_transaction(effects: Sequence[fx.OpenTransaction], _: Sequences) -> Writes:
    rows: list[Row] = [
        {
            "id": str(effect.key.id),
            "partner": str(effect.key.partner),
            "role": str(effect.key.role),
            "state": str(effect.state),
            "request_digest": str(effect.request_digest),
            "created_at": micros(effect.created_at),
            "updated_at": micros(effect.created_at),
            "expires_at": micros(effect.expires_at),
            "names": words_json(effect.names),
            "serial": _text(effect.serial),
            "problems": problems_json(effect.problems) if effect.problems else "[]",
            "key_path": effect.key_path,
        }
        for effect in effects
    ]
    return (Write(st.open_transaction, rows, exact=True),)


def _move_transaction(effects: Sequence[fx.MoveTransaction], _: Sequences) -> Writes:
    rows: list[Row] = [
        _key(effect.key)
        | {
            "before": str(effect.before),
            "after": str(effect.after),
            "moved_at": micros(effect.at),
            "new_serial": _text(effect.serial),
            "new_problems": None if effect.problems is None else problems_json(effect.problems),
        }
        for effect in effects
    ]
    return (Write(st.move_transaction, rows, exact=True),)


def _record_approval(effects: Sequence[fx.RecordApproval], _: Sequences) -> Writes:
    rows: list[Row] = [
        _key(effect.key)
        | {
            "before": str(State.PENDING),
            "approve": effect.approve,
            "reason": effect.reason,
            "decided_at": micros(effect.at),
        }
        for effect in effects
    ]
    return (Write(st.decide_transaction, rows, exact=True),)


def _record_certificate(effects: Sequence[fx.RecordCertificate], _: Sequences) -> Writes:
    rows: list[Row] = [
        {
            "issuer": str(effect.issuer),
            "serial": str(effect.serial),
            "subject": str(effect.subject),
            "transaction_id": str(effect.transaction),
            "public_key": str(effect.public_key),
            "not_before": micros(effect.not_before),
            "not_after": micros(effect.not_after),
            "certificate": effect.certificate,
        }
        for effect in effects
    ]
    return (Write(st.insert_certificate, rows, exact=True),)


def _revoke_certificate(effects: Sequence[fx.RevokeCertificate], _: Sequences) -> Writes:
    rows: list[Row] = [
        {"key_issuer": str(e.issuer), "key_serial": str(e.serial), "at": micros(e.at), "reason": e.reason}
        for e in effects
    ]
    return (Write(st.revoke_certificate, rows, exact=True),)


def _record_partner(effects: Sequence[fx.RecordPartner], _: Sequences) -> Writes:
    rows: list[Row] = [
        {
            "name": str(effect.name),
            "agreed": effect.agreed,
            "broker": effect.broker,
            "endpoint_host": str(effect.endpoint.host) if effect.endpoint else None,
            "endpoint_port": effect.endpoint.port if effect.endpoint else None,
            "updated_at": micros(effect.at),
        }
        for effect in effects
    ]
    return (Write(st.upsert_partner, rows),)


def _pin_anchor(effects: Sequence[fx.PinAnchor], _: Sequences) -> Writes:
    partners: list[Row] = [{"name": str(e.partner), "updated_at": micros(e.at)} for e in effects]
    rows: list[Row] = [
        {
            "partner": str(effect.partner),
            "fingerprint": str(effect.fingerprint),
            "certificate": effect.certificate,
            "pinned_at": micros(effect.at),
        }
        for effect in effects
    ]
    return Write(st.ensure_partner, partners), Write(st.pin_anchor, rows, exact=True)


def _record_invitation(effects: Sequence[fx.RecordInvitation], _: Sequences) -> Writes:
    rows: list[Row] = [
        {
            "id": str(effect.id),
            "partner": str(effect.partner),
            "proof_key": effect.proof_key,
            "created_at": micros(effect.created_at),
            "expires_at": micros(effect.expires_at),
        }
        for effect in effects
    ]
    return (Write(st.insert_invitation, rows, exact=True),)


def _consume_invitation(effects: Sequence[fx.ConsumeInvitation], _: Sequences) -> Writes:
    rows: list[Row] = [
        {
            "key_id": str(effect.id),
            "key_partner": str(effect.partner),
            "transaction": str(effect.transaction),
            "at": micros(effect.at),
        }
        for effect in effects
    ]
    return (Write(st.consume_invitation, rows, exact=True),)


def _store_message(effects: Sequence[fx.StoreMessage], sequences: Sequences) -> Writes:
    rows: list[Row] = [
        {
            "sequence": next(sequences),
            "transaction_id": str(effect.key.id),
            "partner": str(effect.key.partner),
            "role": str(effect.key.role),
            "type": effect.type,
            "link": str(effect.link),
            "outgoing": effect.outgoing,
            "stored_at": micros(effect.at),
            "body": effect.body,
        }
        for effect in effects
    ]
    outgoing: list[Row] = [{"sequence": row["sequence"], "link": row["link"]} for row in rows if row["outgoing"]]
    return Write(st.insert_message, rows), Write(st.insert_publication, outgoing)


def _mark_published(effects: Sequence[fx.MarkPublished], _: Sequences) -> Writes:
    rows: list[Row] = [{"key_sequence": number, "at": micros(e.at)} for e in effects for number in e.sequences]
    return (Write(st.mark_published, rows),)


def _mark_sent(effects: Sequence[fx.MarkSent], _: Sequences) -> Writes:
    rows: list[Row] = [
        _key(key) | {"key_type": kind, "at": micros(effect.at)} for effect in effects for key, kind in effect.messages
    ]
    return (Write(st.mark_sent, rows),)


def _mark_unpublished(effects: Sequence[fx.MarkUnpublished], _: Sequences) -> Writes:
    rows: list[Row] = [_key(effect.key) | {"key_type": effect.type} for effect in effects]
    return (Write(st.mark_unpublished, rows),)


def _record_session(effects: Sequence[fx.RecordSession], _: Sequences) -> Writes:
    rows: list[Row] = [
        {"partner": str(e.partner), "at": micros(e.at), "we_saw": e.we_saw, "partner_saw": e.partner_saw}
        for e in effects
    ]
    return (Write(st.record_session, rows),)


def _quarantine(effects: Sequence[fx.Quarantine], _: Sequences) -> Writes:
    rows: list[Row] = [
        {"link": str(e.link), "at": micros(e.at), "reason": e.reason, "body": e.body}
        for e in effects[-st.QUARANTINE_MAX :]
    ]
    return Write(st.insert_quarantine, rows), Write(st.prune_quarantine, [{"kept": st.QUARANTINE_MAX}])


def _audit(effects: Sequence[fx.Audit], _: Sequences) -> Writes:
    rows: list[Row] = [
        {
            "at": micros(effect.at),
            "event": effect.event,
            "partner": _text(effect.partner),
            "transaction_id": _text(effect.transaction),
            "detail": effect.detail,
        }
        for effect in effects
    ]
    return (Write(st.insert_audit, rows),)


def _key(key: fx.TransactionKey) -> Row:
    return {"key_id": str(key.id), "key_partner": str(key.partner), "key_role": str(key.role)}


def _text(name: str | None) -> str | None:
    return None if name is None else str(name)


WRITES: Mapping[type[fx.Effect], Callable[[Sequence[Any], Sequences], Writes]] = MappingProxyType(
    {
        fx.OpenTransaction: _open_transaction,
        fx.MoveTransaction: _move_transaction,
        fx.RecordCertificate: _record_certificate,
        fx.RevokeCertificate: _revoke_certificate,
        fx.RecordPartner: _record_partner,
        fx.PinAnchor: _pin_anchor,
        fx.RecordInvitation: _record_invitation,
        fx.ConsumeInvitation: _consume_invitation,
        fx.StoreMessage: _store_message,
        fx.MarkPublished: _mark_published,
        fx.MarkSent: _mark_sent,
        fx.MarkUnpublished: _mark_unpublished,
        fx.RecordApproval: _record_approval,
        fx.RecordSession: _record_session,
        fx.Quarantine: _quarantine,
        fx.Audit: _audit,
    }
)
