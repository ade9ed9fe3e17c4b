"""A home that is open to others, mixed up, damaged, read-only or full: said with its remedy, and nothing is lost."""

import contextlib
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from kit.agents import eventually

from agents.adapters.files import create_file
from agents.adapters.home import HomeLock, write_health
from agents.core.pem import private_key_pem


def runs(organisation):
    """`agent run`, which is expected to end by itself."""
    return organisation.run("run", "--log", "json", seconds=30)


@pytest.mark.parametrize(
    "file", ["identity/key.pem", "channel/key.pem", "ca/passphrase", "ca/issuing.key.pem", "ledger.sqlite"]
)
def test_a_secret_that_others_can_read_stops_the_agent(scene, file):
    scene.invitation()
    path = scene.issuer.home / file
    path.chmod(0o640)
    refused = runs(scene.issuer).expect(5)
    refused.says(str(path), "mode 0640", "0600", "chmod 600")
    path.chmod(0o600)
    scene.issuer.start()


@pytest.mark.parametrize("file", ["identity/key.pem", "channel/key.pem"])
def test_a_key_that_does_not_belong_to_its_certificate_stops_the_agent(scene, file):
    scene.invitation()
    path = scene.issuer.home / file
    path.unlink()
    create_file(path, private_key_pem(ec.generate_private_key(ec.SECP256R1())))
    runs(scene.issuer).expect(5).says(str(path.parent), "do not belong together")


def test_a_second_daemon_on_the_same_home_is_refused_and_the_first_goes_on(running):
    refused = runs(running.issuer).expect(2)
    refused.says("an agent already runs on", str(running.issuer.home), "agent status")
    running.requester.enroll("--dns", running.name("goes-on")).expect(0)


def test_a_corrupt_ledger_is_said_by_every_command_and_left_as_it_is(scene):
    ledger = scene.requester.home / "ledger.sqlite"
    damaged = b"\0" * 100 + ledger.read_bytes()[100:]
    ledger.write_bytes(damaged)
    for arguments in (["status"], ["enroll", "--dns", "a.example"], ["run"], ["pending"]):
        scene.requester.run(*arguments).expect(5).says(str(ledger), "damaged", "backup")
    assert ledger.read_bytes() == damaged


def test_a_missing_ledger_is_not_made_anew(scene):
    ledger = scene.requester.home / "ledger.sqlite"
    ledger.unlink()
    scene.requester.run("status").expect(5).says(f"no ledger at {ledger}")
    assert not ledger.exists()


def test_a_missing_home_is_said(scene):
    for arguments in (["status"], ["run"], ["enroll", "--dns", "a.example"], ["invite", "client-b"]):
        missing = scene.known("nobody", scene.directory / "nowhere").run(*arguments).expect(2)
        missing.says("no agent in", "nowhere", "agent init", "AGENT_HOME")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[broker]\nurll = 'amqp://h'\n", ["unknown key 'broker.urll'", "did you mean 'broker.url'"]),
        ("[brokr]\n", ["unknown key 'brokr'", "did you mean 'broker'"]),
        ("[broker\n", ["not valid TOML", "line"]),
        ("[broker]\nurl = 'http://h'\n", ["broker.url", "wanted amqp://HOST:PORT", "got 'http://h'"]),
    ],
)
def test_a_broken_configuration_names_the_key_and_the_nearest_known_one(scene, text, words):
    file = scene.requester.home / "agent.toml"
    file.write_text(f"[organisation]\nname = '{scene.requester.name}'\ntitle = 'B'\n{text}")
    for command in ("status", "run"):
        scene.requester.run(command).expect(2).says(str(file), *words)


def test_a_broken_agreement_is_the_issuers_matter_and_the_requester_can_ask_again(scene):
    scene.issuer.start()
    invitation = scene.invitation()
    file = scene.issuer.home / "partners" / f"{scene.requester.name}.toml"
    right = file.read_text()
    file.write_text(f"{right}\nlifetme_max = '90d'\n")

    refused = scene.requester.run("enroll", "--invitation", invitation, "--dns", scene.name()).expect(1)
    refused.says("Nothing is wrong with the request: tell the issuer's operator", "enroll again")
    (line,) = scene.issuer.logged("policy unusable")
    assert str(file) in line["why"]
    assert "lifetme_max" in line["why"]
    scene.issuer.run("invite", scene.requester.name).expect(2).says(str(file), "lifetme_max")

    file.write_text(right)
    scene.requester.enroll("--invitation", invitation, "--dns", scene.name()).expect(0)


