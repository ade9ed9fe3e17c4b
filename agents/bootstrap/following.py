"""One enrollment as an operator follows it: by the daemon's work, or by our own where none runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agents.bootstrap.agent import Agent
from agents.core.effects import TransactionKey
from agents.core.health import LinkState, judge_link
from agents.errors import TimedOutError, UnreachableError
from agents.ports import TransactionRecord
from agents.service.reports import said_of_link, state_of
from agents.service.stored import granted, last_said
from agents.service.supervision import ROUND_SECONDS
from protocol.messages import EnrollmentAcknowledgement
from protocol.names import OrganisationName
from protocol.transaction import Event, Role, State, is_final, states_after

POLL_SECONDS = 0.1

GOOD = states_after(Role.REQUESTER, Event.CHANNEL_VERIFIED, Event.KEY_ELSEWHERE)
"""Final states in which the requester has a credential."""


def follow(
    agent: Agent, key: TransactionKey, wait: float, changed: Callable[[TransactionRecord], None]
) -> TransactionRecord:
    """Follow a transaction until it is final, and acknowledged if it ended well; tells every change of state.

    Where no daemon runs, this process does its work meanwhile. Raises `TimedOutError` after `wait` seconds, or
    `UnreachableError` if the broker was not reached in that time; the enrollment goes on with the next daemon.
    """
    deadline = time.monotonic() + wait
    last: State | None = None
    with _somebody_at_work(agent, key.partner) as link_state:
        while True:
            record = agent.ledger.transactions([key])[key]
            if record.state is not last:
                changed(record)
                last = record.state
            if is_final(Role.REQUESTER, record.state) and (record.state not in GOOD or acknowledged(agent, key)):
                return record
            if time.monotonic() > deadline:
                return _out_of_time(record, wait, link_state())
            time.sleep(POLL_SECONDS)


def goes_on(key: TransactionKey) -> str:
    """What to tell whoever stops following a transaction that has not ended."""
    return f"nothing is lost: transaction {key.id} goes on with `agent run`; `agent status` shows it."


def acknowledged(agent: Agent, key: TransactionKey) -> str | None:
    """The state that the issuer says it recorded, None as long as it has not said."""
    said = last_said(agent.ledger, key, EnrollmentAcknowledgement)
    return said.state if said else None


def notes(agent: Agent, key: TransactionKey) -> tuple[str, ...]:
    """What was asked for and is not in the certificate, as the issuer said with it."""
    answer = granted(agent.ledger, key)
    return answer.notes if answer else ()


def _out_of_time(record: TransactionRecord, wait: float, link: LinkState) -> TransactionRecord:
    if record.state in GOOD:
        return record
    rest, obstacle = goes_on(record.key), judge_link(link).obstacle
    if obstacle and not link.connected:
        raise UnreachableError(f"{obstacle} After {wait:.0f} s the enrollment is {record.state}; {rest}")
    if obstacle:
        raise TimedOutError(f"after {wait:.0f} s the enrollment is {record.state}: {obstacle} But {rest}")
    raise TimedOutError(f"after {wait:.0f} s the enrollment is {record.state}; {rest}{_AWAITED.get(record.state, '')}")


_AWAITED = {
    State.SENT: " No answer has been accepted: ask the issuer's operator whether its agent runs, compare both clocks, "
    "and see that no other agent of yours logs in at the broker in this name: it would take the answer.",
    State.PENDING: " A person at the issuer has to approve it.",
}
"""What whoever waited can do, or need not."""


@contextmanager
def _somebody_at_work(agent: Agent, issuer: OrganisationName) -> Iterator[Callable[[], LinkState]]:
    """The daemon if one runs, else a link of our own for the time of the block. Yields how its link fares."""
    if agent.lock.is_held():
        yield lambda: _said_by_daemon(agent, issuer)
        return
    from agents.bootstrap.links import open_link

    agent.lock.acquire()
    link = open_link(agent, Role.REQUESTER, issuer)
    link.worker.start()
    try:
        yield lambda: state_of(link)
    finally:
        link.worker.stop()
        link.worker.join(10 * ROUND_SECONDS)
        link.bus.close(1.0)
        agent.lock.release()


def _said_by_daemon(agent: Agent, issuer: OrganisationName) -> LinkState:
    links = (agent.health() or {}).get("links", [])
    wanted = (Role.REQUESTER, issuer)
    return said_of_link(next((one for one in links if (one.get("role"), one.get("issuer")) == wanted), {}))
