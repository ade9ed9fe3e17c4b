"""The figures of a simulation, and the report: a page that says what was found and refers to nothing outside itself."""

import json
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from kit.simulated import GOOD, NOW, PLAN, as_it_should_be, at_requester, changed

from agents.simulation.outcome import Happening, Outage, Outcome
from agents.simulation.plan import POISON, Kind
from agents.simulation.report import render
from agents.simulation.summary import percentiles, summarise
from agents.simulation.verdict import judge
from protocol.transaction import State


def outcome(facts, happenings=(), outages=()):
    return Outcome(PLAN, facts, judge(PLAN, facts), happenings, outages, NOW.timestamp(), (("onboarding", 12.0),))


def with_latency(seconds):
    facts = as_it_should_be()
    later = NOW + timedelta(seconds=seconds)
    return replace(facts, transactions=changed(facts.transactions, at_requester(GOOD), updated_at=later))


class Page(HTMLParser):
    """Every reference of a page, its scripts, and its text without them."""

    def __init__(self, text):
        super().__init__()
        self.references, self.text, self.open, self.policies = [], [], [], []
        self.figures = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.references += [named[name] for name in ("src", "href", "action", "srcset", "data") if name in named]
        self.policies += [named["content"]] if named.get("http-equiv") == "Content-Security-Policy" else []
        if tag not in {"meta", "link", "br", "img"}:
            self.open.append((tag, named.get("id")))

    def handle_endtag(self, tag):
        opened, _ = self.open.pop()
        assert opened == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == ("script", "figures"):
            self.figures += data
        elif not self.open or self.open[-1][0] not in {"script", "style"}:
            self.text.append(data)


@pytest.fixture(scope="module")
def page():
    happenings = tuple(Happening(at, GOOD.number, what) for at, what in enumerate(["created", "verified"]))
    outages = (Outage("link frozen", "link of issuer-1", 1.0, 4.0),)
    made = outcome(with_latency(2.5), happenings, outages)
    return Page(render(made, summarise(made)))


def test_the_page_refers_to_nothing_outside_itself(page):
    assert page.references == []


def test_the_page_may_fetch_nothing(page):
    (policy,) = page.policies
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy


def test_every_element_is_closed(page):
    assert page.open == []


def test_the_page_tells_every_invariant_and_the_verdict(page):
    text = " ".join(page.text)
    for invariant in outcome(as_it_should_be()).verdict.invariants:
        assert invariant.title in text
    assert "Every invariant holds" in text


def test_the_charts_hold_the_requests_and_the_faults(page):
    figures = json.loads(page.figures)
    assert set(figures) == {"timeline", "latencies", "flow", "refusals", "load"}
    assert any("frozen" in str(trace.get("y")) for trace in figures["timeline"]["data"])


def test_violations_are_shown_and_cannot_add_markup():
    facts = replace(as_it_should_be(), faults_in_program=("<script>alert(1)</script>",))
    made = outcome(facts)
    text = render(made, summarise(made))
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "1 of the invariants violated" in text


def test_a_partner_cannot_end_the_script_that_holds_the_figures():
    facts = as_it_should_be()
    bad = next(request for request in PLAN.requests if request.kind is Kind.WEAK_KEY)
    hostile = changed(facts.transactions, at_requester(bad), problems=("</script><script>alert(1)",))
    made = outcome(replace(facts, transactions=hostile))
    page = Page(render(made, summarise(made)))
    assert "</script><script>alert(1)" in str(json.loads(page.figures)["refusals"])


def test_a_report_of_nothing_but_failures_can_be_drawn():
    facts = replace(as_it_should_be(), transactions=(), certificates=(), sealed={}, dead={}, installed={})
    made = outcome(facts)
    assert "invariants violated" in render(made, summarise(made))


def test_every_request_has_a_row_with_its_end():
    summary = summarise(outcome(as_it_should_be()))
    assert [row.request for row in summary.rows] == list(PLAN.requests)
    for row in summary.rows:
        wanted = {Kind.GOOD: "verified"} | dict.fromkeys(POISON, "dead-lettered")
        assert row.state == wanted.get(row.request.kind, "refused")


def test_a_request_without_a_trace_is_lost():
    facts = as_it_should_be()
    kept = tuple(one for one in facts.transactions if f"dns:{GOOD.name}" not in one.names)
    row = next(one for one in summarise(outcome(replace(facts, transactions=kept))).rows if one.request == GOOD)
    assert (row.state, row.begin) == ("lost", None)


def test_the_time_of_a_request_does_not_depend_on_its_senders_clock():
    skew = PLAN.skews[PLAN.requesters.index(GOOD.requester)]
    facts = as_it_should_be()
    by_its_clock = NOW + timedelta(seconds=skew + 7)
    facts = replace(facts, transactions=changed(facts.transactions, at_requester(GOOD), created_at=by_its_clock))
    row = next(one for one in summarise(outcome(facts)).rows if one.request == GOOD)
    assert row.begin == pytest.approx(7.0)


def test_latency_is_that_of_verified_requests():
    assert summarise(outcome(with_latency(2.5))).latency["most"] == 2.5


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([], {}),
        ([3.0], {"p50": 3.0, "p90": 3.0, "p99": 3.0, "most": 3.0}),
        (list(range(101)), {"p50": 50, "p90": 90, "p99": 99, "most": 100}),
    ],
)
def test_percentiles(values, wanted):
    assert percentiles(values) == wanted


def test_transitions_are_counted_once_and_only_forwards():
    told = ["created", "sent", "verified", "verified", "sent", "replayed"]
    happenings = tuple(Happening(at, GOOD.number, what) for at, what in enumerate(told))
    transitions = summarise(outcome(as_it_should_be(), happenings)).transitions
    assert transitions == {("created", "sent"): 1, ("sent", "verified"): 1}


def test_refusals_are_counted_by_reason_and_kind():
    refusals = summarise(outcome(as_it_should_be())).refusals
    weak = sum(request.kind is Kind.WEAK_KEY for request in PLAN.requests)
    assert refusals["badAlg: public key", Kind.WEAK_KEY] == weak


def test_the_load_of_issuers_adds_up_to_all_requests():
    load = summarise(outcome(as_it_should_be())).load
    assert sum(count for states in load.values() for count in states.values()) == len(PLAN.requests)
    assert all(states[State.VERIFIED] for states in load.values())
