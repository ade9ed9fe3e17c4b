"""What `agent status` shows to people, of overviews as `agents.bootstrap.overview` makes them."""

from datetime import UTC, datetime, timedelta

import pytest

from agents.cli.output import WIDTH
from agents.cli.overviews import PROBLEMS_HINT, ROOTS_DIFFER, text_of

NOW = datetime(2026, 11, 23, 22, 18, tzinfo=UTC)
SERIAL = "f" * 40
PROBLEM = {
    "code": "notAuthorized",
    "field": "subjectAltName",
    "got": "dns:www.other.example",
    "allowed": "dns names: **.client-b.example",
    "fix": "Leave the name out.",
}
QUIET = {
    "organisation": "client-b",
    "home": "client-b",
    "root": "ab" * 32,
    "identity_until": NOW + timedelta(days=3),
    "running": True,
    "silent": False,
    "said_at": NOW.isoformat(),
    "died_at": None,
    "channel": None,
    "links": [],
    "issuing_processes": None,
    "waiting_to_leave": 0,
    "waiting_for_approval": 0,
    "quarantined": 0,
    "partners": [],
    "transactions": [],
    "certificates": [],
}


def shown(**parts):
    return text_of(QUIET | parts, NOW)


def transaction(**parts):
    names = [f"dns:{host}.client-b.example" for host in ("api", "www", "mail", "files")]
    id = "01934f6e-7d0a-7cc3-98c4-dc0c0c07398f"
    return {
        "id": id,
        "role": "requester",
        "partner": "client-c",
        "state": "sent",
        "names": names,
        "problems": [],
    } | parts


def certificate(left, **parts):
    facts = {"serial": SERIAL, "issuer": "client-c", "holder": "client-b", "state": "in force", "renew_after": None}
    return facts | {"not_after": NOW + left} | parts


def partner(**parts):
    return {
        "name": "client-c",
        "agreed": False,
        "last_channel": None,
        "roots": [{"acts_as": "issuer", "sha256": "cd" * 32}],
    } | parts


def line_with(text, word):
    return next(line for line in text.splitlines() if word in line)


def test_an_agent_with_nothing_to_show_has_no_tables():
    assert shown().splitlines() == [
        "agent         client-b in client-b",
        "daemon        running",
        "channel       does not listen: agent.toml has no [channel], which only issuers need",
        f"root SHA-256  {'ab' * 32}",
        "identity      valid until 2026-11-26 22:18 UTC",
        "waiting       0 messages to leave, 0 for approval",
        "quarantined   0",
    ]


def test_the_channel_is_said_to_listen():
    assert line_with(shown(channel="127.0.0.1:8443"), "channel ").endswith("listens on 127.0.0.1:8443")


def test_nothing_is_said_of_the_channel_while_no_daemon_runs():
    assert "channel " not in shown(running=False)


def test_a_daemon_that_hangs_is_said_to_be_silent_since_when():
    assert "silent since 2026-11-23 22:18 UTC" in line_with(shown(silent=True), "daemon")
    assert "silent so far" in line_with(shown(silent=True, said_at=None), "daemon")


def test_a_daemon_that_was_killed_is_told_from_one_that_was_stopped():
    assert line_with(shown(running=False), "daemon").endswith("not running (start it with `agent run`)")
    killed = line_with(shown(running=False, died_at=NOW.isoformat()), "daemon")
    assert "not running: killed or crashed about 2026-11-23 22:18 UTC" in killed


def test_where_several_processes_issue_it_is_said_how_many_run():
    crew = {"running": 1, "wanted": 2, "troubles": []}
    assert line_with(shown(issuing_processes=crew), "daemon").endswith("running, issuing processes 1 of 2")


def test_what_is_wrong_with_issuing_processes_is_said_with_their_number():
    text = shown(issuing_processes={"running": 1, "wanted": 2, "troubles": ["1 of 1 do not run", "and more"]})
    assert "running, issuing processes 1 of 2; 1 of 1 do not run; and more" in " ".join(text.split())


def test_whoever_was_refused_reads_the_first_problem_under_the_transaction_and_where_the_rest_is():
    refused = transaction(state="refused", problems=[PROBLEM, PROBLEM])
    lines = shown(transactions=[refused, transaction()]).splitlines()
    (reason,) = (number for number, line in enumerate(lines) if "dns:www.other.example" in line)
    assert lines[reason].startswith("    subjectAltName: dns:www.other.example; allowed: dns names: ")
    assert " refused " in "".join(lines[reason - 4 : reason])
    assert " sent " in lines[reason + 1]
    assert lines[-1] == PROBLEMS_HINT


def test_nothing_is_said_of_problems_where_there_are_none():
    assert PROBLEMS_HINT not in shown(transactions=[transaction()])


