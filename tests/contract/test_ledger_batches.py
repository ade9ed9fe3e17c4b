"""A batch means the same as its units one after the other: held for random units over a small world."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as some
from kit.ledger_units import (
    NOW,
    OTHER,
    PARTNER,
    REPLY,
    US,
    certified,
    consumed,
    invitation_id,
    invited,
    key,
    moved,
    opened,
    pinned,
    serial,
    shown,
    stored,
)

from agents.adapters.ledger import open_ledger
from agents.core import effects as fx
from protocol.transaction import State

numbers = some.integers(1, 2)
states = some.sampled_from([State.PENDING, State.ISSUED])
partners = some.sampled_from([PARTNER, OTHER])
_bodies = count()

effects = some.one_of(
    some.builds(opened, numbers, state=states),
    some.builds(moved, numbers, states, states),
    some.builds(fx.RecordApproval, some.builds(key, numbers), some.booleans(), some.just("word"), some.just(NOW)),
    some.builds(certified, numbers, subject=partners),
    some.builds(fx.RevokeCertificate, some.builds(serial, numbers), some.just(US), some.just(NOW), some.just("why")),
    some.builds(shown, numbers),
    some.builds(fx.RecordPartner, partners, some.just(NOW), agreed=some.none() | some.booleans()),
    some.builds(pinned, some.sampled_from([b"root", b"forged"]), partner=partners),
    some.builds(invited, numbers),
    some.builds(fx.WithdrawInvitations, some.just(PARTNER), some.just(NOW)),
    some.builds(consumed, numbers, by=numbers),
    some.builds(stored, numbers, some.builds(lambda: b"%d" % next(_bodies)), outgoing=some.booleans()),
    some.builds(fx.MarkPublished, some.lists(some.integers(1, 6), max_size=3).map(tuple), some.just(NOW)),
    some.builds(fx.MarkSent, some.builds(lambda n: ((key(n), REPLY),), numbers), some.just(NOW)),
    some.builds(fx.MarkUnpublished, some.builds(key, numbers), some.just(REPLY)),
    some.builds(fx.Quarantine, some.just(US), some.just(NOW), some.just("why"), some.just(b"x")),
)
units = some.lists(effects, min_size=1, max_size=4).map(lambda made: fx.Unit(tuple(made)))


def all_of(ledger):
    """What the two ledgers must agree on."""
    return (
        ledger.partners(),
        ledger.invitations([invitation_id(n) for n in (1, 2)]),
        ledger.transactions([key(n) for n in (1, 2)]),
        ledger.certificates(),
        ledger.outbox(US, limit=100),
        [ledger.message(key(n), REPLY) for n in (1, 2)],
        ledger.quarantine_count(),
    )


@settings(max_examples=60)
@given(batches=some.lists(some.lists(units, min_size=1, max_size=6), min_size=1, max_size=3))
def test_a_batch_records_what_its_units_record_one_after_the_other(batches):
    with TemporaryDirectory() as directory:
        together = open_ledger(str(Path(directory, "together")), create=True)
        separately = open_ledger(str(Path(directory, "separately")), create=True)
        for batch in batches:
            assert together.commit(batch) == tuple(separately.commit([one])[0] for one in batch)
        assert all_of(together) == all_of(separately)
        together.close()
        separately.close()
