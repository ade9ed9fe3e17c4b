"""The whole story through the command line: two organisations, two daemons, one broker, a verified channel."""

import re
import stat

import pytest
from kit.ports import KeptPort


def modes(directory):
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}


def move_channel(organisation, **places):
    """Write other addresses into the section [channel]."""
    file = organisation.home / "agent.toml"
    text = file.read_text()
    for key, place in places.items():
        text = re.sub(rf'^{key} = ".*"$', f'{key} = "{place}"', text, flags=re.MULTILINE)
    file.write_text(text)


def test_two_organisations_enroll_and_each_end_says_what_it_saw_of_the_other(scene):
    issuer = scene.known(scene.realm.issuer, scene.directory / "c")
    requester = scene.known(scene.realm.requester, scene.directory / "b")
    endpoint = ["--endpoint", f"localhost:{scene.port}"]
    issuer.ask("init", "--name", issuer.name, "--organization", "C", *scene.login_options(issuer.name), *endpoint)
    requester.ask("init", "--name", requester.name, *scene.login_options(requester.name))
    invitation = scene.directory / "invitation"
    issuer.ask("invite", requester.name, "--dns", f"**.{requester.name}.example", "--out", invitation)
    assert stat.S_IMODE(invitation.stat().st_mode) == 0o600
    scene.start(issuer, requester)

    done = requester.ask("enroll", "--invitation", invitation, "--dns", scene.name())
    assert (done["state"], done["issuer_state"]) == ("verified", "confirmed")

    (there,) = issuer.ask("status")["transactions"]
    assert (there["id"], there["state"], there["serial"]) == (done["transaction"], "confirmed", done["serial"])
    here = requester.ask("status")
    assert [one["state"] for one in here["transactions"]] == ["verified"]
    (held,) = here["certificates"]
    assert (held["serial"], held["days_left"]) == (done["serial"], 30)
    requester.run("status").expect(0).says("30 days left", f"enroll again after {held['renew_after'][:10]}")
    well = requester.ask("status", "--health")
    assert [(link["connected"], link["trouble"]) for link in well["links"]] == [(True, None)]

    current = requester.credential(issuer)
    assert current.readlink().name == done["serial"]
    assert modes(current) == dict.fromkeys(["key.pem", "cert.pem", "chain.pem", "fullchain.pem", "trust.pem"], 0o600)
    assert stat.S_IMODE(current.stat().st_mode) == 0o700

    from_b, from_c = requester.ask("channel", "check", issuer.name), issuer.ask("channel", "check", requester.name)
    assert from_b["opened_now"]
    assert from_b["we_saw"]["tls_version"] == "TLSv1.3"
    assert from_b["partner_saw"]["serial"] == done["serial"]
    assert (from_c["we_saw"], from_c["partner_saw"]) == (from_b["partner_saw"], from_b["we_saw"])

    assert (requester.stop(), issuer.stop()) == (0, 0)


def test_enroll_does_the_work_itself_where_no_daemon_runs(scene):
    scene.issuer.start()
    first = scene.requester.enroll("--invitation", scene.invitation(), "--dns", scene.name()).expect(0).json
    assert (first["state"], first["issuer_state"]) == ("verified", "confirmed")
    assert not scene.requester.busy()

    again = scene.requester.run("enroll", "--dns", scene.name("www")).expect(0)
    again.says("verified", "confirmed", "credentials")
    assert len(scene.requester.transactions(state="verified")) == 2


def test_a_dry_run_shows_what_would_be_asked_and_sends_nothing(scene):
    plan = scene.requester.ask("enroll", "--invitation", scene.invitation(), "--dns", scene.name(), "--dry-run")
    assert (plan["issuer"], plan["names"], plan["key"]) == (scene.issuer.name, [f"dns:{scene.name()}"], "P-256")
    assert scene.requester.seen()["transactions"] == []


@pytest.fixture
def elsewhere():
    """A port on which nobody listens yet."""
    with KeptPort() as port:
        yield port.number


def test_the_old_credential_stays_current_until_the_new_one_is_verified(scene, elsewhere):
    scene.start(scene.issuer, scene.requester)
    scene.enrolled()
    current = scene.requester.credential(scene.issuer)
    before = current.readlink()
    scene.issuer.stop()
    move_channel(scene.issuer, endpoint=f"localhost:{elsewhere}")  # and nobody listens there
    scene.issuer.start()

    said = ["installed", f"localhost:{elsewhere}", "nothing is lost"]
    scene.requester.enroll_in_vain("--dns", scene.name("new"), code=4, words=said)
    assert current.readlink() == before

    scene.issuer.stop()
    move_channel(scene.issuer, listen=f"127.0.0.1:{elsewhere}")
    scene.issuer.start()
    transaction = scene.requester.transactions()[0]["id"]
    scene.requester.reaches(transaction, "verified")
    scene.issuer.reaches(transaction, "confirmed")
    assert current.readlink().name == scene.requester.transactions(id=transaction)[0]["serial"] != before.name


def test_what_of_a_request_is_not_in_the_certificate_is_told_to_whoever_asked(scene):
    scene.issuer.start()
    asked = ("--dns", scene.name(), "--lifetime", "400d")
    first = scene.requester.enroll("--invitation", scene.invitation(), *asked).expect(0).json
    (note,) = first["notes"]
    assert note.startswith("lifetime: 400 days asked for")
    again = scene.requester.run("enroll", "--dns", scene.name("www"), "--lifetime", "400d").expect(0)
    again.says("note", note)
