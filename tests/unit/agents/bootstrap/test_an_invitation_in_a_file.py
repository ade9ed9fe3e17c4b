"""An invitation is a secret: whoever uses one that others may read is told, and not stopped."""

import pytest
from kit.channel import RecordingLog

from agents.bootstrap.agent import Agent
from agents.bootstrap.agreement import agree
from agents.bootstrap.enrollment import warn_of_readers
from agents.bootstrap.setup import BrokerAnswers, Setup, set_up
from agents.cli import exits
from agents.cli.group import make_group
from agents.cli.main import TABLE, agent


@pytest.fixture
def invitation(tmp_path):
    """The invitation for client-b, which has a home beside it."""
    (tmp_path / "password").touch(mode=0o600)
    broker = BrokerAnswers("amqp://broker.example", password_file=tmp_path / "password")
    for name in ("client-b", "client-c"):
        set_up(Setup(tmp_path / name, name, name, broker, endpoint="localhost:9"))
    issuer = Agent(tmp_path / "client-c")
    agree(issuer, "client-b", ("**.client-b.example",), "1h", manual=False, out=tmp_path / "invitation")
    issuer.ledger.close()
    return tmp_path / "invitation"


@pytest.fixture
def enroll(capsys, tmp_path, invitation):
    """Look at what would be asked: exit code and standard error."""

    def run():
        words = ["--invitation", invitation, "--dns", "api.client-b.example", "--dry-run", "--home"]
        code = exits.run(make_group("agent", TABLE, agent), ["enroll", *map(str, words), str(tmp_path / "client-b")])
        return code, capsys.readouterr().err

    return run


def test_an_invitation_as_it_was_made_is_used_without_a_word(enroll):
    assert enroll() == (0, "")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_one_that_others_may_read_is_used_with_a_warning_that_says_what_to_do(enroll, invitation, mode):
    invitation.chmod(mode)
    code, err = enroll()
    assert code == 0
    assert "others may read the invitation" in err
    assert f"{mode:04o}" in err
    assert f"chmod 600 {invitation}" in err
    assert invitation.read_text().strip() not in err


def test_what_comes_from_standard_input_or_is_not_there_is_no_file_to_warn_of(tmp_path):
    log = RecordingLog()
    for path in (None, tmp_path / "missing", tmp_path):
        warn_of_readers(path, log)
    assert log.lines == []
