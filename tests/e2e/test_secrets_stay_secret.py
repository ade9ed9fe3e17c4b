"""No secret shows anywhere that people or machines look: logs, results, errors, command lines, configuration."""

import base64
from pathlib import Path

from kit.workshop import Workbench

from protocol.invitation import decode_invitation

CANARY = "canary-passphrase-3f1d"


def secrets_of(scene, organisation, *texts):
    """Everything that only files with mode 0600 may hold, in the forms in which it could leak."""
    found = set(texts)
    for file in [*organisation.home.rglob("*key*.pem"), organisation.home / "ca" / "passphrase"]:
        if file.is_file():
            found |= {line for line in file.read_text().splitlines() if len(line) > 40 and "-----" not in line}
    return found | {scene.login(organisation.name).password_file.read_text()}


def invitation_secrets(text):
    secret = decode_invitation(text).secret.reveal()
    plain, url = base64.b64encode(secret).decode(), base64.urlsafe_b64encode(secret).decode()
    return {
        text.strip(),
        text.split(".")[1],
        plain,
        plain.rstrip("="),
        url,
        url.rstrip("="),
        secret.hex(),
        repr(secret),
    }


def command_line(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def test_secrets_are_in_no_log_no_result_no_error_and_no_command_line(scene):
    bench = Workbench(scene.directory / "workshop", CANARY).root("/CN=Workshop Root", 2048)
    issuer = scene.known(scene.realm.issuer, scene.directory / "c")
    requester = scene.requester
    locks = ["--import-ca", bench.path, "--passphrase-file", bench.passphrase_file]
    endpoint = ["--endpoint", f"localhost:{scene.port}"]
    shown = [issuer.run("init", "--name", issuer.name, *locks, *endpoint, *scene.login_options(issuer.name)).expect(0)]
    invitation = scene.invitation(issuer=issuer)
    scene.start(issuer, requester)
    for form in ([], ["--json"]):
        shown += [requester.run("enroll", "--invitation", invitation, "--dns", scene.name("x"), *form)]
        shown += [one.run("status", *form).expect(0) for one in (issuer, requester)]
        shown += [issuer.run("pending", *form), requester.run("channel", "check", issuer.name, *form).expect(0)]
        shown += [requester.run("enroll", "--dns", "not.allowed.example", *form).expect(1)]
    assert [one.code for one in shown if one.code not in {0, 1}] == []
    shown += [
        issuer.run("invite", requester.name, "--out", scene.directory / "another"),
        requester.run("enroll", "--invitation", "-", "--dns", "a.example", given=invitation.read_text()[:-3]),
        requester.run("init", "--name", "x", "--broker", "amqp://me:hidden-word@h"),
    ]
    everything = "".join(one.out + one.err for one in shown) + issuer.log.read_text() + requester.log.read_text()
    everything += command_line(issuer.pid)
    for one in (issuer, requester):
        everything += (one.home / "agent.toml").read_text() + (one.home / "run" / "health.json").read_text()

    hidden = invitation_secrets(invitation.read_text()) | {CANARY, "hidden-word"}
    hidden |= secrets_of(scene, issuer) | secrets_of(scene, requester)
    assert len(hidden) > 20
    assert "certificate issued" in everything
    assert [secret for secret in hidden if secret in everything] == []


def test_a_refused_login_does_not_show_the_password(breakable_broker, scene):
    file = scene.login(scene.requester.name).password_file
    file.write_text("canary-password-77ab")
    asked = ["--invitation", scene.invitation(), "--dns", scene.name(), "--json"]
    result = scene.requester.enroll_in_vain(*asked, code=3, words=["refused the login"])
    assert "canary-password-77ab" not in result.out + result.err


def test_a_crash_of_the_daemon_leaves_no_memory_on_the_disk(running):
    for one in (running.issuer, running.requester):
        (line,) = [line for line in Path(f"/proc/{one.pid}/limits").read_text().splitlines() if "core file" in line]
        assert line.split() == ["Max", "core", "file", "size", "0", "0", "bytes"]


def test_what_the_program_writes_is_for_its_owner_only(running):
    for one in (running.issuer, running.requester):
        open_to_others = [path for path in one.home.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o077]
        assert open_to_others == []
        assert one.home.stat().st_mode & 0o077 == 0
