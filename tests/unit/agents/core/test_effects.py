from datetime import UTC, datetime

from agents.core.effects import RecordInvitation
from protocol.names import InvitationId, OrganisationName


def test_an_invitation_that_is_recorded_shows_whose_it_is_and_not_its_secret():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    record = RecordInvitation(InvitationId("a" * 32), OrganisationName("client-b"), b"canary" * 5 + b"..", now, now)
    assert "client-b" in repr(record)
    assert "canary" not in repr(record)
