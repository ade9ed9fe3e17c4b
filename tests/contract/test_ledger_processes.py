"""Several processes on one ledger: one wins a race, readers do not wait, a killed one leaves whole units only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from kit import ledger_process
from kit.ledger_units import NOW, US, consumed, invitation_id, invited, key, noted, opened, stored, transaction_id, unit

from agents.adapters.ledger import open_ledger
from agents.core import effects as fx

ROOT = Path(__file__).parents[2]


@contextmanager
def process(mode, url, argument=""):
    """Another process on the ledger; killed at the end if it still runs."""
    command = [sys.executable, "-m", ledger_process.__name__, mode, url, argument]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def told(child):
    return json.loads(child.stdout.readline())


def test_of_two_processes_that_use_one_invitation_exactly_one_wins(ledger, ledger_url):
    numbers = range(ledger_process.INVITATIONS)
    ledger.commit([unit(invited(n)) for n in numbers])
    with process("race", ledger_url, "1") as first, process("race", ledger_url, "2") as second:
        assert [told(first), told(second)] == ["ready", "ready"]
        for child in (first, second):
            child.stdin.write("go\n")
            child.stdin.flush()
        outcomes = list(zip(told(first), told(second), strict=True))
    assert all(sorted(both) == [False, True] for both in outcomes)
    records = ledger.invitations([invitation_id(n) for n in numbers])
    winners = [transaction_id(1) if first_won else transaction_id(2) for first_won, _ in outcomes]
    assert [records[invitation_id(n)].consumed_by for n in numbers] == winners


def test_a_process_that_is_killed_in_the_middle_of_a_commit_leaves_nothing(ledger, ledger_url):
    with process("stop", ledger_url) as child:
        assert told(child) == "in the middle"
        assert ledger.list_transactions() == ()
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert ledger.commit([unit(opened(1), stored(1))]) == (True,)
    assert [record.key for record in ledger.list_transactions()] == [key(1)]
    assert [record.key for record in ledger.outbox(US, limit=10)] == [key(1)]


@pytest.mark.parametrize("batches", [3, 20])
def test_what_a_killed_process_was_told_is_recorded_is_there_and_whole(ledger, ledger_url, batches):
    with process("forever", ledger_url) as child:
        acknowledged = [told(child) for _ in range(batches)]
        child.send_signal(signal.SIGKILL)
        child.wait()
    ids = {record.key.id for record in ledger.list_transactions(limit=100_000)}
    sent = {record.key.id for record in ledger.outbox(US, limit=100_000)}
    assert ids == sent
    assert len(ids) % 8 == 0
    assert {transaction_id(n) for n in range(8 * len(acknowledged))} <= ids


def test_a_reader_sees_the_last_commit_while_another_writes(ledger, ledger_url):
    ledger.commit([unit(opened(1))])
    writer = open_ledger(ledger_url)
    with writer._backend.writing() as cursor:
        writer._recorder.record(cursor, [opened(2)])
        assert [record.key for record in ledger.list_transactions()] == [key(1)]
    assert {record.key for record in ledger.list_transactions()} == {key(1), key(2)}
    writer.close()


def test_threads_commit_and_read_at_once(ledger):
    def work(first):
        for n in range(first, first + 25):
            outcomes.extend(ledger.commit([unit(opened(n), stored(n))]))
            assert ledger.message(key(n), "enrollment.reply").body == b"reply"

    outcomes = []
    threads = [Thread(target=work, args=(first,)) for first in (0, 100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [True] * 100
    assert len({record.sequence for record in ledger.outbox(US, limit=1000)}) == 100


def test_two_ledgers_in_one_process_take_turns(ledger, ledger_url):
    other = open_ledger(ledger_url)
    ledger.commit([unit(invited(1))])
    assert ledger.commit([unit(consumed(1, by=1))]) == (True,)
    assert other.commit([unit(consumed(1, by=2)), unit(noted())]) == (False, True)
    assert other.commit([unit(fx.MarkPublished((1,), NOW))]) == (True,)
    other.close()
