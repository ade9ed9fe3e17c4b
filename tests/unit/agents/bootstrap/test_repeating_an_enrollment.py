"""An enrollment that is asked for again goes on with the first one, as long as its outcome is worth following."""

import subprocess
from dataclasses import replace
from datetime import timedelta

import pytest

from agents.bootstrap.agent import Agent
from agents.bootstrap.agreement import agree
from agents.bootstrap.asking import Ask
from agents.bootstrap.earlier import earlier
from agents.bootstrap.enrollment import read_invitation, start
from agents.core.effects import MoveTransaction, Unit
from agents.errors import UnusableFileError
from agents.service.enrolling import REQUEST_LIFETIME
from agents.service.installing import PATIENCE
from agents.service.stored import asked
from protocol.csr import KeyKind, NameKind, SubjectName
from protocol.transaction import Role, State

API, WWW = (SubjectName(NameKind.DNS, f"{label}.client-b.example") for label in ("api", "www"))
ASK = Ask(issuer=None, names=(API, WWW))


class Later:
    """A clock that is ahead."""

    def __init__(self, clock, ahead):
        self._clock, self._ahead = clock, ahead

    def now(self):
        return self._clock.now() + self._ahead

    def monotonic(self):
        return self._clock.monotonic()


@pytest.fixture
def invitation(homes):
    return read_invitation(homes / "invitation", None)


@pytest.fixture
def another(homes, issuer):
    """A further invitation from the same issuer."""
    agree(issuer, "client-b", (), "1h", manual=False, out=homes / "another")
    return read_invitation(homes / "another", None)


@pytest.fixture
def own(tmp_path):
    """A request made by openssl, and its key."""
    key, csr = tmp_path / "own.key", tmp_path / "own.csr"
    command = f"openssl req -new -newkey rsa:2048 -nodes -subj / -keyout {key} -out {csr}"
    subprocess.run([*command.split(), "-addext", f"subjectAltName=DNS:{API.value}"], check=True, timeout=180)
    return Ask(issuer=None, csr_file=csr, key_file=key)


def move(agent, key, state, before=State.CREATED):
    effect = MoveTransaction(key, before, state, agent.clock.now())
    assert agent.ledger.commit([Unit((effect,))]) == (True,)


def found(agent, ask, invitation):
    record = earlier(agent, ask, invitation)
    return record and record.key


@pytest.mark.parametrize("state", [State.CREATED, State.SENT, State.PENDING, State.ISSUED, State.INSTALLED])
def test_one_that_goes_on_is_followed_with_its_invitation_or_without_one(requester, invitation, state):
    key = start(requester, ASK, invitation)
    if state is not State.CREATED:
        move(requester, key, state)
    assert found(requester, ASK, invitation) == key
    assert found(requester, ASK, None) == key
    assert found(requester, replace(ASK, names=(WWW, API)), invitation) == key


@pytest.mark.parametrize("state", [State.VERIFIED, State.DELIVERED])
def test_one_that_ended_well_is_followed_only_with_the_very_invitation_that_it_used(
    requester, invitation, another, state
):
    key = start(requester, ASK, invitation)
    move(requester, key, state)
    assert found(requester, ASK, invitation) == key
    assert found(requester, ASK, None) is None
    assert found(requester, ASK, another) is None


@pytest.mark.parametrize("state", [State.REFUSED, State.EXPIRED, State.FAILED])
def test_one_that_came_to_nothing_is_begun_anew(requester, invitation, state):
    move(requester, start(requester, ASK, invitation), state)
    assert found(requester, ASK, invitation) is None


def test_another_invitation_is_a_new_beginning(requester, invitation, another):
    first = start(requester, ASK, invitation)
    assert found(requester, ASK, another) is None
    second = start(requester, ASK, another)
    assert [found(requester, ASK, one) for one in (invitation, another, None)] == [first, second, second]


@pytest.mark.parametrize(
    "other",
    [
        replace(ASK, names=(API,)),
        replace(ASK, common_name="api"),
        replace(ASK, key_kind=KeyKind.P384),
        replace(ASK, lifetime=timedelta(days=1)),
    ],
)
def test_whoever_asks_for_something_else_begins_anew(requester, invitation, other):
    first = start(requester, ASK, invitation)
    assert found(requester, other, invitation) is None
    second = start(requester, other, invitation)
    assert (found(requester, ASK, None), found(requester, other, None)) == (first, second)


@pytest.fixture
def later(requester):
    """Gives the agent as it is some time later."""
    opened = []

    def after(time):
        opened.append(Agent(requester.home, clock=Later(requester.clock, time + timedelta(seconds=1))))
        return opened[-1]

    yield after
    for agent in opened:
        agent.ledger.close()


