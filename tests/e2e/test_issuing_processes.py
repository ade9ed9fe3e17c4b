"""Several issuing processes: one that hangs, ends or cannot reach the broker shows, and the agent is not well."""

import os
import signal

import pytest
from kit.agents import eventually

from agents.adapters.home import read_health


@pytest.fixture
def issuer(scene):
    """An agent with an agreement and two issuing processes beside its daemon, all well."""
    file = scene.issuer.home / "agent.toml"
    file.write_text(file.read_text() + "\n[issuing]\nprocesses = 3\n")
    scene.invitation()
    scene.issuer.start()
    eventually(lambda: is_well(scene.issuer), "all three processes are well", 120)
    return scene.issuer


def is_well(organisation):
    return organisation.run("status", "--health").code == 0


def unwell(organisation, words):
    """Whether the agent is not well, and says why."""
    asked = organisation.run("status", "--health")
    return asked.code == 1 and words in " ".join(asked.out.split())


def member(organisation, number):
    """The process id in a place of the crew."""
    return read_health(organisation.home, number)["pid"]


def test_a_process_that_hangs_makes_the_agent_unwell_and_is_named(issuer):
    assert "issuing processes 3 of 3" in issuer.run("status").expect(0).out
    hanging = member(issuer, 1)
    os.kill(hanging, signal.SIGSTOP)
    try:
        eventually(lambda: unwell(issuer, f"process {hanging} is silent since"), "the silence is said", 120)
    finally:
        os.kill(hanging, signal.SIGCONT)
    eventually(lambda: is_well(issuer), "it speaks again", 120)


def test_a_process_that_is_killed_is_missed_and_replaced(issuer):
    killed = member(issuer, 2)
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: "an issuing process ended" in issuer.log.read_text(), "it is missed")
    eventually(lambda: is_well(issuer) and member(issuer, 2) != killed, "another is in its place", 120)


def test_a_process_that_cannot_reach_the_broker_makes_the_agent_unwell(breakable_broker, scene, issuer):
    breakable_broker.node.stop()
    eventually(lambda: unwell(issuer, f"process {member(issuer, 1)} is not connected:"), "it is said", 120)
    breakable_broker.node.start()
    eventually(lambda: is_well(issuer), "they connect again", 120)
