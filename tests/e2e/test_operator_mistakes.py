"""Mistakes on the command line, each told for what it is: the option, what it got and what it wants. No broker."""

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from kit.agents import agent
from kit.patience import PATIENCE

NAMES = ("--dns", "api.client-b.example")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """An issuer, a requester, an invitation and a request of one's own."""
    directory = tmp_path_factory.mktemp("workplace")
    password = directory / "password"
    password.touch(0o600)
    login = ("--broker", "amqp://127.0.0.1:9", "--broker-password-file", password)
    for name, port in (("client-c", 9), ("client-b", 10)):
        made = agent(
            "init", "--name", name, "--endpoint", f"localhost:{port}", *login, AGENT_HOME=str(directory / name)
        )
        made.expect(0)
    invited = ("invite", "client-b", "--dns", "**.client-b.example", "--out", directory / "invitation")
    agent(*invited, AGENT_HOME=str(directory / "client-c")).expect(0)
    key, request = directory / "own.key", directory / "own.csr"
    openssl = f"openssl req -new -newkey rsa:2048 -nodes -subj /CN=api.client-b.example -keyout {key} -out {request}"
    subprocess.run(
        [*openssl.split(), "-addext", "subjectAltName=DNS:api.client-b.example"], check=True, timeout=PATIENCE
    )
    return directory


def enroll(workplace: Path, *arguments):
    invitation = ("--invitation", workplace / "invitation")
    return agent("enroll", *invitation, "--wait", "0", *arguments, AGENT_HOME=str(workplace / "client-b"))


@pytest.mark.parametrize("option", ["--csr", "--key"])
@pytest.mark.parametrize("path", ["absent", "."])
def test_a_file_that_is_not_there_is_named_with_its_option(workplace, option, path):
    csr = () if option == "--csr" else ("--csr", workplace / "own.csr")
    said = enroll(workplace, *csr, option, workplace / path).expect(2)
    said.says(f"{option} {workplace / path}: there is no such file")


def test_names_beside_a_request_of_ones_own_are_not_passed_over_in_silence(workplace):
    request = ("--csr", workplace / "own.csr")
    enroll(workplace, *request, *NAMES).expect(2).says("--csr brings its own names")
    enroll(workplace, *request, *NAMES, "--dry-run").expect(2).says("--csr brings its own names")


def test_a_dry_run_misses_what_an_enrollment_would_miss(workplace):
    enroll(workplace, "--dry-run").expect(2).says("no name is asked for")
    enroll(workplace, *NAMES, "--key", workplace / "own.key", "--dry-run").expect(2).says("--key goes with --csr")


def test_a_dry_run_judges_the_invitation_as_an_enrollment_does(workplace):
    asked = ("--invitation", workplace / "invitation", "--wait", "0", *NAMES)
    for also in ((), ("--dry-run",)):
        to_another = agent("enroll", *asked, *also, AGENT_HOME=str(workplace / "client-c")).expect(2)
        to_another.says("an invitation for client-b", "one for client-c", "choose the right agent with --home")
        late = agent("enroll", *asked, *also, AGENT_HOME=str(workplace / "client-b"), clock_off=timedelta(days=30))
        late.expect(2).says("an invitation that expired", "Ask the issuer's operator for a new one")
    for also in ((), ("--dry-run",)):
        unknown = ("enroll", "--issuer", "client-x", *NAMES, *also)
        agent(*unknown, AGENT_HOME=str(workplace / "client-b")).expect(2).says("no root is pinned for client-x here")


def test_a_dry_run_shows_the_plan_and_takes_nothing_in(workplace):
    enroll(workplace, *NAMES, "--dry-run").expect(0).says("client-c", "amqp://127.0.0.1:9")
    seen = agent("status", "--json", AGENT_HOME=str(workplace / "client-b")).expect(0).json
    assert (seen["partners"], seen["transactions"]) == ([], [])


