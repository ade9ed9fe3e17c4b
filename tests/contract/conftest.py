"""Ledgers for the contract suites: each suite runs over SQLite and over a real PostgreSQL."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest
from kit.postgres import Cluster, NoServerError, running_cluster

from agents.adapters.ledger import open_ledger, upgrade_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agents.adapters.ledger.ledger import SqlLedger

_numbers = count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL server with a database `template` that holds an empty ledger."""
    try:
        with running_cluster() as cluster:
            upgrade_ledger(cluster.create_database("template"))
            yield cluster
    except NoServerError as reason:
        pytest.skip(str(reason))


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    upgrade_ledger(url)
    return url


@pytest.fixture
def postgres_url(postgres: Cluster) -> str:
    return postgres.create_database(f"ledger-{next(_numbers)}", template="template")


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty ledger."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(name))


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[SqlLedger]:
    opened = open_ledger(ledger_url)
    yield opened
    opened.close()
