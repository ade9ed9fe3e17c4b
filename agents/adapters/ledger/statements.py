"""The statements that write, for SQLite and PostgreSQL alike.

A conflict is never an error of the database: a statement that conflicts changes no row, and the count tells. Each
function takes the dialect's `insert` and returns the statement; its bound names are those of `rows`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    ClauseElement,
    Table,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal_column,
    null,
    select,
    true,
    update,
)
from sqlalchemy.dialects.sqlite import Insert as Insertion
from sqlalchemy.sql.elements import ColumnElement

from agents.adapters.ledger import schema as s

Insert = Callable[[Table], Insertion]
"""The dialect's `insert`. What is used of PostgreSQL's is the same as in SQLite's."""

Statement = Callable[[Insert], ClauseElement]

QUARANTINE_MAX = 1000
"""Unusable messages kept of one issuer's virtual host, the newest: whoever can publish there could otherwise fill the
disk (256 KiB each), or push out what others sent elsewhere."""


def last_sequence(_: Insert) -> ClauseElement:
    """The highest sequence of a message; 0 if there is none."""
    return select(func.coalesce(func.max(s.messages.c.sequence), literal_column("0")))


def insert_message(insert: Insert) -> ClauseElement:
    """Keep exact bytes."""
    return _plain(insert, s.messages)


def insert_publication(insert: Insert) -> ClauseElement:
    """Put an outgoing message into the outbox."""
    return _plain(insert, s.publications, without={"published_at"})


def insert_quarantine(insert: Insert) -> ClauseElement:
    """Keep a message that cannot be used."""
    return _plain(insert, s.quarantine, without={"sequence"})


def insert_audit(insert: Insert) -> ClauseElement:
    """Add a line to the audit trail."""
    return _plain(insert, s.audit, without={"sequence"})


def open_transaction(insert: Insert) -> ClauseElement:
    """Changes no row if the key exists."""
    return _plain(insert, s.transactions, without={"approval", "approval_reason"}).on_conflict_do_nothing()


def insert_invitation(insert: Insert) -> ClauseElement:
    """Changes no row if the id exists."""
    return _plain(
        insert, s.invitations, without={"consumed_by", "consumed_at", "withdrawn_at"}
    ).on_conflict_do_nothing()


def insert_certificate(insert: Insert) -> ClauseElement:
    """Changes no row if the issuer has the serial."""
    without = {"sequence", "revoked_at", "revocation_reason", "shown_at"}
    return _plain(insert, s.certificates, without).on_conflict_do_nothing()


def move_transaction(_: Insert) -> ClauseElement:
    """Changes no row unless the transaction is in `before`. None keeps a column."""
    t = s.transactions.c
    return (
        update(s.transactions)
        .where(*_is_transaction(t), t.state == bindparam("before"))
        .values(
            state=bindparam("after"),
            updated_at=bindparam("moved_at"),
            serial=func.coalesce(bindparam("new_serial", type_=s.Words), t.serial),
            problems=func.coalesce(bindparam("new_problems", type_=s.Words), t.problems),
        )
    )


def decide_transaction(_: Insert) -> ClauseElement:
    """Changes no row unless the transaction is in `before` and undecided."""
    t = s.transactions.c
    return (
        update(s.transactions)
        .where(*_is_transaction(t), t.state == bindparam("before"), t.approval.is_(None))
        .values(approval=bindparam("approve"), approval_reason=bindparam("reason"), updated_at=bindparam("decided_at"))
    )


def revoke_certificate(_: Insert) -> ClauseElement:
    """The first withdrawal stands."""
    c = s.certificates.c
    return (
        update(s.certificates)
        .where(c.issuer == bindparam("key_issuer"), c.serial == bindparam("key_serial"))
        .values(
            revoked_at=func.coalesce(c.revoked_at, bindparam("at", type_=s.Moment)),
            revocation_reason=func.coalesce(c.revocation_reason, bindparam("reason", type_=s.Words)),
        )
    )


def mark_shown(_: Insert) -> ClauseElement:
    """The first mark stands."""
    c = s.certificates.c
    return (
        update(s.certificates)
        .where(c.issuer == bindparam("key_issuer"), c.serial == bindparam("key_serial"), c.shown_at.is_(None))
        .values(shown_at=bindparam("at"))
    )


def withdraw_invitations(_: Insert) -> ClauseElement:
    """All of a partner that are not used; the first withdrawal stands."""
    i = s.invitations.c
    return (
        update(s.invitations)
        .where(i.partner == bindparam("key_partner"), i.consumed_by.is_(None), i.withdrawn_at.is_(None))
        .values(withdrawn_at=bindparam("at"))
    )


def consume_invitation(_: Insert) -> ClauseElement:
    """Changes no row unless the invitation is this partner's, lives, is not withdrawn, and is unused or used by this
    transaction."""
    i = s.invitations.c
    mine = bindparam("transaction", type_=s.Words)
    return (
        update(s.invitations)
        .where(
            i.id == bindparam("key_id"),
            i.partner == bindparam("key_partner"),
            i.expires_at > bindparam("at"),
            i.withdrawn_at.is_(None),
            func.coalesce(i.consumed_by, mine) == mine,
        )
        .values(consumed_by=mine, consumed_at=func.coalesce(i.consumed_at, bindparam("at", type_=s.Moment)))
    )


