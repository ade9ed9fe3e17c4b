"""The questions of the `Ledger` port: one SELECT each, which sees one committed state and waits for no commit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from itertools import groupby, islice
from typing import Any, TypeVar

from sqlalchemy import BindParameter, Select, bindparam, exists, func, select, tuple_
from sqlalchemy.sql.elements import ColumnElement

from agents.adapters.ledger import records
from agents.adapters.ledger import schema as s
from agents.adapters.ledger.backend import Backend
from agents.adapters.ledger.values import micros
from agents.core.effects import TransactionKey
from agents.errors import StateError
from agents.ports import (
    BacklogRecord,
    CertificateRecord,
    InvitationRecord,
    OutboxRecord,
    PartnerRecord,
    SessionRecord,
    TransactionRecord,
)
from protocol.names import Fingerprint, InvitationId, OrganisationName, SerialNumber
from protocol.transaction import Role, State, is_final

IN_MAX = 500
"""Most values in one IN list: databases bound the parameters of a statement."""

T = TypeVar("T")

_PARTNERS = (
    select(s.partners, s.anchors.c.acts_as, s.anchors.c.fingerprint, s.anchors.c.certificate)
    .select_from(s.partners.outerjoin(s.anchors))
    .order_by(s.partners.c.name, s.anchors.c.pinned_at, s.anchors.c.acts_as)
)
_NEWEST_TRANSACTIONS = select(s.transactions).order_by(s.transactions.c.created_at.desc(), s.transactions.c.id.desc())
_OLDEST_TRANSACTIONS = select(s.transactions).order_by(
    s.transactions.c.created_at, s.transactions.c.id, s.transactions.c.partner
)
_UNDECIDED = (
    s.transactions.c.role == str(Role.ISSUER),
    s.transactions.c.state == str(State.PENDING),
    s.transactions.c.approval.is_(None),
    s.transactions.c.expires_at >= bindparam("now", type_=s.Moment),
)
_BACKLOG = select(
    select(func.count()).where(s.publications.c.published_at.is_(None)).scalar_subquery(),
    select(func.count()).where(*_UNDECIDED).scalar_subquery(),
)
_NEWEST_CERTIFICATES = select(s.certificates).order_by(s.certificates.c.sequence.desc())

# Asked for every batch of requests: to build a list of bound values anew costs more than to look the rows up.
_ANY: BindParameter[str] = bindparam("any", expanding=True)
_INVITATIONS = select(s.invitations).where(s.invitations.c.id.in_(_ANY))
# By id alone, which is all but unique: for a list of row values SQLite would read the whole table.
_TRANSACTIONS = select(s.transactions).where(s.transactions.c.id.in_(_ANY))
_KEY_HOLDERS = (
    select(s.certificates.c.public_key, s.certificates.c.subject)
    .where(s.certificates.c.public_key.in_(_ANY))
    .distinct()
)


def _follows(last: TransactionRecord) -> ColumnElement[bool]:
    """What comes behind it in the order of creation."""
    t = s.transactions.c
    return tuple_(t.created_at, t.id, t.partner) > (micros(last.created_at), str(last.key.id), str(last.key.partner))


def _has_message(type: str) -> ColumnElement[bool]:
    t, m = s.transactions.c, s.messages.c
    return exists().where(m.transaction_id == t.id, m.partner == t.partner, m.role == t.role, m.type == type)


class Queries:
    """The reading half of the ledger."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def partner(self, name: OrganisationName) -> PartnerRecord | None:
        """What is known of a partner."""
        found = self._rows(_PARTNERS.where(s.partners.c.name == str(name)), list)
        return self._made(records.partner_record, found) if found else None

    def partners(self) -> tuple[PartnerRecord, ...]:
        """All partners, by name."""
        rows = self._rows(_PARTNERS, list)
        return tuple(self._made(records.partner_record, list(one)) for _, one in groupby(rows, lambda row: row.name))

    def invitations(self, ids: Collection[InvitationId]) -> dict[InvitationId, InvitationRecord]:
        """Those of `ids` that exist."""
        found = (self._all(_INVITATIONS, records.invitation_record, any=part) for part in _parts(ids))
        return {record.id: record for part in found for record in part}

    def open_invitations(self, partner: OrganisationName, at: datetime) -> tuple[InvitationRecord, ...]:
        """Those of a partner that could be used at a time, oldest first."""
        i = s.invitations.c
        usable = (i.consumed_by.is_(None), i.withdrawn_at.is_(None), i.expires_at > micros(at))
        query = select(s.invitations).where(i.partner == str(partner), *usable).order_by(i.created_at)
        return self._all(query, records.invitation_record)

    def transactions(self, keys: Collection[TransactionKey]) -> dict[TransactionKey, TransactionRecord]:
        """Those of `keys` that exist."""
        parts = _parts([key.id for key in keys])
        found = (self._all(_TRANSACTIONS, records.transaction_record, any=part) for part in parts)
        wanted = frozenset(keys)
        return {record.key: record for part in found for record in part if record.key in wanted}

    def list_transactions(
        self,
        role: Role | None = None,
        states: Collection[State] | None = None,
        limit: int = 1000,
        *,
        partner: OrganisationName | None = None,
    ) -> tuple[TransactionRecord, ...]:
        """Transactions in the order of creation, newest first, filtered where a filter is given: for people."""
        query = _NEWEST_TRANSACTIONS.limit(limit)
        if role is not None:
            query = query.where(s.transactions.c.role == str(role))
        if states is not None:
            query = query.where(s.transactions.c.state.in_([str(state) for state in states]))
        if partner is not None:
            query = query.where(s.transactions.c.partner == str(partner))
        return self._all(query, records.transaction_record)

    def begun_with(self, invitation: InvitationId) -> tuple[TransactionRecord, ...]:
        """Our requests that carry the proof of an invitation, newest first."""
        query = _NEWEST_TRANSACTIONS.where(s.transactions.c.invitation == str(invitation))
        return self._all(query, records.transaction_record)

    def next_transactions(  # noqa: PLR0913 - one filter each
        self,
        role: Role,
        states: Collection[State],
        limit: int,
        after: TransactionRecord | None = None,
        *,
        partner: OrganisationName | None = None,
        decided: bool | None = None,
        updated_before: datetime | None = None,
        expires_before: datetime | None = None,
    ) -> tuple[TransactionRecord, ...]:
        """Transactions in the order of creation, oldest first, those that follow `after` in it: for work that must come
        to all of them. Filtered where a filter is given; `decided` asks whether an operator's word is recorded."""
        t = s.transactions.c
        query = _OLDEST_TRANSACTIONS.where(t.role == str(role), t.state.in_([str(state) for state in states]))
        if after is not None:
            query = query.where(_follows(after))
        if partner is not None:
            query = query.where(t.partner == str(partner))
        if decided is not None:
            query = query.where(t.approval.is_not(None) if decided else t.approval.is_(None))
        if updated_before is not None:
            query = query.where(t.updated_at < micros(updated_before))
        if expires_before is not None:
            query = query.where(t.expires_at < micros(expires_before))
        return self._all(query.limit(limit), records.transaction_record)

    def unacknowledged(
        self, issuer: OrganisationName, created_after: datetime, limit: int, after: TransactionRecord | None = None
    ) -> tuple[TransactionRecord, ...]:
        """Our transactions as a requester of `issuer`, created after a time, whose confirmation is stored and has no
        acknowledgement on record. In the order of creation, oldest first, those that follow `after` in it."""
        t, behind = s.transactions.c, () if after is None else (_follows(after),)
        query = _OLDEST_TRANSACTIONS.where(
            t.role == str(Role.REQUESTER),
            t.state.in_([str(state) for state in State if is_final(Role.REQUESTER, state)]),
            t.created_at > micros(created_after),
            t.partner == str(issuer),
            _has_message("enrollment.confirmation"),
            ~_has_message("enrollment.acknowledgement"),
            *behind,
        )
        return self._all(query.limit(limit), records.transaction_record)

    def message(self, key: TransactionKey, type: str) -> OutboxRecord | None:
        """The latest stored message of this type in a transaction, incoming or outgoing."""
        m = s.messages.c
        of_transaction = (m.transaction_id == str(key.id), m.partner == str(key.partner), m.role == str(key.role))
        query = select(s.messages).where(*of_transaction, m.type == type).order_by(m.sequence.desc()).limit(1)
        return self._first(query, records.outbox_record)

    def outbox(
        self, issuer: OrganisationName, limit: int, after: int = 0, *, stored_before: datetime | None = None
    ) -> tuple[OutboxRecord, ...]:
        """Outgoing messages through the virtual host of `issuer` that are not marked published, with a sequence above
        `after`, oldest first; only those stored before a time if one is given."""
        p = s.publications.c
        query = (
            select(s.messages)
            .join(s.publications, s.messages.c.sequence == p.sequence)
            .where(p.link == str(issuer), p.published_at.is_(None), p.sequence > after)
            .order_by(p.sequence)
            .limit(limit)
        )
        if stored_before is not None:
            query = query.where(s.messages.c.stored_at < micros(stored_before))
        return self._all(query, records.outbox_record)

    def certificate(self, issuer: OrganisationName, serial: SerialNumber) -> CertificateRecord | None:
        """One certificate."""
        c = s.certificates.c
        query = select(s.certificates).where(c.issuer == str(issuer), c.serial == str(serial))
        return self._first(query, records.certificate_record)

    def certificates(self, subject: OrganisationName | None = None, limit: int = 1000) -> tuple[CertificateRecord, ...]:
        """Certificates, newest first, those of one subject if one is given: for people."""
        of_subject = () if subject is None else (s.certificates.c.subject == str(subject),)
        return self._all(_NEWEST_CERTIFICATES.where(*of_subject).limit(limit), records.certificate_record)

    def key_holders(self, public_keys: Collection[Fingerprint]) -> dict[Fingerprint, frozenset[OrganisationName]]:
        """Which organisations hold certificates for these public keys; a key without one is absent."""
        holders: dict[Fingerprint, set[OrganisationName]] = {}
        for part in _parts(public_keys):
            for key, name in self._all(_KEY_HOLDERS, _key_and_holder, any=part):
                holders.setdefault(key, set()).add(name)
        return {key: frozenset(names) for key, names in holders.items()}

    def last_session(self, partner: OrganisationName) -> SessionRecord | None:
        """The latest channel session with a partner."""
        return self._first(select(s.sessions).where(s.sessions.c.partner == str(partner)), records.session_record)

    def backlog(self, now: datetime) -> BacklogRecord:
        """How much waits at `now`; what has expired waits for nobody's word."""
        return self._rows(_BACKLOG, lambda rows: BacklogRecord(*rows.one()), now=micros(now))

    def quarantine_count(self) -> int:
        """How many unusable messages are kept."""
        return self._rows(select(func.count()).select_from(s.quarantine), lambda rows: int(rows.scalar_one()))

    def _all(self, query: Select[Any], make: Callable[[Any], T], **values: object) -> tuple[T, ...]:
        return tuple(self._made(make, row) for row in self._rows(query, list, **values))

    def _first(self, query: Select[Any], make: Callable[[Any], T]) -> T | None:
        return next(iter(self._all(query, make)), None)

    def _rows(self, query: Select[Any], fetch: Callable[[Any], T], **values: object) -> T:
        with self._backend.translating(), self._backend.engine.connect() as connection:
            return fetch(connection.execute(query, values))

    def _made(self, make: Callable[[Any], T], row: Any) -> T:
        try:
            return make(row)
        except (ValueError, TypeError) as error:
            fix = "Keep a copy, and restore the ledger from a backup."
            raise StateError(
                f"The ledger at {self._backend.place} holds a row that cannot be: {error}. {fix}"
            ) from error


def _key_and_holder(row: Any) -> tuple[Fingerprint, OrganisationName]:
    return Fingerprint(row.public_key), OrganisationName(row.subject)


def _parts(values: Collection[str]) -> Iterator[Sequence[str]]:
    """`values` as plain text without repetition, at most `IN_MAX` at a time."""
    rest = iter(dict.fromkeys(values))
    while part := list(islice(rest, IN_MAX)):
        yield [str(value) for value in part]
