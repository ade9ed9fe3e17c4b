"""The whole story through the command line: two organisations, two daemons, one broker, a verified channel."""

import stat

from kit.agents import agent, eventually


def modes(directory):
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}


def test_two_organisations_enroll_and_each_end_says_what_it_saw_of_the_other(broker, scene):
    issuer = scene.known(scene.realm.issuer, scene.directory / "c")
    requester = scene.known(scene.realm.requester, scene.directory / "b")
    endpoint = ["--endpoint", f"localhost:{scene.port}"]
    issuer.ask("init", "--name", issuer.name, "--organization", "C", *scene.login_options(issuer.name), *endpoint)
    requester.ask("init", "--name", requester.name, *scene.login_options(requester.name))
    invitation = scene.directory / "invitation"
    issuer.ask("invite", requester.name, "--dns", f"**.{requester.name}.example", "--out", invitation)
    scene.start(issuer, requester)

    done = requester.ask("enroll", "--invitation", invitation, "--dns", scene.name())
    assert (done["state"], done["issuer_state"]) == ("verified", "confirmed")

    (there,) = issuer.ask("status")["transactions"]
    assert (there["id"], there["state"], there["serial"]) == (done["transaction"], "confirmed", done["serial"])
    here = requester.ask("status", "--health")
    assert [one["state"] for one in here["transactions"]] == ["verified"]
    assert here["certificates"][0]["serial"] == done["serial"]
    assert [(link["connected"], link["trouble"]) for link in here["links"]] == [(True, None)]

    current = requester.credential(issuer)
    assert current.readlink().name == done["serial"]
    assert modes(current) == dict.fromkeys(["key.pem", "cert.pem", "chain.pem", "fullchain.pem", "trust.pem"], 0o600)
    assert stat.S_IMODE(current.stat().st_mode) == 0o700

    from_b, from_c = (
        requester.ask("channel", "check", issuer.name),
        issuer.ask("channel", "check", requester.name),
    )
    assert from_b["opened_now"]
    assert from_b["we_saw"]["tls_version"] == "TLSv1.3"
    assert from_b["partner_saw"]["serial"] == done["serial"]
    assert (from_c["we_saw"], from_c["partner_saw"]) == (from_b["partner_saw"], from_b["we_saw"])

    assert (requester.stop(10), issuer.stop(10)) == (0, 0)
