"""`agent broker definitions`: what it prints, writes and refuses. What `broker run` does, tests/integration says."""

import json

import pytest

from agents.cli import exits
from agents.cli.group import make_group
from agents.cli.main import TABLE, agent
from protocol import topology
from protocol.names import OrganisationName


@pytest.fixture
def definitions(capsys):
    """Run the command: exit code, standard output, standard error."""

    def run(*arguments):
        code = exits.run(make_group("agent", TABLE, agent), ["broker", "definitions", *arguments])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def test_without_password_files_organisations_have_no_password(definitions):
    code, out, _ = definitions("--issuer", "client-c", "--requester", "client-b")
    b, c = OrganisationName("client-b"), OrganisationName("client-c")
    assert code == 0
    assert json.loads(out) == topology.definitions({c: [b]}, {b: None, c: None})


def test_passwords_are_in_files_and_only_their_hashes_are_printed(definitions, tmp_path):
    arguments = ("--issuer", "client-c", "--requester", "client-b", "--password-files", str(tmp_path / "p"))
    code, out, _ = definitions(*arguments)
    files = sorted((tmp_path / "p").iterdir())
    assert code == 0
    assert [path.name for path in files] == ["client-b.password", "client-c.password"]
    assert all(path.read_text() not in out for path in files)
    assert all(user["password_hash"] for user in json.loads(out)["users"])


def test_every_requester_may_enroll_with_every_issuer_but_itself(definitions):
    names = [f"--{role}={name}" for role in ("issuer", "requester") for name in ("client-b", "client-c")]
    _, out, _ = definitions(*names)
    queues = {(queue["vhost"], queue["name"]) for queue in json.loads(out)["queues"]}
    assert ("enroll.client-c", "replies.client-b") in queues
    assert ("enroll.client-b", "replies.client-c") in queues
    assert ("enroll.client-c", "replies.client-c") not in queues


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--issuer", "Client C", "--requester", "client-b"], "issuer: organisation name: got 'Client C'"),
        (["--issuer", "client-c", "--requester", "../b"], "requester: organisation name: got '../b'"),
        (["--issuer", "client-c", "--requester", "client-c"], "issuer client-c has no requester"),
        (["--issuer", "client-c"], "Missing option '--requester'"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(arguments, words, definitions):
    code, out, err = definitions(*arguments)
    assert code == exits.ExitCode.USAGE
    assert out == ""
    assert words in err
