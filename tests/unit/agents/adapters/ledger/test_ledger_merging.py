"""Effects are grouped by type as far as their meaning allows, and never further."""

from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as some
from kit.ledger_units import (
    NOW,
    PARTNER,
    REPLY,
    certified,
    consumed,
    invited,
    key,
    moved,
    noted,
    opened,
    pinned,
    stored,
    unpinned,
)

from agents.adapters.ledger.encoding import WRITES
from agents.adapters.ledger.merging import SUBJECT, merge
from agents.core import effects as fx
from protocol.transaction import State


def types(groups):
    return [kind for kind, _ in groups]


def test_every_effect_has_a_subject_and_is_written():
    assert set(SUBJECT) == set(WRITES) == set(get_args(fx.Effect))


def test_issuances_become_one_group_for_each_type():
    effects = [effect for n in range(1, 9) for effect in (opened(n), certified(n), stored(n), noted())]
    assert types(merge(effects)) == [fx.OpenTransaction, fx.RecordCertificate, fx.StoreMessage, fx.Audit]


def test_a_move_stays_behind_the_opening_of_its_transaction():
    effects = [moved(1, State.PENDING, State.ISSUED), opened(1), moved(2, State.PENDING, State.ISSUED)]
    assert types(merge(effects)) == [fx.MoveTransaction, fx.OpenTransaction]
    assert types(merge([*effects, effects[0]])) == [fx.MoveTransaction, fx.OpenTransaction, fx.MoveTransaction]


def test_later_effects_fill_the_group_that_had_to_be_opened_anew():
    move = moved(1, State.PENDING, State.ISSUED)
    groups = merge([move, opened(1), move, moved(2, State.PENDING, State.ISSUED)])
    assert [len(group) for _, group in groups] == [1, 1, 2]


some_effects = some.lists(
    some.one_of(
        some.builds(opened, some.integers(1, 3)),
        some.builds(moved, some.integers(1, 3), some.just(State.PENDING), some.just(State.ISSUED)),
        some.builds(invited, some.integers(1, 3)),
        some.builds(consumed, some.integers(1, 3), by=some.integers(1, 3)),
        some.builds(pinned, some.binary(min_size=1, max_size=1)),
        some.builds(unpinned, some.binary(min_size=1, max_size=1)),
        some.builds(fx.RecordPartner, some.just(PARTNER), some.just(NOW)),
        some.builds(stored, some.integers(1, 3)),
        some.builds(fx.MarkUnpublished, some.builds(key, some.integers(1, 3)), some.just(REPLY)),
    ),
    max_size=12,
)


@given(some_effects)
def test_nothing_is_lost_and_effects_about_one_subject_keep_their_order(effects):
    merged = [effect for _, group in merge(effects) for effect in group]
    assert sorted(map(id, merged)) == sorted(map(id, effects))
    for subject in {SUBJECT[type(effect)](effect) for effect in effects}:
        about = [[id(e) for e in order if SUBJECT[type(e)](e) == subject] for order in (effects, merged)]
        assert about[0] == about[1]
