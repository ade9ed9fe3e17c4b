"""What it records that the broker has confirmed messages of the outbox."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from agents.core.effects import MarkPublished, TransactionKey, Unit
from agents.core.requester import unit_for_move
from protocol.transaction import Event, State


def units_for_confirmed(sequences: Sequence[int], requests: Collection[TransactionKey], now: datetime) -> list[Unit]:
    """These messages have left, and with them the requests of these transactions.

    A reply can be quicker than this record of its request's departure: then the move conflicts, rightly, and alone.
    """
    sent = [unit_for_move(key, State.CREATED, Event.PUBLISHED, now) for key in requests]
    return [Unit((MarkPublished(tuple(sequences), now),)), *sent]
