"""The planner: the same seed, the same plan; the promised shares; nothing asked that could not be."""

from collections import Counter
from itertools import pairwise

import pytest

from agents.errors import ConfigurationError
from agents.simulation.parameters import Faults, Parameters, StrikeKind, parameters
from agents.simulation.plan import POISON, SHARES, WORKERS, Kind, make_plan


def plan(requesters=40, issuers=3, rate=2.0, requests=100, faults=Faults.HARSH, seed=1):
    return make_plan(Parameters(requesters, issuers, rate, requests, faults, seed))


def said(**more):
    told = {"requesters": 10, "issuers": 2, "rate": 2.0, "requests": None, "duration_seconds": None}
    return parameters(**{**told, "faults": Faults.NONE, "seed": 1, **more})


def test_the_same_seed_gives_the_same_plan():
    assert plan() == plan()


def test_another_seed_gives_another_plan():
    assert plan(seed=1).requests != plan(seed=2).requests
    assert plan(seed=1).strikes != plan(seed=2).strikes


def test_every_requester_asks_at_least_once():
    assert {request.requester for request in plan().requests} == set(plan().requesters)


def test_bad_requests_come_in_the_promised_shares():
    kinds = Counter(request.kind for request in plan(200, requests=1000).requests)
    assert {kind: kinds[kind] for kind in SHARES} == {kind: round(1000 * share) for kind, share in SHARES.items()}


def test_twenty_requests_have_one_of_every_kind():
    assert {request.kind for request in plan(6, requests=20).requests} == set(Kind)


def test_who_asks_once_never_uses_an_invitation_again():
    kinds = Counter(request.kind for request in plan(30, requests=30).requests)
    assert kinds[Kind.REUSED_INVITATION] == 0


@pytest.mark.parametrize("seed", range(20))
def test_an_invitation_is_used_again_only_after_it_was_used_well(seed):
    made = plan(seed=seed)
    for request in made.requests:
        if request.kind is Kind.REUSED_INVITATION:
            before = [one for one in made.of(request.requester) if one.number < request.number]
            assert any(one.kind is Kind.GOOD and one.issuer == request.issuer for one in before)


def test_requests_come_in_the_order_of_time_and_at_the_rate():
    requests = plan(requests=2000, rate=5.0).requests
    assert all(one.at <= next_.at for one, next_ in pairwise(requests))
    assert requests[-1].at == pytest.approx(400, rel=0.15)


def test_names_are_unique_and_tell_the_request():
    names = [request.name for request in plan().requests]
    assert len(set(names)) == len(names)


def test_only_a_name_out_of_policy_belongs_to_somebody_else():
    for request in plan().requests:
        assert (request.requester in request.name) == (request.kind is not Kind.OUT_OF_POLICY)


def test_every_pair_that_meets_has_one_agreement():
    made = plan()
    pairs = [(agreement.requester, agreement.issuer) for agreement in made.agreements]
    assert len(set(pairs)) == len(pairs)
    assert set(pairs) == {(request.requester, request.issuer) for request in made.requests}


def test_a_person_must_approve_wherever_one_denies():
    made = plan()
    manual = {(agreement.requester, agreement.issuer) for agreement in made.agreements if agreement.manual}
    assert manual >= {(one.requester, one.issuer) for one in made.requests if one.kind is Kind.DENIED}


def test_without_faults_nothing_strikes_and_clocks_are_right():
    made = plan(faults=Faults.NONE)
    assert made.strikes == ()
    assert set(made.skews) == {0.0}
    assert not any(request.repeated or request.replayed for request in made.requests)


def test_a_harsh_day_has_every_kind_of_strike():
    assert {strike.kind for strike in plan().strikes} == set(StrikeKind)


def test_strikes_come_in_the_order_of_time_and_before_the_end():
    made = plan()
    times = [strike.at for strike in made.strikes]
    assert times == sorted(times)
    assert times[-1] < made.parameters.seconds


def test_clocks_are_off_by_less_than_the_protocol_allows():
    assert all(abs(skew) < 300 for skew in plan().skews)
    assert max(map(abs, plan().skews)) > 60


def test_poison_is_not_published_twice_on_purpose():
    assert not any(request.repeated or request.replayed for request in plan().requests if request.kind in POISON)


def test_each_requester_belongs_to_one_process_which_serves_what_is_due_first():
    made = plan()
    shares = [made.share(worker) for worker in range(WORKERS)]
    assert sorted(request.number for share in shares for request in share) == [one.number for one in made.requests]
    for share in shares:
        assert list(share) == sorted(share, key=lambda request: request.at)
    senders = [{request.requester for request in share} for share in shares]
    assert set.intersection(*senders) == set()


def test_the_number_of_requests_follows_from_the_duration():
    assert said(duration_seconds=30.0).requests == 60


def test_the_number_of_requests_follows_from_the_requesters_where_nothing_is_said():
    assert said().requests == 15


def test_a_short_duration_still_lets_everybody_ask_once():
    assert said(duration_seconds=1.0).requests == 10


def test_a_number_of_requests_and_a_duration_exclude_each_other():
    with pytest.raises(ConfigurationError, match="--enrollments and --duration"):
        said(requests=20, duration_seconds=10.0)


@pytest.mark.parametrize(
    ("wrong", "option"),
    [
        ({"requesters": 0}, "--requesters"),
        ({"requesters": 100_000}, "--requesters"),
        ({"issuers": 0}, "--issuers"),
        ({"rate": 0.0}, "--rate"),
        ({"rate": float("nan")}, "--rate"),
        ({"requests": 9}, "--enrollments"),
    ],
)
def test_what_cannot_be_simulated_is_refused_with_the_option(wrong, option):
    with pytest.raises(ConfigurationError, match=f"{option} is"):
        said(**wrong)