def upsert_partner(insert: Insert) -> ClauseElement:
    """None keeps a column."""
    new = _plain(insert, s.partners)
    kept = ("agreed", "broker", "endpoint_host", "endpoint_port")
    changes: dict[str, Any] = {name: func.coalesce(new.excluded[name], s.partners.c[name]) for name in kept}
    return new.on_conflict_do_update(index_elements=["name"], set_=changes | {"updated_at": new.excluded.updated_at})


def ensure_partner(insert: Insert) -> ClauseElement:
    """An anchor belongs to a partner that is known, be it by nothing else."""
    return (
        insert(s.partners).values(name=bindparam("name"), updated_at=bindparam("updated_at")).on_conflict_do_nothing()
    )


def pin_anchor(insert: Insert) -> ClauseElement:
    """Changes a row, be it to the same value, unless the partner has another anchor in this role."""
    a = s.anchors.c
    key = (a.partner, a.acts_as, a.fingerprint)
    partner, acts_as, fingerprint = (bindparam(column.name, type_=s.Words) for column in key)
    other = exists().where(a.partner == partner, a.acts_as == acts_as, a.fingerprint != fingerprint)
    row = (
        partner,
        acts_as,
        fingerprint,
        bindparam("certificate", type_=a.certificate.type),
        bindparam("pinned_at", type_=s.Moment),
    )
    new = insert(s.anchors).from_select(
        ["partner", "acts_as", "fingerprint", "certificate", "pinned_at"], select(*row).where(~other)
    )
    return new.on_conflict_do_update(
        index_elements=["partner", "acts_as", "fingerprint"],
        set_={"certificate": func.coalesce(a.certificate, new.excluded.certificate)},
    )


def fill_anchor(_: Insert) -> ClauseElement:
    """Writes nothing where the certificate is there already, as it is from the second answer on."""
    a = s.anchors.c
    return (
        update(s.anchors)
        .where(*_is_anchor(), a.certificate.is_(None))
        .values(certificate=bindparam("seen", type_=a.certificate.type))
    )


def unpin_anchor(_: Insert) -> ClauseElement:
    """Changes no row if the anchor is not pinned."""
    return delete(s.anchors).where(*_is_anchor())


def mark_published(_: Insert) -> ClauseElement:
    """The first mark stands."""
    p = s.publications.c
    return (
        update(s.publications)
        .where(p.sequence == bindparam("key_sequence"), p.published_at.is_(None))
        .values(published_at=bindparam("at"))
    )


def mark_sent(_: Insert) -> ClauseElement:
    """Mark the first outgoing message of one type in its transaction. The first mark stands."""
    p = s.publications.c
    first = select(func.min(s.messages.c.sequence)).where(*_is_message(), s.messages.c.outgoing == true())
    return (
        update(s.publications)
        .where(p.sequence == first.scalar_subquery(), p.published_at.is_(None))
        .values(published_at=bindparam("at"))
    )


def mark_unpublished(_: Insert) -> ClauseElement:
    """Put the latest outgoing message of one type back into the outbox."""
    latest = select(func.max(s.messages.c.sequence)).where(*_is_message(), s.messages.c.outgoing == true())
    return (
        update(s.publications).where(s.publications.c.sequence == latest.scalar_subquery()).values(published_at=null())
    )


def record_session(insert: Insert) -> ClauseElement:
    """Only the latest session of a partner is kept; what it does not say stays as it was said before."""
    new = _plain(insert, s.sessions)
    old, said = s.sessions.c, new.excluded
    newer = said.at >= old.at
    changes: dict[str, Any] = {"at": case((newer, said.at), else_=old.at)}
    for name in ("we_saw", "partner_saw"):
        first, second = func.coalesce(said[name], old[name]), func.coalesce(old[name], said[name])
        changes[name] = case((newer, first), else_=second)
    return new.on_conflict_do_update(index_elements=["partner"], set_=changes)


def prune_quarantine(_: Insert) -> ClauseElement:
    """Drop all of one virtual host but the newest `kept`."""
    q, here = s.quarantine.c, s.quarantine.alias()
    link = bindparam("key_link", type_=s.Words)
    newest = select(here.c.sequence).where(here.c.link == link).order_by(here.c.sequence.desc())
    newest_to_drop = newest.limit(literal_column("1")).offset(bindparam("kept", type_=s.Number)).scalar_subquery()
    return delete(s.quarantine).where(q.link == link, q.sequence <= newest_to_drop)


def _plain(insert: Insert, table: Table, without: set[str] | frozenset[str] = frozenset()) -> Insertion:
    """Insert a row of all columns but some. Inline: nothing is asked back from the database."""
    return insert(table).values({c.name: bindparam(c.name) for c in table.c if c.name not in without}).inline()


def _is_anchor() -> tuple[ColumnElement[bool], ...]:
    a = s.anchors.c
    return (
        a.partner == bindparam("key_partner"),
        a.acts_as == bindparam("key_role"),
        a.fingerprint == bindparam("key_fingerprint"),
    )


def _is_message() -> tuple[ColumnElement[bool], ...]:
    m = s.messages.c
    return (
        m.transaction_id == bindparam("key_id"),
        m.partner == bindparam("key_partner"),
        m.role == bindparam("key_role"),
        m.type == bindparam("key_type"),
    )


def _is_transaction(columns: Any) -> tuple[ColumnElement[bool], ...]:
    return (
        columns.id == bindparam("key_id"),
        columns.partner == bindparam("key_partner"),
        columns.role == bindparam("key_role"),
    )
