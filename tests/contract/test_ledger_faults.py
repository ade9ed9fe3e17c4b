"""Ledgers that cannot be used: each is refused with what was got and what to do, and nothing is recorded by halves."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from kit import ledger_process
from kit.ledger_units import US, key, noted, opened, stored, unit
from sqlalchemy import event

from agents.adapters.ledger import Upgraded, open_ledger, postgresql, revision, sqlite, upgrade_ledger, upgrading
from agents.adapters.ledger.schema import REVISION
from agents.errors import ConfigurationError, LedgerUnavailableError, StateError

ROOT = Path(__file__).parents[2]


def refusal(action, *args, **kwargs):
    """The message of the `StateError`, other than unavailability, that `action` raises."""
    with pytest.raises(StateError) as caught:
        action(*args, **kwargs)
    assert not isinstance(caught.value, LedgerUnavailableError)
    return str(caught.value)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


# --- addresses -------------------------------------------------------------------------------------------------------


def test_a_path_and_a_url_name_the_same_ledger(path):
    by_path = open_ledger(str(path), create=True)
    by_path.commit([unit(opened(1))])
    by_url = open_ledger(f"sqlite:///{path}")
    assert [record.key for record in by_url.list_transactions()] == [key(1)]
    by_path.close()
    by_url.close()


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///:memory:", "mysql://host/name", "sqlite+aiosqlite:///x", "://", "postgresql://h:x/d"],
)
def test_an_address_that_is_no_ledgers_is_refused(url):
    with pytest.raises(ConfigurationError, match="postgresql\\+psycopg"):
        open_ledger(url, create=True)


def test_a_directory_is_no_ledger(tmp_path):
    with pytest.raises(ConfigurationError, match="must be a file"):
        open_ledger(str(tmp_path))


def test_a_password_is_never_shown():
    with pytest.raises(LedgerUnavailableError) as caught:
        open_ledger("postgresql+psycopg://agent:hunter2@127.0.0.1:1/ledger")
    assert "hunter2" not in str(caught.value)
    assert "agent:***@127.0.0.1:1/ledger" in str(caught.value)


# --- missing and foreign ---------------------------------------------------------------------------------------------


def test_a_ledger_that_is_not_there_is_not_made_unasked(path):
    assert "`agent ledger upgrade`" in refusal(open_ledger, str(path))
    assert not path.exists()


def test_an_empty_file_is_no_ledger_until_it_is_made_one(path):
    path.touch(mode=0o600)
    message = refusal(open_ledger, str(path))
    assert "no tables" in message
    assert "`agent ledger upgrade`" in message
    open_ledger(str(path), create=True).close()


def test_a_ledger_in_a_directory_that_is_missing_says_so(tmp_path):
    with pytest.raises(LedgerUnavailableError, match="No such file or directory"):
        open_ledger(str(tmp_path / "missing" / "ledger.sqlite"), create=True)


def test_an_empty_database_is_no_ledger(postgres):
    url = postgres.create_database("empty")
    assert "no tables" in refusal(open_ledger, url)


def test_a_database_that_does_not_exist_is_unavailable(postgres):
    with pytest.raises(LedgerUnavailableError, match='database "missing" does not exist'):
        open_ledger(postgres.url("missing"), create=True)


# --- versions --------------------------------------------------------------------------------------------------------


def set_revision(url, revision):
    ledger = open_ledger(url)
    with ledger._backend.writing() as cursor:
        cursor.execute(f"UPDATE alembic_version SET version_num = '{revision}'")  # noqa: S608 -- placeholders differ
    ledger.close()


@pytest.mark.parametrize("create", [False, True])
def test_the_ledger_of_a_newer_program_is_left_alone(ledger_url, create):
    set_revision(ledger_url, "9999")
    message = refusal(open_ledger, ledger_url, create=create)
    assert "schema 9999" in message
    assert "newer program" in message


def test_the_ledger_of_an_older_program_is_not_upgraded_unasked(ledger_url):
    set_revision(ledger_url, "0000")
    message = refusal(open_ledger, ledger_url)
    assert "make a backup" in message
    assert "`agent ledger upgrade`" in message


def test_a_new_ledger_is_told_from_a_current_one(ledger_url, path, postgres):
    fresh = str(path.with_name("fresh")) if ledger_url.startswith("sqlite") else postgres.create_database("new")
    made = upgrade_ledger(fresh)
    assert made == Upgraded(made.place, None, REVISION)
    assert upgrade_ledger(fresh) == Upgraded(made.place, REVISION, REVISION)


def test_an_upgrade_of_a_current_ledger_changes_nothing(ledger_url, ledger):
    ledger.commit([unit(opened(1))])
    upgrade_ledger(ledger_url)
    assert [record.key for record in ledger.list_transactions()] == [key(1)]


NEXT = f"{int(REVISION) + 1:04}"

NEXT_MIGRATION = f"""
from alembic import op
from sqlalchemy import Column, Text

