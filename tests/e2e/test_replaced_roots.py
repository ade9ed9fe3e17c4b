"""A partner's root was replaced on purpose: it is refused with words until the operator removes the old one."""

import time

import pytest
from kit.agents import new_scene

from agents.service.partners import REMEMBERED_SECONDS


@pytest.fixture
def scene(session_broker, tmp_path):
    """An issuer whose daemon runs, and a requester with a verified credential, whose own daemon is stopped."""
    with new_scene(session_broker, tmp_path) as made:
        made.start(made.issuer, made.requester)
        made.enrolled()
        made.requester.stop()
        yield made


def root_of(organisation, partner, acts_as):
    """The root that is pinned for a partner in a role, as `agent status` shows it."""
    (seen,) = [one for one in organisation.seen()["partners"] if one["name"] == partner.name]
    return [root["sha256"] for root in seen["roots"] if root["acts_as"] == acts_as]


def trail(organisation):
    """The audit trail's lines about removed roots."""
    with organisation.opened() as agent, agent.ledger._backend.engine.connect() as link:
        return link.exec_driver_sql("SELECT partner, detail FROM audit WHERE event = 'root removed'").fetchall()


def test_a_requesters_new_root_is_refused_until_the_old_one_is_removed_and_an_invitation_pins_the_new_one(scene):
    name, old = scene.requester.name, scene.requester.seen()["root"]
    renewed = scene.organisation(name, "new-root")
    asks = ["--dns", scene.name("new")]
    refused = renewed.run("enroll", "--invitation", scene.invitation(), *asks).expect(1)
    refused.says(f"the root pinned for {name}: {old}", "no invitation changes that")
    refused.says(f"`agent unpin {name} --as requester`", "then enroll with a new invitation")

    told = scene.issuer.run("invite", name).expect(0)
    told.says("good only under the root that is pinned", old, f"agent unpin {name} --as requester")

    done = scene.issuer.run("unpin", name, "--as", "requester").expect(0)
    done.says(old, f"`agent invite {name}`", "certificates that are in force")
    assert trail(scene.issuer) == [(name, f"as requester: {old}")]
    assert root_of(scene.issuer, scene.requester, "requester") == []

    time.sleep(REMEMBERED_SECONDS)  # the daemon may have asked just before
    renewed.enroll("--invitation", scene.invitation(), *asks).expect(0)
    assert root_of(scene.issuer, scene.requester, "requester") == [renewed.seen()["root"]]
    scene.requester.run("channel", "check", scene.issuer.name).expect(0)
    gone = scene.requester.run("enroll", "--dns", scene.name("old-root")).expect(1)
    gone.says(f"an agent identity under the root {old}")


def test_an_issuers_new_root_is_refused_until_the_old_one_is_removed(scene):
    issuer, requester = scene.issuer, scene.requester
    issuer.stop()
    renewed = scene.organisation(issuer.name, "new-root", endpoint=f"localhost:{scene.port}")
    renewed.start()
    asks = ["--invitation", scene.invitation(issuer=renewed), "--dns", scene.name("new")]
    refused = requester.run("enroll", *asks).expect(5)
    refused.says("another root", "compare fingerprints", f"`agent unpin {issuer.name} --as issuer`")

    done = requester.ask("unpin", issuer.name, "--as", "issuer")
    assert done["removed"] == [issuer.seen()["root"]]
    assert f"`agent invite {requester.name}`" in done["next"]
    requester.run("channel", "check", issuer.name).expect(2).says("no root of", "is pinned", "a new invitation")
    requester.run("enroll", "--dns", scene.name("x")).expect(2).says(f"no root is pinned for {issuer.name} here")

    requester.enroll(*asks).expect(0)
    assert root_of(requester, issuer, "issuer") == [renewed.seen()["root"]]


def test_what_cannot_be_removed_is_said(scene):
    issuer, name = scene.issuer, scene.requester.name
    issuer.run("unpin", "client-x", "--as", "issuer").expect(2).says("'client-x' is no partner", f"known are: {name}")
    nothing = issuer.run("unpin", name, "--as", "issuer").expect(2)
    nothing.says(f"no root is pinned for {name} as issuer", "pinned is: as requester")
    issuer.run("unpin", name).expect(2).says("--as")
    issuer.run("unpin", name, "--as", "friend").expect(2).says("requester", "issuer")
    assert trail(issuer) == []
