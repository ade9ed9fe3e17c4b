"""A small simulation from the command line, with every kind of request and faults on real processes."""

import os
import signal
import subprocess
import sys

import pytest
from kit.agents import agent, eventually
from kit.patience import PATIENCE

from agents.adapters.broker import Nothing, find_broker
from agents.simulation.plan import SHARES

SMALL = ("--requesters", "6", "--issuers", "2", "--enrollments", "20", "--rate", "3", "--seed", "5")

needs_broker = pytest.mark.skipif(isinstance(find_broker({}), Nothing), reason="needs a broker of its own to break")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """The result of a small simulation on a mild day, and where its report and homes are."""
    directory = tmp_path_factory.mktemp("simulated")
    told = ("--faults", "mild", "--report", directory / "report.html", "--keep", directory / "homes", "--json")
    return agent("simulate", *SMALL, *told, seconds=1800), directory


@needs_broker
def test_every_invariant_holds_after_a_mild_day(simulated):
    done, _ = simulated
    violations = [violation for invariant in done.json["invariants"] for violation in invariant["violations"]]
    assert violations == []
    assert done.json["holds"] is True
    assert done.code == 0


@needs_broker
def test_every_kind_of_request_ended_as_it_must(simulated):
    done, _ = simulated
    bad = len(SHARES) - 2
    assert done.json["counts"] == {"verified": 20 - bad - 2, "refused": bad, "dead-lettered": 2}


@needs_broker
def test_refusals_have_the_reasons_that_were_provoked(simulated):
    done, _ = simulated
    reasons = {item["kind"]: item["reason"] for item in done.json["refusals"]}
    assert reasons == {
        "name out of policy": "notAuthorized: subjectAltName",
        "weak key": "badAlg: public key",
        "expired invitation": "badTime: invitation",
        "reused invitation": "notAuthorized: invitation",
        "clock an hour ahead": "badTime: issued_at",
        "denied by a person": "notAuthorized: approval",
    }


@needs_broker
def test_the_planned_faults_struck(simulated):
    done, _ = simulated
    kinds = {outage["kind"] for outage in done.json["faults"]}
    assert kinds == {"issuer killed (kill -9)", "connections reset", "link frozen", "broker restarted"}


@needs_broker
def test_the_report_is_written(simulated):
    _, directory = simulated
    page = (directory / "report.html").read_text()
    assert "Every invariant holds" in page
    assert "Onboarding 6 partners at 2 issuers, on a mild day" in page


@needs_broker
def test_ledgers_and_logs_are_kept_and_no_process_is(simulated):
    _, directory = simulated
    homes = directory / "homes"
    assert (homes / "requester-0001" / "ledger.sqlite").exists()
    assert (homes / "issuer-1.log").exists()
    eventually(lambda: str(homes) not in listed(), "no process is left")


def listed():
    """The command lines of all processes of this machine."""
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


MANY_FAULTS = ("--requesters", 10, "--issuers", 1, "--seed", 3)


@needs_broker
@pytest.mark.parametrize(
    ("moment", "signals"),
    [
        ("making issuers", [signal.SIGTERM]),
        ("broker: broker restarted", [signal.SIGINT, signal.SIGINT]),
    ],
)
def test_a_simulation_that_is_interrupted_leaves_nothing_behind(tmp_path, moment, signals):
    command = [sys.executable, "-m", "agents.cli.main", "simulate", *map(str, MANY_FAULTS)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as begun:
        assert any(moment in line for line in begun.stdout)
        for number in signals:
            begun.send_signal(number)
        said, complaints = begun.communicate(timeout=PATIENCE)
    assert begun.returncode == 130
    assert said.endswith("Stopped; nothing is left running.\n")
    assert complaints == ""
    assert list(tmp_path.iterdir()) == []
    eventually(lambda: str(tmp_path) not in listed(), "no process is left")


def test_a_directory_that_exists_is_not_used(tmp_path):
    done = agent("simulate", *SMALL, "--keep", tmp_path, "--json")
    assert done.code == 2
    assert str(tmp_path) in done.error["message"]


def test_an_unknown_degree_of_faults_is_refused_with_the_known_ones():
    agent("simulate", "--faults", "cruel").expect(2).says("--faults 'cruel'", "none, mild, harsh")


def test_a_report_in_no_directory_is_refused_before_anything_runs(tmp_path):
    done = agent("simulate", *SMALL, "--report", tmp_path / "nowhere" / "report.html", "--json")
    assert done.code == 2
    assert "nowhere" in done.error["message"]