def test_a_request_that_nobody_answers_any_more_is_begun_anew(requester, invitation, later):
    key = start(requester, ASK, invitation)
    late = later(REQUEST_LIFETIME)
    assert found(late, ASK, invitation) is None
    move(requester, key, State.VERIFIED)
    assert found(late, ASK, invitation) == key


@pytest.mark.parametrize("state", [State.ISSUED, State.INSTALLED])
def test_one_that_should_have_ended_long_ago_is_begun_anew(requester, invitation, later, state):
    key = start(requester, ASK, invitation)
    move(requester, key, state)
    assert found(later(PATIENCE / 2), ASK, invitation) == key
    assert [found(later(PATIENCE), ASK, one) for one in (invitation, None)] == [None, None]


EXPIRED = timedelta(hours=2)
"""After this time no invitation here is good any more."""


@pytest.mark.parametrize("state", [State.REFUSED, State.EXPIRED])
def test_what_came_to_nothing_is_told_once_its_invitation_can_begin_nothing_else(requester, invitation, later, state):
    move(requester, key := start(requester, ASK, invitation), state)
    assert found(later(EXPIRED), ASK, invitation) == key
    assert found(later(EXPIRED), ASK, None) is None
    assert found(later(EXPIRED), replace(ASK, names=(API,)), invitation) is None


@pytest.mark.parametrize("state", [State.VERIFIED, State.FAILED])
def test_whoever_used_an_invitation_before_it_expired_asks_again_without_it(requester, invitation, later, state):
    move(requester, start(requester, ASK, invitation), state)
    late = later(EXPIRED)
    assert proof(late, start(late, replace(ASK, names=(API,)), invitation)) is None
    assert (found(late, ASK, invitation) is None) == (state is State.FAILED)


def test_an_invitation_that_has_expired_unused_begins_nothing(requester, invitation, later):
    start(requester, ASK, invitation)
    with pytest.raises(UnusableFileError):
        start(later(EXPIRED), replace(ASK, names=(API,)), invitation)


# --- an invitation that has been used


@pytest.mark.parametrize("state", [State.ISSUED, State.INSTALLED, State.VERIFIED, State.DELIVERED, State.FAILED])
def test_once_a_request_with_it_was_granted_an_invitation_is_left_out(requester, invitation, another, state):
    first = start(requester, ASK, invitation)
    assert proof(requester, first) == invitation.id
    move(requester, first, state)
    assert proof(requester, start(requester, ASK, invitation)) is None
    assert proof(requester, start(requester, ASK, another)) == another.id


@pytest.mark.parametrize("state", [State.SENT, State.PENDING, State.REFUSED, State.EXPIRED])
def test_as_long_as_no_request_with_it_was_granted_an_invitation_is_given(requester, invitation, state):
    move(requester, start(requester, ASK, invitation), state)
    assert proof(requester, start(requester, ASK, invitation)) == invitation.id


@pytest.mark.parametrize("state", [State.SENT, State.ISSUED, State.VERIFIED])
def test_one_begun_with_an_invitation_that_was_left_out_is_followed_too(requester, invitation, another, state):
    move(requester, start(requester, ASK, invitation), State.FAILED)
    move(requester, second := start(requester, ASK, invitation), state)
    assert found(requester, ASK, invitation) == second
    assert found(requester, ASK, another) is None


def test_what_was_asked_for_without_an_invitation_before_it_was_used_is_not_its_outcome(requester, invitation, another):
    move(requester, start(requester, ASK, another), State.FAILED)
    move(requester, start(requester, ASK, None), State.VERIFIED)
    move(requester, start(requester, ASK, invitation), State.FAILED)
    assert found(requester, ASK, invitation) is None


def proof(agent, key):
    """Which invitation a request proves to have."""
    given = asked(agent.ledger, key).invitation
    return given and given.id


def test_an_own_request_is_followed_by_its_file_and_its_key(requester, invitation, own):
    key = start(requester, own, invitation)
    assert requester.ledger.transactions([key])[key].key_path == str(own.key_file)
    assert found(requester, own, invitation) == key
    assert found(requester, replace(own, key_file=None), invitation) is None
    assert found(requester, replace(ASK, names=(API,)), invitation) is None


def test_a_transaction_in_which_we_are_the_issuer_is_none_of_ours(requester, invitation):
    start(requester, ASK, invitation)
    assert requester.ledger.list_transactions(Role.ISSUER) == ()
    assert found(requester, replace(ASK, issuer="client-d"), None) is None
