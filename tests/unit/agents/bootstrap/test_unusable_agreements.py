"""An agreement that is written wrongly shows at once, and costs nobody else anything."""

import pytest

from agents.bootstrap.agent import Agent
from agents.bootstrap.agreement import AgreementWatch, agree, has_agreement
from agents.bootstrap.overview import overview
from agents.cli.overviews import text_of
from agents.errors import AgreementUnusableError
from protocol.names import OrganisationName

B = OrganisationName("client-b")


@pytest.fixture
def mistyped(issuer):
    """An issuer with two agreements, of which client-b's has a typing error."""
    agree(issuer, "client-d", ("**.client-d.example",), "1h", manual=False, out=issuer.home.parent / "for-d")
    path = issuer.policies.path(B)
    path.write_text(path.read_text().replace('approval = "automatic"', 'approval = "automatc"'))
    (path.parent / "not_a_name.toml").write_text("approval = 1")
    return issuer


def test_the_overview_says_which_and_why(mistyped):
    seen = overview(mistyped, 10)
    partners = {one["name"]: one["agreement_unusable"] for one in seen["partners"]}
    assert partners["client-d"] is None
    assert [word for word in (str(mistyped.policies.path(B)), "approval", "automatc") if word not in partners[B]] == []
    text = " ".join(text_of(seen, mistyped.clock.now()).split())
    assert text.startswith("The agreement with client-b cannot be used, and client-b is refused:")
    assert "automatc" in text
    assert "The agreement with client-d" not in text


def test_an_unusable_agreement_of_one_partner_does_not_make_the_agent_unhealthy(mistyped, monkeypatch):
    monkeypatch.setattr(mistyped.lock, "is_held", lambda: True)
    monkeypatch.setattr(mistyped, "health", lambda: {"at": mistyped.clock.now().isoformat(), "links": []})
    assert overview(mistyped, 10)["healthy"]


def test_the_log_says_it_once_with_the_file_to_mend_and_when_it_is_mended(mistyped, capsys):
    watch, path = AgreementWatch(Agent(mistyped.home)), mistyped.policies.path(B)
    watch.look()
    watch.look()
    (line,) = capsys.readouterr().err.splitlines()
    for word in ("agreement unusable", "automatc", f"mend {path}", "client-b is refused"):
        assert word in line
    path.write_text(path.read_text().replace('"automatc"', '"automtic"'))
    watch.look()
    assert "automtic" in capsys.readouterr().err
    path.write_text(path.read_text().replace('"automtic"', '"automatic"'))
    watch.look()
    assert "agreement usable again" in capsys.readouterr().err


def test_whether_there_is_an_agreement_cannot_be_told_of_one_that_cannot_be_read(mistyped):
    assert has_agreement(mistyped, OrganisationName("client-d"))
    assert not has_agreement(mistyped, OrganisationName("client-e"))
    with pytest.raises(AgreementUnusableError, match="automatc"):
        has_agreement(mistyped, B)


def test_an_agent_without_agreements_has_none_that_are_unusable(requester, capsys):
    AgreementWatch(requester).look()
    assert capsys.readouterr().err == ""
    assert requester.policies.unusable() == {}
