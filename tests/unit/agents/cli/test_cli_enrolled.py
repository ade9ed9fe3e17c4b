"""What `agent enroll` makes of the issuer's word on a credential."""

import pytest

from agents.cli.enrolled import place, verdict
from agents.cli.exits import ExitCode


@pytest.mark.parametrize(
    ("state", "recorded", "said", "code"),
    [
        ("verified", "confirmed", "confirmed", ExitCode.DONE),
        ("delivered", "delivered", "delivered", ExitCode.DONE),
        ("verified", None, "nothing yet", ExitCode.DONE),
        ("verified", "lapsed", "enroll again", ExitCode.NEGATIVE),
        ("delivered", "lapsed", "enroll again", ExitCode.NEGATIVE),
        ("verified", "delivered", "its own channel has not seen this certificate", ExitCode.NEGATIVE),
    ],
)
def test_a_credential_is_good_if_both_sides_say_the_same_of_it(state, recorded, said, code):
    words, exit_code = verdict(state, recorded)
    assert said in words
    assert exit_code is code


def test_a_credential_that_another_has_replaced_is_not_called_the_current_one(tmp_path):
    for serial in ("1a", "2b"):
        (tmp_path / serial).mkdir()
    assert place(tmp_path, "1a") == tmp_path / "1a"
    (tmp_path / "current").symlink_to("2b")
    assert place(tmp_path, "1a") == tmp_path / "1a"
    assert place(tmp_path, "2b") == tmp_path / "current"
