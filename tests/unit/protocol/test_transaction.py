from itertools import product

import pytest

from protocol.transaction import (
    TABLE,
    Event,
    Role,
    State,
    TransitionError,
    is_final,
    mermaid,
    states_after,
    states_before,
    states_from,
    step,
    unfinished,
)

START = {Role.REQUESTER: State.CREATED, Role.ISSUER: State.RECEIVED}
FINAL = {
    Role.REQUESTER: {State.VERIFIED, State.DELIVERED, State.REFUSED, State.EXPIRED, State.FAILED},
    Role.ISSUER: {State.CONFIRMED, State.DELIVERED, State.REFUSED, State.EXPIRED, State.LAPSED},
}
PAIRS = [*product(Role, State, Event)]


WAITING = (State.CREATED, State.SENT, State.PENDING)
UNDECIDED = (State.RECEIVED, State.PENDING)
LISTED = [
    (Role.REQUESTER, Event.PUBLISHED, [State.CREATED], State.SENT),
    (Role.REQUESTER, Event.HELD, WAITING, State.PENDING),
    (Role.REQUESTER, Event.GRANTED, WAITING, State.ISSUED),
    (Role.REQUESTER, Event.DECLINED, WAITING, State.REFUSED),
    (Role.REQUESTER, Event.TIMED_OUT, WAITING, State.EXPIRED),
    (Role.REQUESTER, Event.INSTALLED, [State.ISSUED], State.INSTALLED),
    (Role.REQUESTER, Event.UNUSABLE, [State.ISSUED, State.INSTALLED], State.FAILED),
    (Role.REQUESTER, Event.CHANNEL_VERIFIED, [State.INSTALLED], State.VERIFIED),
    (Role.REQUESTER, Event.KEY_ELSEWHERE, [State.INSTALLED], State.DELIVERED),
    (Role.ISSUER, Event.HELD, [State.RECEIVED], State.PENDING),
    (Role.ISSUER, Event.GRANTED, UNDECIDED, State.ISSUED),
    (Role.ISSUER, Event.DECLINED, UNDECIDED, State.REFUSED),
    (Role.ISSUER, Event.TIMED_OUT, [State.PENDING], State.EXPIRED),
    (Role.ISSUER, Event.CONFIRMED, [State.ISSUED], State.CONFIRMED),
    (Role.ISSUER, Event.UNSEEN, [State.ISSUED], State.DELIVERED),
    (Role.ISSUER, Event.KEY_ELSEWHERE, [State.ISSUED], State.DELIVERED),
    (Role.ISSUER, Event.REJECTED, [State.ISSUED], State.LAPSED),
    (Role.ISSUER, Event.UNCONFIRMED, [State.ISSUED], State.LAPSED),
]


@pytest.mark.parametrize(("role", "event", "before", "after"), LISTED)
def test_an_event_leads_from_these_states_and_no_others(role, event, before, after):
    assert {state: TABLE[role][state, event] for state in State if (state, event) in TABLE[role]} == dict.fromkeys(
        before, after
    )


def test_no_other_event_can_happen_to_a_role():
    assert {(role, event) for role in Role for _, event in TABLE[role]} == {(role, event) for role, event, *_ in LISTED}


def states_of(role):
    return {START[role], *TABLE[role].values()}


@pytest.mark.parametrize(("role", "state", "event"), PAIRS)
def test_a_pair_is_in_the_table_or_an_error(role, state, event):
    if (state, event) in TABLE[role]:
        assert step(role, state, event) is TABLE[role][state, event]
    else:
        with pytest.raises(TransitionError, match=f"a {role}'s transaction that is {state} cannot take '{event}'"):
            step(role, state, event)


@pytest.mark.parametrize("role", Role)
def test_every_state_can_be_reached_from_the_start(role):
    reached = {START[role]}
    for _ in State:
        reached |= {after for (before, _), after in TABLE[role].items() if before in reached}
    assert reached == states_of(role)
    assert {before for before, _ in TABLE[role]} <= reached


@pytest.mark.parametrize("role", Role)
def test_an_end_can_be_reached_from_every_state(role):
    ending = {state for state in states_of(role) if is_final(role, state)}
    for _ in State:
        ending |= {before for (before, _), after in TABLE[role].items() if after in ending}
    assert ending == states_of(role)


@pytest.mark.parametrize("role", Role)
def test_the_ends_are_the_outcomes_that_an_operator_can_see(role):
    assert {state for state in states_of(role) if is_final(role, state)} == FINAL[role]


def test_a_reply_is_taken_before_the_broker_has_confirmed_the_request():
    assert step(Role.REQUESTER, State.CREATED, Event.GRANTED) is State.ISSUED


def test_a_certificate_is_never_confirmed_after_it_has_lapsed():
    with pytest.raises(TransitionError):
        step(Role.ISSUER, State.LAPSED, Event.CONFIRMED)


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        TABLE[Role.ISSUER][State.LAPSED, Event.CONFIRMED] = State.CONFIRMED


@pytest.mark.parametrize("role", Role)
def test_the_diagram_has_one_line_for_every_transition_start_and_end(role):
    lines = mermaid(role).splitlines()
    assert lines[:2] == ["stateDiagram-v2", f"    [*] --> {START[role]}"]
    drawn = {f"    {before} --> {after}: {event}" for (before, event), after in TABLE[role].items()}
    ends = {f"    {state} --> [*]" for state in FINAL[role]}
    assert sorted(lines[2:]) == sorted(drawn | ends)


@pytest.mark.parametrize("role", Role)
def test_what_is_not_final_is_unfinished(role):
    known = {state for (before, _), after in TABLE[role].items() for state in (before, after)}
    assert unfinished(role) == {state for state in known if not is_final(role, state)}


def test_a_certificate_is_granted_while_an_answer_is_awaited():
    assert states_before(Role.REQUESTER, Event.GRANTED) == {State.CREATED, State.SENT, State.PENDING}
    assert states_before(Role.ISSUER, Event.GRANTED) == {State.RECEIVED, State.PENDING}
    assert states_before(Role.ISSUER, Event.PUBLISHED) == frozenset()


def test_an_enrollment_ends_well_in_two_ways():
    assert states_after(Role.REQUESTER, Event.CHANNEL_VERIFIED, Event.KEY_ELSEWHERE) == {
        State.VERIFIED,
        State.DELIVERED,
    }
    assert states_after(Role.ISSUER, Event.REJECTED) == {State.LAPSED}
    assert states_after(Role.ISSUER) == frozenset()


def test_what_can_come_after_a_state_includes_what_comes_after_that():
    granted = {State.ISSUED, State.INSTALLED, State.VERIFIED, State.DELIVERED, State.FAILED}
    assert states_from(Role.REQUESTER, State.ISSUED) == granted
    assert states_from(Role.REQUESTER, State.CREATED) == granted | {
        State.CREATED,
        State.SENT,
        State.PENDING,
        State.REFUSED,
        State.EXPIRED,
    }
    assert states_from(Role.ISSUER, State.LAPSED) == {State.LAPSED}