def test_a_daemon_that_cannot_say_how_it_fares_is_not_called_well(scene):
    """So it is on a full disk: the old health report stays."""
    lock = HomeLock(scene.requester.home)
    lock.acquire()
    write_health(scene.requester.home, {"at": "2026-01-01T00:00:00+00:00", "links": [], "channel": None})
    try:
        seen = scene.requester.run("status", "--health").expect(1)
        seen.says("running, but silent since 2026-01-01", "its disk is full, see its log")
    finally:
        lock.release()


# --- disks -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def disk():
    """Moves a home to a small disk of its own, which only those see who enter it. Skips where that is not permitted."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount (root, CAP_SYS_ADMIN)")
    with contextlib.ExitStack() as stack:
        yield lambda organisation: stack.enter_context(small_disk(organisation))


MOUNT = 'mount -t tmpfs -o size=4m,mode=700 small "$1" && cp -a "$2/." "$1" && echo ready && read end'


@contextlib.contextmanager
def small_disk(organisation):
    home, aside = organisation.home, organisation.home.with_suffix(".aside")
    home.rename(aside)
    home.mkdir(mode=0o700)
    keeper = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", MOUNT, "sh", home, aside], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert keeper.stdout.readline() == b"ready\n"
        organisation.prefix = ("nsenter", f"--mount=/proc/{keeper.pid}/ns/mnt", "--")
        organisation.view = Path(f"/proc/{keeper.pid}/root{home}")
        yield Disk(organisation)
        organisation.clean_up()
    finally:
        keeper.communicate(b"\n")


class Disk:
    """The disk under a home."""

    def __init__(self, organisation):
        self._organisation = organisation
        self._filler = organisation.view / "filler"

    def fill(self):
        with contextlib.suppress(OSError), self._filler.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass

    def make_room(self):
        self._filler.unlink()

    def remount(self, how):
        enter, home = self._organisation.prefix, self._organisation.home
        subprocess.run([*enter, "mount", "-o", f"remount,{how}", home], check=True)


def test_on_a_full_disk_nothing_is_asked_until_there_is_room(scene, disk):
    scene.issuer.start()
    invitation = scene.invitation()
    under = disk(scene.requester)
    under.fill()
    full = scene.requester.run("enroll", "--invitation", invitation, "--dns", scene.name()).expect(5)
    full.says("is full")
    assert scene.issuer.transactions() == []
    under.make_room()
    scene.requester.enroll("--invitation", invitation, "--dns", scene.name()).expect(0)


def test_an_issuer_with_a_full_disk_says_so_keeps_the_request_and_goes_on_when_there_is_room(scene, disk):
    invitation = scene.invitation()
    under = disk(scene.issuer)
    scene.start(scene.issuer, scene.requester)
    under.fill()
    scene.requester.enroll("--invitation", invitation, "--dns", scene.name(), wait=0).expect(4)
    eventually(lambda: scene.issuer.logged("pausing"), "the issuer pauses")
    assert "is full. Make room" in scene.issuer.logged("pausing")[0]["why"]
    under.make_room()
    (waiting,) = scene.requester.transactions()
    scene.requester.reaches(waiting["id"], "verified")
    scene.issuer.reaches(waiting["id"], "confirmed")


def test_a_read_only_home_is_said_by_the_daemon_and_by_commands(scene, disk):
    under = disk(scene.requester)
    under.remount("ro")
    asked = ["--invitation", scene.invitation(), "--dns", scene.name()]
    for command in (["run"], ["enroll", *asked]):
        scene.requester.run(*command).expect(5).says("ead-only", str(scene.requester.home))
    under.remount("rw")
    scene.issuer.start()
    scene.requester.enroll(*asked).expect(0)


def test_a_daemon_that_was_killed_is_told_from_one_that_was_stopped(scene):
    scene.requester.start()
    assert scene.requester.stop() == 0
    scene.requester.run("status").expect(0).says("not running (start it with `agent run`)")
    scene.requester.start()
    scene.requester.kill()
    scene.requester.run("status").expect(0).says("not running: killed or crashed about")


def test_an_agent_that_takes_the_answers_to_another_of_its_name_says_so_and_none_is_lost(scene):
    scene.issuer.start()
    scene.enrolled()
    twin = scene.organisation(scene.requester.name, "twin")
    twin.enroll("--invitation", scene.invitation(), "--dns", scene.name()).expect(1)
    scene.issuer.stop()
    left = scene.requester.enroll("--dns", scene.name("www"), wait=5).expect(4)
    left.says("its agent runs", "no other agent of yours logs in at the broker in this name")

    twin.start()
    scene.issuer.start()
    said = "does another agent log in at the broker in this name?"
    eventually(lambda: said in " ".join(twin.run("status").expect(0).out.split()))
    twin.stop()
    scene.requester.start()
    (asked,) = scene.requester.transactions(names=[f"dns:{scene.name('www')}"])
    scene.requester.reaches(asked["id"], "verified")