@pytest.mark.parametrize("lifetime", ["0d", "24856d", "9999999d"])
def test_a_lifetime_that_cannot_be_asked_for_is_refused(workplace, lifetime):
    enroll(workplace, *NAMES, "--lifetime", lifetime).expect(2).says("--lifetime", "at least 1s and at most 24855d")


def test_nothing_of_a_mistaken_enrollment_is_recorded(workplace):
    enroll(workplace, *NAMES, "--lifetime", "0d").expect(2)
    seen = agent("status", "--json", AGENT_HOME=str(workplace / "client-b")).expect(0).json
    assert (seen["partners"], seen["transactions"]) == ([], [])


@pytest.mark.parametrize("expires", ["0s", "367d", "9999999d"])
def test_an_invitation_that_is_good_for_nothing_or_for_ever_is_not_made(workplace, expires):
    asked = ("invite", "client-d", "--dns", "d.example", "--expires", expires)
    agent(*asked, AGENT_HOME=str(workplace / "client-c")).expect(2).says("--expires", "at most 366d")


def test_an_invitation_that_could_not_be_written_is_not_made(workplace):
    asked = ("invite", "client-d", "--dns", "d.example", "--out", workplace / "absent" / "invitation")
    agent(*asked, AGENT_HOME=str(workplace / "client-c")).expect(2).says("--out", "there is no such directory")
    assert not (workplace / "client-c" / "partners" / "client-d.toml").exists()


@pytest.mark.parametrize(
    ("option", "kind", "beside"),
    [
        ("--passphrase-file", "file", ()),
        ("--import-passphrase-file", "file", ("--import-ca", ".")),
        ("--import-ca", "directory", ()),
        ("--broker-password-file", "file", ("--broker", "amqp://b")),
        ("--broker-ca-file", "file", ("--broker", "amqps://b")),
        ("--broker-certificate-file", "file", ("--broker", "amqps://b", "--broker-key-file", __file__)),
        ("--broker-key-file", "file", ("--broker", "amqps://b", "--broker-certificate-file", __file__)),
    ],
)
def test_what_init_is_pointed_to_must_be_there(tmp_path, option, kind, beside):
    asked = ("init", "--name", "client-x", *beside, option, tmp_path / "absent")
    agent(*asked, AGENT_HOME=str(tmp_path / "home")).expect(2).says(
        f"{option} {tmp_path / 'absent'}: there is no such {kind}"
    )
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("option", "beside"),
    [("--broker-password-file", ()), ("--broker-key-file", ("--broker-certificate-file", __file__))],
)
def test_init_refuses_a_login_that_everybody_can_read(tmp_path, option, beside):
    login = tmp_path / "login"
    login.touch(0o600)
    login.chmod(0o644)
    asked = ("init", "--name", "client-x", "--broker", "amqps://b", *beside, option, login)
    agent(*asked, AGENT_HOME=str(tmp_path / "home")).expect(2).says(option, "mode 0644", f"chmod 600 '{login}'")
    assert not (tmp_path / "home").exists()


def test_a_login_that_is_gone_is_a_mistake_on_this_side_and_nothing_is_begun(workplace):
    (workplace / "password").rename(workplace / "elsewhere")
    try:
        said = enroll(workplace, *NAMES).expect(2)
    finally:
        (workplace / "elsewhere").rename(workplace / "password")
    said.says("on this side", f"{workplace / 'password'}: there is no such file")
    seen = agent("status", "--json", AGENT_HOME=str(workplace / "client-b")).expect(0).json
    assert (seen["partners"], seen["transactions"]) == ([], [])


def test_a_form_of_the_log_that_there_is_not_is_refused(workplace):
    agent("run", "--log", "yaml", AGENT_HOME=str(workplace / "client-b")).expect(2).says(
        "--log 'yaml'", "auto, json, text"
    )


