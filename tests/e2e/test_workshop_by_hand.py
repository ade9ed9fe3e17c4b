"""What the workshop's participants have made by hand with `openssl` works as input."""

import subprocess
from pathlib import Path

import pytest
from kit.workshop import Workbench


@pytest.mark.parametrize(("with_intermediate", "bits"), [(False, 4096), (True, 3072)])
def test_imported_workshop_cas_on_both_sides_carry_a_whole_enrollment(scene, with_intermediate, bits):
    issuer = scene.known(scene.realm.issuer, scene.directory / "c")
    requester = scene.known(scene.realm.requester, scene.directory / "b")
    for organisation, more in ((issuer, ["--endpoint", f"localhost:{scene.port}"]), (requester, [])):
        bench = Workbench(scene.directory / f"workshop-{organisation.name}")
        bench.root(f"/O=Workshop/CN=Root of {organisation.name}", bits)
        if with_intermediate:
            bench.intermediate(f"/O=Workshop/CN=Issuing CA of {organisation.name}", bits)
        take_over = ["--import-ca", bench.path, "--import-passphrase-file", bench.passphrase_file]
        organisation.ask(
            "init", "--name", organisation.name, *take_over, *more, *scene.login_options(organisation.name)
        )
    issuer.start()
    invitation = scene.invitation(requester, issuer=issuer)
    done = requester.enroll("--invitation", invitation, "--dns", scene.name()).expect(0).json
    assert (done["state"], done["issuer_state"]) == ("verified", "confirmed")

    current, root = requester.credential(issuer), scene.directory / f"workshop-{issuer.name}" / "rootCA.crt"
    verify = ["openssl", "verify", "-purpose", "sslclient", "-CAfile", root, "-untrusted", current / "chain.pem"]
    subprocess.run([*verify, current / "cert.pem"], check=True, capture_output=True)


def test_a_request_made_by_hand_is_enrolled_and_its_key_stays_where_it_is(running):
    bench = Workbench(running.directory / "by-hand")
    csr = bench.request(running.name("by-hand"))
    done = running.requester.enroll("--csr", csr).expect(0).json
    assert (done["state"], done["issuer_state"]) == ("delivered", "delivered")
    delivered, current = Path(done["credential"]), running.requester.credential(running.issuer)
    assert delivered.name == done["serial"]
    assert not current.exists() or current.resolve().name != done["serial"]
    assert not (delivered / "key.pem").exists()
    ours, key = delivered / "cert.pem", bench.path / "client.key"
    public = [
        subprocess.run(command, check=True, capture_output=True).stdout
        for command in (
            ["openssl", "x509", "-in", ours, "-noout", "-pubkey"],
            ["openssl", "pkey", "-in", key, "-pubout"],
        )
    ]
    assert public[0] == public[1]


def test_with_its_key_the_channel_is_verified_too(running):
    bench = Workbench(running.directory / "with-key")
    csr = bench.request(running.name("with-key"))
    done = running.requester.enroll("--csr", csr, "--key", bench.path / "client.key").expect(0).json
    assert (done["state"], done["issuer_state"]) == ("verified", "confirmed")


def test_a_key_that_is_not_the_requests_is_refused_before_anything_is_sent(running):
    bench = Workbench(running.directory / "wrong-key")
    csr, _ = bench.request(running.name("wrong-key")), bench.request(running.name("wrong-key"), "other")
    before = len(running.requester.transactions())
    refused = running.requester.run("enroll", "--csr", csr, "--key", bench.path / "other.key").expect(2)
    refused.says("other.key is not the key of the certification request", "Give the key that the CSR was made with")
    assert len(running.requester.transactions()) == before


def test_a_file_that_is_no_request_is_refused_before_anything_is_sent(running):
    file = running.directory / "no.csr"
    file.write_text("this is a letter")
    before = len(running.requester.transactions())
    running.requester.run("enroll", "--csr", file).expect(2).says(
        f"Error in what was given: --csr {file}", "CSR file", "CERTIFICATE REQUEST", "openssl req -new"
    )
    assert len(running.requester.transactions()) == before


def test_a_wrong_passphrase_of_the_imported_ca_is_said_and_nothing_is_made(tmp_path, scene):
    bench = Workbench(tmp_path / "locked").root("/CN=locked", 2048)
    bench.passphrase_file.write_text("another\n")
    organisation = scene.known("client-d", tmp_path / "d")
    take_over = ["--import-ca", bench.path, "--import-passphrase-file", bench.passphrase_file]
    organisation.run("init", "--name", "client-d", *take_over).expect(2).says("rootCA.key", "passphrase")
    assert not (organisation.home / "agent.toml").exists()
