"""What `agent enroll` makes of the issuer's word on a credential."""

import pytest

from agents.cli.enrolled import verdict
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
