"""An enrollment that its operator gave up, or could not begin, is asked for again: one transaction, one certificate."""

import signal

from kit.agents import eventually
from kit.patience import PATIENCE


def asked(scene, *more):
    return ["--invitation", scene.given, "--dns", scene.name(), *more]


def only(scene):
    """The one transaction of each side."""
    (ours,), (theirs,) = scene.requester.transactions(), scene.issuer.transactions()
    assert ours["id"] == theirs["id"]
    return ours


def test_after_a_wrong_password_the_same_command_goes_on_with_what_it_had_begun(scene):
    scene.given = scene.invitation()
    file = scene.directory / f"{scene.requester.name}.password"
    right = file.read_text()
    file.write_text("not this one")
    scene.issuer.start()
    said = ["refused the login of user", "nothing is lost", "agent run"]
    refused = scene.requester.enroll_in_vain(*asked(scene), code=3, words=said)
    lines = [line for line in refused.err.splitlines() if '"event": "broker link down"' in line]
    assert len(lines) == 1, refused.err
    assert "broker link up" not in refused.err

    file.write_text(right)
    again = scene.requester.run("enroll", *asked(scene)).expect(0)
    begun = only(scene)["id"]
    again.says(f"continues transaction {begun} with {scene.issuer.name}, begun at", "verified", "confirmed")
    assert again.err == ""

    planned = scene.requester.run("enroll", *asked(scene), "--dry-run").expect(0)
    planned.says("Would ask for nothing new", begun)
    once_more = scene.requester.run("enroll", *asked(scene)).expect(0)
    once_more.says(
        f"this invitation was used, and the same asked for by transaction {begun}", "leave --invitation out", "verified"
    )
    assert only(scene)["state"] == "verified"
    scene.requester.run("enroll", "--dns", scene.name("other")).expect(0)
    assert len(scene.requester.transactions(state="verified")) == 2
    replaced = scene.requester.run("enroll", *asked(scene)).expect(0)
    (serial,) = [one["serial"] for one in scene.requester.transactions(id=begun)]
    replaced.says(f"credentials/{scene.issuer.name}/{serial}")


def test_after_a_time_out_and_after_ctrl_c_the_same_command_goes_on_with_what_it_had_begun(scene):
    scene.given = scene.invitation()
    scene.requester.enroll_in_vain(
        *asked(scene), code=4, words=["sent; nothing is lost: transaction", "compare both clocks"]
    )
    begun = scene.requester.transactions()[0]["id"]

    following = scene.requester.begin("enroll", *asked(scene))
    eventually(scene.requester.busy, "the command works on the home")
    following.send_signal(signal.SIGINT)
    out, err = following.communicate(timeout=PATIENCE)
    assert following.returncode == 130
    assert f"continues transaction {begun}" in out
    assert f"nothing is lost: transaction {begun} goes on with `agent run`; `agent status` shows it" in err

    scene.issuer.start()
    done = scene.requester.enroll(*asked(scene)).expect(0).json
    assert (done["transaction"], done["state"]) == (begun, "verified")
    assert only(scene)["id"] == begun


def test_a_name_that_is_not_the_identitys_is_told_by_both_commands(scene):
    file = scene.requester.home / "agent.toml"
    file.write_text(file.read_text().replace(f'name = "{scene.requester.name}"', 'name = "another"'))
    for command in (["run"], ["enroll", "--invitation", scene.invitation(), "--dns", scene.name()]):
        said = scene.requester.run(*command).expect(2)
        said.says("on this side", str(file), "says name = 'another'", f"was made for {scene.requester.name}")


def test_a_typing_error_in_an_agreement_shows_at_once_and_the_daemon_runs(scene):
    scene.invitation()
    agreement = scene.issuer.home / "partners" / f"{scene.requester.name}.toml"
    agreement.write_text(agreement.read_text().replace('approval = "automatic"', 'approval = "automatc"'))
    scene.issuer.start()
    (line,) = eventually(lambda: scene.issuer.logged("agreement unusable"))
    assert (line["partner"], "automatc" in line["why"]) == (scene.requester.name, True)
    assert str(agreement) in line["fix"]
    scene.issuer.run("status").expect(0).says(f"The agreement with {scene.requester.name} cannot be used", "automatc")
    eventually(lambda: not scene.issuer.run("status", "--health").code, "the agent is well for everybody else")
