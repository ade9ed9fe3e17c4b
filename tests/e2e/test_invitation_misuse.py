"""Invitations that are expired, used, foreign or damaged: each is refused with words, and nothing is lost."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from kit.agents import eventually, new_scene

from protocol.invitation import Secret, decode_invitation, encode_invitation


@pytest.fixture(scope="module")
def issuing(session_broker, tmp_path_factory):
    """An issuer whose daemon runs; nobody has enrolled with it."""
    with new_scene(session_broker, tmp_path_factory.mktemp("issuing")) as made:
        made.issuer.start()
        yield made


def unchanged(organisation):
    seen = organisation.seen()
    assert (seen["transactions"], seen["partners"]) == ([], [])


def test_an_expired_invitation_is_refused_before_anything_is_sent(issuing):
    invitation = issuing.invitation(expires="1s")
    end = decode_invitation(invitation.read_text()).expires_at
    eventually(lambda: datetime.now(UTC) > end)
    refused = issuing.requester.run("enroll", "--invitation", invitation, "--dns", issuing.name()).expect(2)
    refused.says(
        "an invitation that expired at",
        f"{end:%H:%M:%S}Z",
        "compare both clocks",
        "Ask the issuer's operator for a new one",
    )
    unchanged(issuing.requester)


def test_a_truncated_invitation_is_refused_and_never_quoted(issuing):
    requester = issuing.other(2)
    text = issuing.invitation(requester).read_text().strip()
    for damaged in (text[:-9], text[: len(text) // 2], text[:-1] + ("0" if text[-1] != "0" else "1"), "", "hello"):
        refused = requester.run("enroll", "--invitation", "-", "--dns", "a.example", given=damaged).expect(2)
        refused.says("invitation", "Copy the invitation again, completely", "agent invite")
        assert text[20:60] not in refused.out + refused.err
    unchanged(requester)


def test_a_wrong_path_is_named(issuing):
    requester = issuing.requester
    missing = requester.run("enroll", "--invitation", issuing.directory / "nowhere", "--dns", "a.example").expect(2)
    missing.says("nowhere", "No such file", "the file of `agent invite --out`")
    requester.run("enroll", "--invitation", issuing.directory, "--dns", "a.example").expect(2).says("Is a directory")


def test_an_invitation_for_another_organisation_is_refused_before_anything_is_sent(issuing):
    stranger = issuing.organisation(issuing.realm.requesters[1], "stranger")
    refused = stranger.run("enroll", "--invitation", issuing.invitation(), "--dns", "a.example").expect(2)
    refused.says(f"an invitation for {issuing.requester.name}", f"one for {stranger.name}", "--home")
    unchanged(stranger)


def test_a_used_invitation_is_good_for_nobody_else(issuing):
    requester = issuing.other(1)
    invitation = issuing.invitation(requester)
    requester.enroll("--invitation", invitation, "--dns", issuing.name(requester=requester)).expect(0)
    again = requester.run("enroll", "--invitation", invitation, "--dns", issuing.name("b", requester)).expect(0)
    again.says("asks without the invitation: it was used before", "leave --invitation out", "verified")
    # A second organisation with the same name, that is, with another root.
    twin = issuing.organisation(requester.name, "twin")
    refused = twin.run("enroll", "--invitation", invitation, "--dns", issuing.name("c", requester)).expect(1)
    refused.says("an agent identity under the root", "the root pinned for", "have the issuer's operator remove")
    assert len(issuing.issuer.transactions(partner=requester.name, state="confirmed")) == 2


def test_a_partner_with_the_same_name_and_another_root_is_refused_with_words_even_with_a_new_invitation(running):
    twin = running.organisation(running.requester.name, "twin")
    running.requester.stop()  # both consume the same queue
    try:
        refused = twin.run("enroll", "--invitation", running.invitation(), "--dns", running.name("twin")).expect(1)
        refused.says("an agent identity under the root", "the root pinned for", "If your root was replaced on purpose")
        (told,) = twin.transactions()
        assert told["state"] == "refused"
    finally:
        running.requester.start()
    running.requester.enroll("--dns", running.name("still-good")).expect(0)


def test_an_invitation_under_another_root_than_the_pinned_one_is_refused(running):
    """The issuer's home was made anew; its requesters must not follow in silence."""
    impostor = running.organisation(running.issuer.name, "new-root", endpoint=f"localhost:{running.port}")
    invitation = running.invitation(issuer=impostor)
    refused = running.requester.run("enroll", "--invitation", invitation, "--dns", running.name("x")).expect(5)
    refused.says("known here under another root", "compare fingerprints")


def test_an_invitation_that_was_not_made_here_proves_nothing(issuing):
    """Its text is in order and names this issuer, but the secret is another one."""
    requester = issuing.organisation(issuing.realm.requesters[0], "foreign")
    invitation = decode_invitation(issuing.invitation(requester).read_text())
    forged = encode_invitation(replace(invitation, secret=Secret(bytes(32))))
    asked = ["--invitation", "-", "--dns", issuing.name(requester=requester)]
    requester.run("enroll", *asked, given=forged).expect(1).says(
        "a proof that does not fit", "It may be another issuer's", "agent invite"
    )
    assert issuing.issuer.transactions(partner=requester.name) == []
