"""`agent broker certify`: the folders it makes, who may read them, and what it refuses."""

import json
import os
import re
import stat

import pytest

from agents.cli import exits
from agents.cli.group import make_group
from agents.cli.main import TABLE, agent
from protocol import topology
from protocol.names import OrganisationName

WORDS = ("--issuer", "client-c", "--requester", "client-b", "--host", "broker.example")


@pytest.fixture
def certify(capsys, tmp_path):
    """Run the command: exit code, standard output, standard error."""

    def run(*arguments):
        code = exits.run(make_group("agent", TABLE, agent), ["broker", "certify", str(tmp_path), *arguments])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def contents(directory):
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_there_is_a_folder_for_everybody_and_doing_it_again_changes_nothing(certify, tmp_path):
    code, out, _ = certify(*WORDS, "--json")
    made = contents(tmp_path)
    assert code == 0
    assert json.loads(out)["made"] == ["broker", "client-b", "client-c"]
    assert {name.split("/")[0] for name in made} == {"authority", "broker", "client-b", "client-c"}
    code, out, _ = certify(*WORDS, "--json")
    assert (code, json.loads(out)["made"]) == (0, [])
    assert contents(tmp_path) == made


def test_who_makes_it_is_told_where_the_authority_must_not_lie(certify, tmp_path):
    _, out, _ = certify(*WORDS)
    assert f"{tmp_path / 'authority'}: keep it off the broker's machine" in out
    assert "BEGIN ENCRYPTED" not in (tmp_path / "authority/key.pem").read_text()
    assert "key.pem makes logins and is not encrypted" in out


def test_who_makes_it_is_told_how_the_broker_is_started_and_what_an_agent_is_made_with(certify, tmp_path):
    _, out, _ = certify(*WORDS)
    assert f"RABBITMQ_CONFIG_FILE={tmp_path / 'broker/rabbitmq.conf'}\n" in out
    assert f"RABBITMQ_ENABLED_PLUGINS_FILE={tmp_path / 'broker/enabled_plugins'}\n" in out
    assert "--broker amqps://broker.example:5671 " in out
    assert {path.name for path in (tmp_path / "client-b").iterdir()} == set(
        re.findall(r"[a-z]+\.pem", out.split("agent init")[1])
    )


def test_one_organisation_more_leaves_the_others_as_they_are(certify, tmp_path):
    certify(*WORDS)
    before = contents(tmp_path)
    _, out, _ = certify(*WORDS, "--requester", "client-d")
    after = contents(tmp_path)
    assert "client-d (new)" in out
    assert {name for name in before if before[name] != after[name]} == {"broker/definitions.json"}


def test_the_broker_knows_its_organisations_by_certificate_only(certify, tmp_path):
    certify(*WORDS)
    b, c = OrganisationName("client-b"), OrganisationName("client-c")
    assert json.loads((tmp_path / "broker/definitions.json").read_text()) == topology.definitions(
        {c: [b]}, {b: None, c: None}
    )
    settings = (tmp_path / "broker/rabbitmq.conf").read_text().splitlines()
    assert {line for line in settings if line.startswith(("auth_mechanisms", "listeners"))} == {
        "listeners.tcp = none",
        "listeners.ssl.organisations = 5671",
        "auth_mechanisms.1 = EXTERNAL",
    }
    named = [line.split(" = ")[1] for line in settings if str(tmp_path) in line]
    assert len(named) == 4
    assert all(os.path.isfile(path) for path in named)  # noqa: PTH113 - as written


def test_each_group_reads_its_part_and_nobody_reads_the_authority(certify, tmp_path):
    group = str(os.getegid())
    certify(*WORDS, "--broker-group", group, "--login-group", group)
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in contents(tmp_path)}
    assert {mode for name, mode in modes.items() if name.startswith("authority/")} == {0o600}
    assert {mode for name, mode in modes.items() if not name.startswith("authority/")} == {0o640}
    certify(*WORDS)
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("broker", "client-b")} == {0o700}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*WORDS, "--host", "not a host"), "--host 'not a host'"),
        ((*WORDS, "--broker-group", "nobody-is-in-this"), "no such group"),
        (("--issuer", "broker", *WORDS[2:]), "cannot be called 'broker'"),
        (("--issuer", "authority", *WORDS[2:]), "cannot be called 'authority'"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error_and_makes_nothing(certify, tmp_path, arguments, words):
    code, out, err = certify(*arguments)
    assert (code, out) == (exits.ExitCode.USAGE, "")
    assert words in err
    assert contents(tmp_path) == {}
