"""Every command of the README, and of what it says on operating, runs as it is pasted and shows what it says it shows.

Replaced are the ports, so that nothing else on the machine is in the way, and the directory in which the reader begins.
"""

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from kit.ports import KeptPort
from kit.readme import Terminal, commands, sections

from agents.adapters.broker import Nothing, find_broker
from agents.bootstrap.setup import Setup, set_up
from agents.cli.exits import ExitCode
from agents.cli.main import TABLE
from agents.config.policy import default_policy_text
from protocol.names import OrganisationName

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
SECTIONS = sections(TEXT)
OPERATING_TEXT = (ROOT / "docs/OPERATING.md").read_text()
OPERATING = sections(OPERATING_TEXT)
BY_HAND = [name for name in SECTIONS if re.match(r"[1-4]\. ", name)]
(OWN_BROKER,) = (name for name in SECTIONS if name.startswith("5. "))
(SIMULATION,) = (name for name in SECTIONS if name.startswith("7. "))
BEGINNING = next(block for block in SECTIONS[BY_HAND[0]] if block.terminal == "Every terminal")
PORTS = ("5680", "8443", "8444", "5672")


class Reader:
    """Somebody who pastes blocks into terminals and looks at what they show."""

    def __init__(self, directory, broker=None):
        (directory / ".venv").symlink_to(sys.prefix)
        self._directory, self._broker = directory, broker
        self._kept_ports = {port: KeptPort() for port in PORTS}
        self._ports = {port: str(kept.number) for port, kept in self._kept_ports.items()}
        if broker:
            self._ports["5672"] = str(broker.port)
        self.terminals = {}

    def close(self):
        """Close every terminal, and let go of the ports."""
        for one in (*self.terminals.values(), *self._kept_ports.values()):
            one.close()

    def follow(self, blocks):
        """Paste each block, then see what the next one says is shown, or that the commands are done."""
        pasted = [block for block in blocks if block.language in {"sh", "text"} and block is not BEGINNING]
        terminal = None
        for block, following in zip(pasted, [*pasted[1:], None], strict=True):
            terminal = self._terminal(block.terminal) if block.terminal else terminal
            if block.language == "text":
                terminal.wait(block)
                continue
            self._paste(terminal, block.text)
            if following is None or following.language != "text" or following.terminal:
                terminal.wait(None)

    def file(self, name):
        """A file that the reader made."""
        return self._directory / "trial" / name

    def _terminal(self, name):
        if name not in self.terminals:
            self.terminals[name] = Terminal(name, self._directory)
            self.terminals[name].paste(BEGINNING.text)
        return self.terminals[name]

    def _paste(self, terminal, text):
        """`rabbitmqctl` is of the broker's administrator, so it is not pasted: the broker of the tests runs it."""
        script = re.sub(rf"\b({'|'.join(PORTS)})\b", lambda match: self._ports[match[1]], text)
        ours = [command for command in commands(script) if not command.startswith("rabbitmqctl ")]
        terminal.paste("\n".join(ours))
        for command in commands(script):
            if command not in ours:
                terminal.wait(None)
                terminal.show(self._administer(command))

    def _administer(self, command):
        words, _, file = command.partition(" < ")
        given = self.file(file).read_text() if file else ""
        return self._broker.ctl(*shlex.split(words)[1:], given=given)


@pytest.fixture
def reader_of(tmp_path):
    """Makes readers, whose terminals are closed in the end."""
    with ExitStack() as closing:

        def make(broker=None):
            reader = Reader(tmp_path, broker)
            closing.callback(reader.close)
            return reader

        yield make


def test_what_is_done_by_hand_works_as_it_is_pasted(reader_of):
    if isinstance(find_broker({}), Nothing):
        pytest.skip("needs an installed RabbitMQ or Docker: `agent broker run` starts a broker of its own")
    reader = reader_of()
    for heading in BY_HAND:
        reader.follow(SECTIONS[heading])
    at_work = {"Terminal 1", "Terminal 2"}
    assert "Press Ctrl-C in terminals 1 and 2" in TEXT
    assert [name for name in at_work if reader.terminals[name].is_idle()] == []
    for name in reader.terminals.keys() - at_work:
        reader.terminals[name].wait(None)
    for name in at_work:
        reader.terminals[name].close()
    assert "nothing is left running" in reader.terminals["Terminal 1"].screen()


def test_a_broker_of_ones_own_works_as_it_is_pasted(reader_of, breakable_broker):
    reader = reader_of(breakable_broker.require_own())
    reader.follow(SECTIONS[OWN_BROKER])
    reader.terminals["Terminal 5"].wait(None)
    reader.terminals["Terminal 5"].close()


