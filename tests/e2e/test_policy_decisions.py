"""What the issuer's agreement says reaches the requester's terminal: every reason, pending and its outcome."""

import pytest
from kit.agents import eventually
from kit.patience import PATIENCE


@pytest.fixture
def manual(broker, scene):
    """A scene in which a person approves each request; both daemons run, and somebody follows one that waits."""
    scene.start(scene.issuer, scene.requester)
    asked = ["--invitation", scene.invitation(manual=True), "--dns", scene.name()]
    with scene.requester.begin("enroll", *asked, "--wait", PATIENCE) as scene.following:
        eventually(lambda: scene.requester.transactions(state="pending"), "the request waits for approval")
        yield scene


def test_a_refusal_names_every_reason_and_leaves_the_invitation_usable(scene):
    scene.issuer.start()
    invitation = scene.invitation()
    asked = ["--dns", "www.other.example", "--dns", "*.wild.example", "--email", "a@b.example", "--ip", "192.0.2.1"]
    refused = scene.requester.run("enroll", "--invitation", invitation, *asked).expect(1)
    refused.says("www.other.example", "*.wild.example", "a@b.example", "192.0.2.1")
    refused.says("got", "allowed", f"**.{scene.requester.name}.example", "to do")

    done = scene.requester.enroll("--invitation", invitation, "--dns", scene.name()).expect(0).json
    assert done["state"] == "verified"
    assert [one["state"] for one in scene.requester.transactions()] == ["verified", "refused"]
    assert [one["state"] for one in scene.issuer.transactions()] == ["confirmed", "refused"]


def test_without_its_agreement_a_partner_is_shut_out_of_the_channel_and_with_it_let_in_again(scene):
    scene.start(scene.issuer, scene.requester)
    scene.enrolled()
    check = lambda: scene.requester.run("channel", "check", scene.issuer.name)  # noqa: E731
    agreement = scene.issuer.home / "partners" / f"{scene.requester.name}.toml"
    agreement.rename(agreement.with_suffix(".away"))
    eventually(lambda: check().code == 1, "the channel is closed to the partner")
    check().expect(1).says("no agreement any more", "Ask the issuer's operator")
    assert f"a certificate of {scene.requester.name}" in scene.issuer.logged("channel client refused")[-1]["why"]

    agreement.with_suffix(".away").rename(agreement)
    check().expect(0)


def test_a_held_request_is_approved_and_the_requester_gets_its_certificate_without_doing_anything(manual):
    (waiting,) = manual.issuer.ask("pending")
    assert (waiting["partner"], waiting["names"]) == (manual.requester.name, [f"dns:{manual.name()}"])
    assert manual.requester.state(waiting["id"]) == "pending"

    said = manual.issuer.ask("approve", waiting["id"][-8:])
    assert (said["decision"], said["daemon_running"]) == ("approved", True)
    told, _ = manual.following.communicate()
    assert manual.following.returncode == 0
    assert [word for word in ("pending", "verified", "confirmed") if word not in told] == []
    assert manual.requester.credential(manual.issuer).exists()
    assert manual.issuer.ask("pending") == []
    manual.issuer.run("approve", waiting["id"]).expect(2).says(waiting["id"], "no request waits", "agent pending")


def test_a_denied_request_tells_the_requester_the_reason(manual):
    (waiting,) = manual.issuer.ask("pending")
    manual.issuer.run("deny", waiting["id"]).expect(2).says("--reason")
    manual.issuer.run("deny", waiting["id"], "--reason", "wrong quarter").expect(0).says("denied", waiting["id"])
    told, _ = manual.following.communicate()
    assert manual.following.returncode == 1
    assert [word for word in ("pending", "refused", "wrong quarter", "notAuthorized") if word not in told] == []
    assert manual.requester.state(waiting["id"]) == "refused"