revision, down_revision = "{NEXT}", "{REVISION}"

def upgrade():
    op.add_column("audit", Column("place", Text))
    op.execute("{{then}}")
"""


@pytest.fixture
def next_version(monkeypatch, tmp_path):
    """Makes this program the next one, which has one migration more."""

    def become(then):
        shutil.copytree(Path(upgrading.__file__).with_name("migrations"), tmp_path / "migrations")
        (tmp_path / f"migrations/versions/{NEXT}_next.py").write_text(NEXT_MIGRATION.format(then=then))
        config = upgrading.migrations()
        config.set_main_option("script_location", str(tmp_path / "migrations"))
        monkeypatch.setattr(upgrading, "migrations", lambda: config)
        for module in (upgrading, revision):
            monkeypatch.setattr(module, "REVISION", NEXT)

    return become


def test_the_ledger_of_an_older_program_is_upgraded_and_keeps_its_rows(ledger_url, ledger, next_version):
    ledger.commit([unit(opened(1))])
    next_version("UPDATE audit SET place = 'here'")
    assert f"schema {REVISION}; wanted {NEXT}" in refusal(open_ledger, ledger_url)
    done = upgrade_ledger(ledger_url)
    assert (done.before, done.after) == (REVISION, NEXT)
    upgraded = open_ledger(ledger_url)
    assert [record.key for record in upgraded.list_transactions()] == [key(1)]
    upgraded.close()


def test_an_upgrade_that_fails_leaves_the_older_ledger_as_it_was(ledger_url, ledger, next_version):
    ledger.commit([unit(opened(1))])
    next_version("INSERT INTO nowhere VALUES (1)")
    assert "nowhere" in refusal(upgrade_ledger, ledger_url)
    assert ledger.commit([unit(opened(2)), unit(noted())]) == (True, True)
    assert f"schema {REVISION}; wanted {NEXT}" in refusal(open_ledger, ledger_url)


def test_a_schema_that_no_version_made_is_left_alone(ledger_url):
    set_revision(ledger_url, "0000")
    assert "no version of this program made" in refusal(upgrade_ledger, ledger_url)


def test_a_database_with_the_tables_of_another_program_is_left_alone(ledger_url, ledger):
    with ledger._backend.writing() as cursor:
        cursor.execute("DROP TABLE alembic_version")
    message = refusal(upgrade_ledger, ledger_url)
    assert "anchors, audit, certificates" in message
    assert "Name an empty database" in message


def test_threads_can_make_ledgers_at_once(tmp_path):
    places = [str(tmp_path / f"{number}.sqlite") for number in range(8)]
    with ThreadPoolExecutor(len(places)) as threads:
        assert {made.before for made in threads.map(upgrade_ledger, places)} == {None}
    for place in places:
        open_ledger(place).close()


def test_the_normal_path_does_not_load_the_migration_library(sqlite_url):
    program = "import sys; from agents.adapters.ledger import open_ledger; open_ledger(sys.argv[1]).partners(); "
    program += "sys.exit(sorted({'alembic', 'psycopg', 'sqlalchemy.orm'} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", program, sqlite_url], cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


# --- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("create", [False, True])
def test_a_file_that_is_no_ledger_is_left_as_it_is(path, create):
    path.touch(mode=0o600)
    path.write_bytes(b"this is not a ledger" * 1000)
    message = refusal(open_ledger, str(path), create=create)
    assert "file is not a database" in message
    assert "backup" in message
    assert path.read_bytes() == b"this is not a ledger" * 1000


def test_damaged_pages_are_reported_when_they_are_met(path):
    ledger = open_ledger(str(path), create=True)
    ledger.commit([unit(opened(n)) for n in range(50)])
    with ledger._backend.writing() as cursor:
        cursor.execute("SELECT rootpage FROM sqlite_master WHERE name = 'transactions'")
        page = cursor.fetchone()[0]
    ledger.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)
    ledger = open_ledger(str(path))
    assert ledger.partners() == ()
    for action in (lambda: ledger.transactions([key(1)]), lambda: ledger.commit([unit(opened(60))])):
        message = refusal(action)
        assert "malformed" in message
        assert "restore the ledger from a backup" in message
    ledger.close()


def test_a_ledger_without_one_of_its_tables_is_refused(ledger):
    with ledger._backend.writing() as cursor:
        cursor.execute("DROP TABLE sessions")
    assert "ledger" in refusal(ledger.last_session, US)


def test_a_row_that_cannot_be_is_damage_and_not_a_partners_fault(ledger):
    ledger.commit([unit(opened(1))])
    with ledger._backend.writing() as cursor:
        cursor.execute("UPDATE transactions SET state = 'imagined'")
    assert "'imagined' is not a valid State" in refusal(ledger.list_transactions)


# --- unavailable -----------------------------------------------------------------------------------------------------


def test_a_locked_ledger_is_unavailable_and_recovers(ledger_url, monkeypatch):
    monkeypatch.setattr(sqlite, "_PRAGMAS", ("PRAGMA busy_timeout = 100", *sqlite._PRAGMAS[1:]))
    monkeypatch.setattr(postgresql, "_SETTINGS", ("SET lock_timeout = '100ms'",))
    holder, ledger = open_ledger(ledger_url), open_ledger(ledger_url)
    with holder._backend.writing(), pytest.raises(LedgerUnavailableError, match="lock"):
        ledger.commit([unit(opened(1))])
    assert ledger.list_transactions() == ()
    assert ledger.commit([unit(opened(1))]) == (True,)
    holder.close()
    ledger.close()


def test_a_full_disk_records_nothing_and_recovers(path):
    ledger = open_ledger(str(path), create=True)
    ledger.commit([unit(opened(1))])

    def bound(connection, _):
        connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(ledger._backend.engine, "connect", bound)
    with closing(sqlite3.connect(path)) as link:
        pages = link.execute("PRAGMA page_count").fetchone()[0] + 20
    ledger.close()  # connections made from now on are bounded
    batch = [unit(opened(n), stored(n, bytes(4096))) for n in range(2, 100)]
    with pytest.raises(LedgerUnavailableError, match="Make room"):
        ledger.commit(batch)
    assert [record.key for record in ledger.list_transactions()] == [key(1)]
    pages = 10_000
    ledger.close()
    assert ledger.commit(batch) == (True,) * len(batch)
    ledger.close()


def test_a_full_disk_in_the_middle_of_separate_units_records_nothing(path):
    ledger = open_ledger(str(path), create=True)
    ledger.commit([unit(opened(1))])
    event.listen(ledger._backend.engine, "connect", lambda link, _: link.execute("PRAGMA max_page_count = 60"))
    ledger.close()
    conflicting = unit(opened(1))
    with pytest.raises(LedgerUnavailableError, match="Make room"):
        ledger.commit([conflicting, *[unit(stored(n, bytes(8192))) for n in range(2, 100)]])
    assert ledger.outbox(US, limit=10) == ()
    ledger.close()


def test_a_directory_that_may_not_be_written_makes_the_ledger_unavailable(tmp_path, path):
    upgrade_ledger(str(path))
    tmp_path.chmod(0o500)
    try:
        name, message = as_ordinary_user("once", str(path))
    finally:
        tmp_path.chmod(0o700)
    assert name == "LedgerUnavailableError"
    assert "Let this user write the file and its directory" in message


def as_ordinary_user(mode, url):
    """Run `ledger_process` without root's privilege to ignore file modes, if we have it."""
    command = [sys.executable, "-m", ledger_process.__name__, mode, url]
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("root ignores file modes, and there is no setpriv to give that up")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    return json.loads(subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout)


