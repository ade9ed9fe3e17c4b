"""Which keys stay on disk while enrollments begin and end."""

import pytest

from agents.bootstrap.enrollment import Ask, read_invitation, start
from agents.core.requester import unit_for_move
from protocol.csr import NameKind, SubjectName
from protocol.names import OrganisationName, TransactionId
from protocol.transaction import Event, State

C = OrganisationName("client-c")
ASK = Ask(issuer=None, names=(SubjectName(NameKind.DNS, "api.client-b.example"),))


@pytest.mark.parametrize("event", [Event.DECLINED, Event.TIMED_OUT])
def test_the_key_of_an_enrollment_that_came_to_nothing_leaves_with_the_next_one(requester, event):
    invitation = read_invitation(requester.home.parent / "invitation", None)
    ended, open_still = start(requester, ASK, invitation), start(requester, ASK, invitation)
    unknown = TransactionId("0195f1d4-8c00-7000-8000-000000000001")
    requester.credentials.new_key(C, unknown)
    requester.ledger.commit([unit_for_move(ended, State.CREATED, event, requester.clock.now())])
    assert set(requester.credentials.waiting_keys(C)) == {ended.id, open_still.id, unknown}
    latest = start(requester, ASK, None)
    assert set(requester.credentials.waiting_keys(C)) == {open_still.id, unknown, latest.id}
