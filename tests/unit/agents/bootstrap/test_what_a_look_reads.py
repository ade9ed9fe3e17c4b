"""A look at an agent costs what it shows, however much is on record."""

import pytest
from kit.ledger_units import certified, opened, stored, unit

from agents.adapters.ledger import records
from agents.bootstrap.agent import Agent
from agents.bootstrap.overview import SHOWN_CERTIFICATES, condition, overview


@pytest.fixture
def made_records(monkeypatch):
    """The kinds of records that are made of rows, as often as they are."""
    made = []
    for kind in ("certificate_record", "transaction_record", "outbox_record"):
        make = getattr(records, kind)
        monkeypatch.setattr(records, kind, lambda row, kind=kind, make=make: made.append(kind) or make(row))
    return made


def test_how_an_agent_fares_is_told_without_its_ledger(homes):
    (homes / "client-c" / "ledger.sqlite").unlink()
    seen = condition(Agent(homes / "client-c"))
    assert (seen["organisation"], seen["running"], seen["healthy"]) == ("client-c", False, False)


def test_an_overview_reads_no_more_than_it_shows(issuer, made_records):
    many = range(2 * SHOWN_CERTIFICATES)
    now = issuer.clock.now()
    issuer.ledger.commit([unit(opened(n, expires_at=now), certified(n + 1), stored(n)) for n in many])
    seen = overview(issuer, limit=3)
    assert (len(seen["certificates"]), len(seen["transactions"])) == (SHOWN_CERTIFICATES, 3)
    assert (seen["waiting_to_leave"], seen["waiting_for_approval"]) == (len(many), 0)
    assert {kind: made_records.count(kind) for kind in made_records} == {
        "certificate_record": SHOWN_CERTIFICATES,
        "transaction_record": 3,
    }