def test_a_broker_with_tls_only_is_certified_as_it_is_pasted(reader_of):
    reader = reader_of()
    reader.follow(OPERATING["A broker that takes TLS only"])
    reader.terminals["Terminal 8"].wait(None)


def test_the_simulation_works_as_it_is_pasted(reader_of):
    if isinstance(find_broker({}), Nothing):
        pytest.skip("needs an installed RabbitMQ or Docker: a simulation breaks a broker of its own")
    reader = reader_of()
    reader.follow(SECTIONS[SIMULATION])
    reader.terminals["Terminal 7"].wait(None)
    assert reader.file("report.html").read_text().startswith("<!doctype html>")


def test_under_the_root_that_the_readme_makes_strict_validators_accept_what_we_issue(tmp_path):
    (script,) = (block.text for blocks in SECTIONS.values() for block in blocks if "openssl req -x509" in block.text)
    recipe = "\n".join(command for command in commands(script) if not command.startswith("agent "))
    subprocess.run(["bash", "-ec", recipe], cwd=tmp_path, capture_output=True, check=True)
    folder, passphrase = tmp_path / "workshop", tmp_path / "workshop-passphrase"
    made = set_up(Setup(tmp_path / "d", "client-d", "D", import_ca=folder, import_passphrase_file=passphrase))
    certificates = ["-CAfile", "ca/root.cert.pem", "-untrusted", "ca/issuing.cert.pem", "identity/chain.pem"]
    verify = ["openssl", "verify", "-x509_strict", *certificates]
    done = subprocess.run(verify, cwd=made.home, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, made.warnings) == (0, "", ())


def test_who_only_enrolls_needs_what_the_readme_says(scene):
    (block,) = SECTIONS["You are the requester"]
    init, enroll, run = (shlex.split(command)[1:] for command in commands(block.text))
    scene.broker.require_own()
    name, login = scene.realm.requesters[1], dict(batched(scene.login_options(scene.realm.requesters[1])))
    scene.issuer.start()
    requester = scene.known(name, scene.directory / "alone")
    given = {**login, "--name": name, "--dns": f"api.{name}.example", "--invitation": scene.invitation(requester)}
    assert {word for word in init + enroll if word.startswith("--")} == {*given, "--broker-ca-file"}
    requester.run("init", *(word for pair in given.items() if pair[0] in init for word in pair)).expect(0)
    requester.run("enroll", *(word for pair in given.items() if pair[0] in enroll for word in pair)).expect(0)
    assert run == ["run"]
    requester.start()


def test_the_service_that_is_shown_runs_what_is_installed(tmp_path):
    install, by_hand, service = OPERATING["Install it, and keep it running"]
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read_string(service.text)
    program, *words = shlex.split(unit["Service"]["ExecStart"])
    home = unit["Service"]["Environment"].removeprefix("AGENT_HOME=")
    assert words == ["run"]
    assert f"AGENT_HOME={home} {program} init" in by_hand.text
    assert f"venv {Path(program).parents[1]}\n" in install.text
    assert Path(home).is_relative_to(unit["Service"]["ReadWritePaths"])
    assert (ROOT / re.search(r"--requirement (\S+)", install.text)[1]).exists()
    if shutil.which("systemd-analyze"):
        file = tmp_path / "apostille.service"
        file.write_text(service.text.replace(program, sys.executable))
        done = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def batched(words):
    """Options and their values, in pairs."""
    return zip(words[::2], words[1::2], strict=True)


def test_the_makefile_has_the_targets_that_the_readme_names():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)\b", TEXT, re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


def test_the_first_screen_shows_what_the_demonstration_says():
    ending = next(block.text for block in SECTIONS[""] if block.language == "text")
    labels = re.findall(r"^  (\S[^\n]*?)  +", ending, re.MULTILINE)
    program = (ROOT / "agents/cli/demo.py").read_text()
    assert labels
    assert [label for label in labels if f'"  {label}"' not in program] == []


def test_every_command_and_exit_status_is_explained():
    commands_named = {command.name for group in TABLE.values() for command in group}
    assert {name for name in commands_named if f"agent {name}" not in TEXT + OPERATING_TEXT} == {"demo"}
    table = {int(number) for number in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)}
    assert table == set(ExitCode) - {ExitCode.READER_GONE}


def test_the_excerpt_of_the_agreement_is_what_an_invitation_writes():
    (excerpt,) = (block.text for blocks in SECTIONS.values() for block in blocks if block.language == "toml")
    written = default_policy_text(OrganisationName("client-b"), ["**.client-b.example"]).splitlines()
    assert [line for line in excerpt.splitlines() if line and line not in written] == []