def test_a_server_that_ended_our_connections_is_met_again(postgres, postgres_url):
    ledger = open_ledger(postgres_url)
    ledger.commit([unit(opened(1))])
    postgres.run_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'ledger-%'")
    assert ledger.commit([unit(opened(2))]) == (True,)
    ledger.close()


def test_a_connection_that_is_cut_in_the_middle_of_a_commit_records_nothing(postgres, postgres_url, caplog):
    ledger = open_ledger(postgres_url)
    perform = ledger._recorder._perform

    def cut(cursor, write):
        postgres.run_sql(f"SELECT pg_terminate_backend({cursor.connection.info.backend_pid})")
        perform(cursor, write)

    ledger._recorder._perform = cut
    with pytest.raises(LedgerUnavailableError, match="PostgreSQL: "):
        ledger.commit([unit(opened(1))])
    assert not any(record.exc_info for record in caplog.records)  # no traceback for the operator
    ledger._recorder._perform = perform
    assert ledger.list_transactions() == ()
    assert ledger.commit([unit(opened(1))]) == (True,)
    ledger.close()


# --- protection ------------------------------------------------------------------------------------------------------


def test_nobody_else_can_read_the_ledger_or_the_files_beside_it(path):
    before = os.umask(0)
    try:
        ledger = open_ledger(str(path), create=True)
        ledger.commit([unit(noted())])
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {path.name: 0o600, f"{path.name}-wal": 0o600, f"{path.name}-shm": 0o600}
    ledger.close()


def test_a_ledger_that_others_can_read_is_refused(path):
    upgrade_ledger(str(path))
    path.chmod(0o640)
    message = refusal(open_ledger, str(path))
    assert "0640" in message
    assert "chmod 600" in message


def test_every_commit_is_flushed_to_disk(path):
    ledger = open_ledger(str(path), create=True)
    with ledger._backend.writing() as cursor:
        found = [
            cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert found == ["wal", 2, 1]
    ledger.close()
