"""A ledger elsewhere than `agent init` makes it: every message leads to `agent ledger upgrade`, and that makes it."""

import pytest
from kit.agents import Organisation
from kit.old_ledgers import make_old_ledger
from kit.postgres import NoServerError, running_cluster

from agents.adapters.home import HomeLock
from agents.adapters.ledger import open_ledger
from agents.adapters.ledger.schema import REVISION
from agents.bootstrap.setup import Setup, set_up


@pytest.fixture(scope="module")
def database():
    """The URL of an empty database."""
    try:
        with running_cluster() as cluster:
            yield cluster.create_database("ledger")
    except NoServerError as reason:
        pytest.skip(str(reason))


@pytest.fixture
def organisation(tmp_path):
    """An agent without a broker."""
    home = tmp_path / "client-b"
    set_up(Setup(home, "client-b", "Client B"))
    return Organisation("client-b", home)


def keep_ledger_at(organisation, url):
    with (organisation.home / "agent.toml").open("a") as file:
        file.write(f'\n[ledger]\nurl = "{url}"\n')


def test_a_ledger_in_postgresql_is_made_and_then_records_an_enrollment(scene, database):
    requester = scene.requester
    keep_ledger_at(requester, database)
    requester.run("status").expect(5).says("no tables", "`agent ledger upgrade` makes one")
    requester.run("ledger", "upgrade").expect(0).says("Made a new ledger", REVISION, database)
    assert requester.ask("status")["transactions"] == []
    scene.issuer.start()
    (shown,) = (scene.enrolled().ask("status"))["transactions"]
    ledger = open_ledger(database)
    (recorded,) = ledger.list_transactions()
    ledger.close()
    assert (shown["id"], shown["state"]) == (recorded.key.id, "verified")
    in_the_home = open_ledger(str(requester.home / "ledger.sqlite"))
    assert in_the_home.list_transactions() == ()
    in_the_home.close()


def test_a_ledger_in_another_file_is_made_once(organisation):
    keep_ledger_at(organisation, "elsewhere.sqlite")
    file = organisation.home / "elsewhere.sqlite"
    organisation.run("status").expect(5).says(str(file), "`agent ledger upgrade` makes an empty one")
    assert organisation.ask("ledger", "upgrade") == {"ledger": str(file), "from": None, "to": REVISION}
    organisation.run("status").expect(0)
    assert organisation.ask("ledger", "upgrade") == {"ledger": str(file), "from": REVISION, "to": REVISION}
    organisation.run("ledger", "upgrade").expect(0).says("Nothing to do", str(file))


def test_the_ledger_of_an_older_version_is_used_after_its_upgrade_and_not_before(organisation):
    make_old_ledger(str(organisation.home / "elsewhere.sqlite"), "0001")
    keep_ledger_at(organisation, "elsewhere.sqlite")
    organisation.run("status").expect(5).says("has schema 0001", f"wanted {REVISION}", "`agent ledger upgrade`")
    organisation.run("ledger", "upgrade").expect(0).says("0001", REVISION)
    organisation.run("status").expect(0)


def test_the_ledger_of_a_running_agent_is_not_touched(organisation):
    keep_ledger_at(organisation, "elsewhere.sqlite")
    lock = HomeLock(organisation.home)
    lock.acquire()
    try:
        organisation.run("ledger", "upgrade").expect(2).says("an agent already runs", "stop it first")
    finally:
        lock.release()
    assert not (organisation.home / "elsewhere.sqlite").exists()


def test_the_ledger_of_a_newer_version_is_left_alone(organisation):
    ledger = open_ledger(str(organisation.home / "ledger.sqlite"))
    with ledger._backend.writing() as cursor:
        cursor.execute("UPDATE alembic_version SET version_num = '9999'")
    ledger.close()
    refused = organisation.run("ledger", "upgrade", "--json").expect(5)
    assert "has schema 9999; this program knows up to" in refused.error["message"]