def test_a_name_that_no_certificate_can_carry_is_shown_as_it_was_given(workplace):
    for also in ((), ("--dry-run",)):
        enroll(workplace, "--uri", "two words", *also).expect(2).says("uri:two words", "without spaces")
        enroll(workplace, *NAMES, "--common-name", "a\x07b", *also).expect(2).says(r"common name 'a\x07b'")
        enroll(workplace, "--dns", "bad name", *also).expect(2).says("on the command line", "bad name")
        enroll(workplace, "--ip", "1.2.3", *also).expect(2).says("on the command line", "1.2.3")
    assert not (workplace / "client-b" / "credentials").exists()


def test_a_key_that_is_not_the_requests_is_a_mistake_on_the_command_line(workplace):
    other = workplace / "other.key"
    openssl = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(other)]
    subprocess.run(openssl, check=True, capture_output=True, timeout=PATIENCE)
    other.chmod(0o600)
    said = enroll(workplace, "--csr", workplace / "own.csr", "--key", other).expect(2)
    said.says(f"--key {other} is not the key of the certification request")


@pytest.mark.parametrize(
    ("option", "shown"),
    [((), "the issuer's default"), (("--lifetime", "9600h"), "400d"), (("--lifetime", "90m"), "90m")],
)
def test_a_dry_run_says_a_lifetime_as_the_option_takes_it(workplace, option, shown):
    said = enroll(workplace, *NAMES, *option, "--dry-run").expect(0)
    assert [line for line in said.out.splitlines() if "lifetime" in line] == [f"lifetime  {shown}"]


def test_a_channel_that_was_never_opened_says_who_has_to_enroll(workplace):
    enroll(workplace, *NAMES).expect(3)
    agent("channel", "check", "client-c", AGENT_HOME=str(workplace / "client-b")).expect(1).says(
        "finish `agent enroll` with client-c here first"
    )
    agent("channel", "check", "client-b", AGENT_HOME=str(workplace / "client-c")).expect(1).says(
        "after `agent enroll` at client-b, run `agent channel check` there"
    )


def test_a_home_that_lost_its_configuration_keeps_its_ca(tmp_path):
    asked = ("init", "--if-missing", "--name", "client-x")
    agent(*asked, AGENT_HOME=str(tmp_path / "home")).expect(0)
    (tmp_path / "home" / "agent.toml").unlink()
    root = (tmp_path / "home" / "ca" / "root.key.pem").read_bytes()
    again = agent(*asked, AGENT_HOME=str(tmp_path / "home")).expect(2)
    again.says("exists already", "if the agent.toml of an agent in this one was lost, restore it")
    assert (tmp_path / "home" / "ca" / "root.key.pem").read_bytes() == root


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        (("--listen", "127.0.0.1:9"), "--listen goes with --endpoint HOST:PORT"),
        (("--broker-user", "b"), "--broker-user goes with --broker URL"),
        (("--broker-password-file", "p"), "--broker-password-file goes with --broker URL"),
        (("--broker-ca-file", "ca.pem"), "--broker-ca-file goes with --broker URL"),
        (("--broker-certificate-file", "c.pem", "--broker-key-file", "k.pem"), "goes with --broker URL"),
        (("--broker", "amqps://b", "--broker-certificate-file", "c.pem"), "goes with --broker-key-file FILE"),
        (("--broker", "amqps://b", "--broker-key-file", "k.pem"), "goes with --broker-certificate-file FILE"),
        (("--import-passphrase-file", "p"), "--import-passphrase-file goes with --import-ca DIR"),
    ],
)
def test_an_answer_to_init_that_says_nothing_by_itself_is_not_passed_over_in_silence(tmp_path, given, missing):
    asked = agent("init", "--name", "client-x", *given, AGENT_HOME=str(tmp_path / "home"))
    asked.expect(2).says(missing, f"or leave {given[-2]} out" if len(given) == 2 else "Add ")
    assert not (tmp_path / "home").exists()
