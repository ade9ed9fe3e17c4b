"""The migrations make exactly the tables that the program is written for, on both databases."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from alembic.script import ScriptDirectory
from kit.ledger_units import NOW, PARTNER, REPLY, US, invitation_id, key, opened, serial, unit
from sqlalchemy import create_engine, event, inspect

from agents.adapters.ledger import open_ledger
from agents.adapters.ledger.schema import REVISION, metadata
from agents.adapters.ledger.sqlite import sqlite_backend
from agents.adapters.ledger.upgrading import migrations
from protocol.names import Fingerprint
from protocol.transaction import Role, State


def test_the_program_knows_the_newest_migration():
    assert ScriptDirectory.from_config(migrations()).get_heads() == [REVISION]


def sqlite_definitions(path):
    """Every CREATE statement but Alembic's own, with the white space evened out."""
    with closing(sqlite3.connect(path)) as link:
        rows = link.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: " ".join(sql.split()) for name, sql in rows if name != "alembic_version"}


def test_migrated_tables_are_those_of_the_program_in_sqlite(sqlite_url, tmp_path):
    fresh = tmp_path / "fresh.sqlite"
    metadata.create_all(sqlite_backend(fresh, create=True).engine)
    assert sqlite_definitions(sqlite_url.removeprefix("sqlite:///")) == sqlite_definitions(fresh)


def test_migrated_tables_are_those_of_the_program_in_postgresql(postgres, postgres_url):
    fresh = create_engine(postgres.create_database("fresh"))
    metadata.create_all(fresh)
    migrated = create_engine(postgres_url)
    for table in metadata.tables:
        assert described(migrated, table) == described(fresh, table)
    fresh.dispose()
    migrated.dispose()


def described(engine, table):
    seen = inspect(engine)
    columns = [(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in seen.get_columns(table)]
    return columns, seen.get_indexes(table), seen.get_pk_constraint(table), seen.get_foreign_keys(table)


def questions(url):
    """Every question but those for everything, as the database is asked it: its text, and its values."""
    ledger, asked = open_ledger(url), []
    ledger.commit([unit(opened(1))])
    (as_listed,) = ledger.list_transactions()
    event.listen(ledger._backend.engine, "before_cursor_execute", lambda *seen: asked.append((seen[2], seen[3])))
    ledger.partner(PARTNER)
    ledger.invitations([invitation_id(1), invitation_id(2)])
    ledger.open_invitations(PARTNER, NOW)
    ledger.transactions([key(1), key(2)])
    ledger.list_transactions()
    ledger.list_transactions(Role.ISSUER, [State.PENDING])
    ledger.next_transactions(Role.ISSUER, [State.PENDING], 10, as_listed, decided=True, expires_before=NOW)
    ledger.unacknowledged(PARTNER, NOW, 10, as_listed)
    ledger.message(key(1), REPLY)
    ledger.outbox(US, limit=10, after=5, stored_before=NOW)
    ledger.certificate(US, serial(1))
    ledger.certificates(PARTNER, limit=10)
    ledger.key_holders([Fingerprint.of(b"key")])
    ledger.last_session(PARTNER)
    ledger.begun_with(invitation_id(1))
    ledger.backlog(NOW)
    ledger.close()
    assert len(asked) == 16
    return asked


def test_sqlite_reads_no_whole_table_to_answer(sqlite_url):
    asked = questions(sqlite_url)
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as link:
        for question, values in asked:
            steps = [row[3] for row in link.execute(f"EXPLAIN QUERY PLAN {question}", values)]
            slow = [step for step in steps if step.startswith("SCAN") and " USING " not in step]
            assert not [step for step in slow if "CONSTANT ROW" not in step], (question, steps)


def test_postgresql_need_not_read_a_whole_table_to_answer(postgres_url):
    """Of a few rows it reads the whole table all the same, unless it is told to look for another way."""
    asked = questions(postgres_url)
    engine = create_engine(postgres_url)
    with engine.connect() as link:
        link.exec_driver_sql("SET enable_seqscan = off")
        for question, values in asked:
            steps = [row[0] for row in link.exec_driver_sql(f"EXPLAIN {question}", values)]
            assert not [step for step in steps if "Seq Scan" in step], (question, steps)
    engine.dispose()