def test_what_quarantine_means_is_said_as_soon_as_something_is_in_it():
    assert "Quarantined are" not in shown()
    assert "Quarantined are messages that were of no use" in shown(quarantined=3)


@pytest.mark.parametrize(("agreed", "said"), [(True, "yes"), (False, "no")])
def test_a_partner_is_shown_with_whether_we_issue_to_it_and_when_the_channel_was_last_open(agreed, said):
    text = shown(partners=[partner(agreed=agreed, last_channel=NOW.isoformat(timespec="seconds"))])
    assert "we issue to it" in text
    assert line_with(text, "client-c").split() == ["client-c", said, "2026-11-23", "22:18", "UTC", "issuer"]


@pytest.mark.parametrize(("other", "remark"), [("cd", []), ("ef", [f"    {ROOTS_DIFFER}"])])
def test_pinned_roots_are_shown_whole_since_people_compare_them_and_it_is_said_where_they_differ(other, remark):
    roots = [{"acts_as": "issuer", "sha256": "cd" * 32}, {"acts_as": "requester", "sha256": other * 32}]
    _, text = shown(partners=[partner(roots=roots)]).split("root pinned as\n")
    assert text.splitlines()[1:] == [f"    issuer {'cd' * 32}", f"    requester {other * 32}", *remark]


def test_what_never_was_is_said_so():
    assert line_with(shown(partners=[partner(roots=[])]), "client-c").split() == [
        "client-c",
        "no",
        "never",
        "none",
    ]


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (timedelta(days=30, seconds=-1), "30 days left"),
        (timedelta(days=1, hours=13), "2 days left"),
        (timedelta(hours=35), "35 hours left"),
        (timedelta(minutes=91), "2 hours left"),
        (timedelta(minutes=89, seconds=50), "90 min left"),
    ],
)
def test_the_time_that_a_certificate_has_left_is_rounded(left, said):
    assert line_with(shown(certificates=[certificate(left)]), SERIAL).endswith(said)


@pytest.mark.parametrize("state", ["withdrawn", "expired"])
def test_a_certificate_that_does_not_count_any_more_has_no_time_left(state):
    assert line_with(shown(certificates=[certificate(timedelta(days=9), state=state)]), SERIAL).endswith(state)


def test_a_withdrawn_credential_is_not_renewed_but_the_one_before_it_is():
    held = {"renew_after": NOW + timedelta(days=20)}
    withdrawn = certificate(timedelta(days=30), serial="a", state="withdrawn", **held)
    text = shown(certificates=[withdrawn, certificate(timedelta(days=30), serial="b", **held)])
    assert [line.split()[0] for line in text.splitlines()[-3:]] == ["a", "b", "enroll"]


def test_the_latest_credential_from_each_issuer_says_when_to_enroll_again():
    held = {"renew_after": NOW + timedelta(days=20)}
    text = shown(
        certificates=[
            certificate(timedelta(days=30), serial="a", **held),
            certificate(timedelta(days=30), serial="b", **held),
            certificate(timedelta(days=30), serial="c", issuer="client-d", **held),
            certificate(timedelta(days=30), serial="d", issuer="client-e"),
        ]
    )
    under = [line.split()[0] for line in text.split("certificates\n")[1].splitlines()]
    assert under == ["serial", "a", "enroll", "b", "c", "enroll", "d"]
    assert text.count("enroll again after 2026-12-13 22:18 UTC") == 2


LINK = {"issuer": "client-c", "role": "requester", "state": "connected"}


def test_a_link_says_how_it_fares():
    assert line_with(shown(links=[LINK]), "client-c").split() == ["client-c", "requester", "connected"]


def test_no_line_is_longer_than_a_terminal_is_wide():
    text = shown(
        quarantined=1,
        channel="127.0.0.1:8443",
        links=[LINK | {"state": "in trouble: " + "words and words " * 20}],
        partners=[partner(roots=[{"acts_as": role, "sha256": "cd" * 32} for role in ("issuer", "requester")])],
        transactions=[transaction(state="refused", problems=[PROBLEM])],
        certificates=[certificate(timedelta(days=30), renew_after=NOW)],
    )
    assert [line for line in text.splitlines() if len(line) > WIDTH] == []


def test_the_end_of_the_agents_own_identity_is_shown_before_it_comes_and_after():
    assert "identity      valid until 2026-11-26 22:18 UTC\n" in shown()
    text = shown(identity_until=NOW - timedelta(minutes=1))
    line = line_with(text, "identity")
    assert line == "identity      expired 2026-11-23 22:17 UTC: partners refuse it (`agent init`)"
    assert len(line) <= WIDTH
