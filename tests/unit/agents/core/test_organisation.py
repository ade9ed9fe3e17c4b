"""The plan of `agent init`: what is refused before any key is made, and what never shows."""

import pytest

from agents.core.organisation import PASSPHRASE_MIN, TITLE_MAX, OrganisationPlan
from agents.errors import ConfigurationError
from protocol.names import OrganisationName

NAME = OrganisationName("client-c")


@pytest.mark.parametrize("title", ["C", "Client C GmbH & Co. KG", "Société Générale", "x" * TITLE_MAX])
def test_a_name_for_people_is_taken_as_it_is(title):
    assert OrganisationPlan(NAME, title, b"p" * PASSPHRASE_MIN).title == title


@pytest.mark.parametrize("title", ["", "x" * (TITLE_MAX + 1), " C", "C ", "C\n", "C\x1b[31m", "C\u202e"])
def test_a_name_that_does_not_fit_a_certificate_is_refused(title):
    with pytest.raises(ConfigurationError, match="organisation's name"):
        OrganisationPlan(NAME, title, b"p" * PASSPHRASE_MIN)


@pytest.mark.parametrize("passphrase", [b"", b"p" * (PASSPHRASE_MIN - 1)])
def test_a_passphrase_that_protects_nothing_is_refused(passphrase):
    with pytest.raises(ConfigurationError, match="passphrase"):
        OrganisationPlan(NAME, "C", passphrase)


def test_passphrases_do_not_show():
    plan = OrganisationPlan(NAME, "C", b"correct horse", import_passphrase=b"battery staple")
    assert "horse" not in repr(plan)
    assert "staple" not in repr(plan)
