"""`agent unpin` on the two agents of a home: what it removes, and what it says where there is nothing to remove."""

import pytest
from kit.envelopes import B

from agents.bootstrap.partner import unpin
from agents.core.effects import PinAnchor, Unit
from agents.errors import ConfigurationError
from protocol.names import Fingerprint
from protocol.transaction import Role

ROOT, OTHER = Fingerprint.of(b"root"), Fingerprint.of(b"another")


@pytest.fixture
def both(issuer):
    """The issuer has pinned a root of client-b in each role."""
    for role, root in ((Role.REQUESTER, ROOT), (Role.ISSUER, OTHER)):
        assert issuer.ledger.commit([Unit((PinAnchor(B, role, root, None, issuer.clock.now()),))]) == (True,)
    return issuer


@pytest.mark.parametrize(("role", "root", "left"), [(Role.REQUESTER, ROOT, OTHER), (Role.ISSUER, OTHER, ROOT)])
def test_a_root_is_removed_in_the_role_that_is_named_and_in_no_other(both, role, root, left):
    assert unpin(both, B, role) == (B, (root,))
    assert [one.fingerprint for one in both.ledger.partner(B).anchors] == [left]


@pytest.mark.parametrize("name", ["client-x", "No Name"])
def test_a_partner_that_is_none_is_told_with_those_that_there_are(both, name):
    with pytest.raises(ConfigurationError, match=f"'{name}' is no partner of client-c; known are: client-b"):
        unpin(both, name, Role.REQUESTER)


def test_where_nothing_is_pinned_in_the_role_it_is_said_what_is_pinned(both):
    unpin(both, B, Role.REQUESTER)
    with pytest.raises(ConfigurationError, match=f"for client-b as requester; pinned is: as issuer {OTHER}"):
        unpin(both, B, Role.REQUESTER)
    unpin(both, B, Role.ISSUER)
    with pytest.raises(ConfigurationError, match="pinned is: nothing"):
        unpin(both, B, Role.ISSUER)


def test_of_two_operators_who_remove_one_root_at_once_the_second_is_told(both, monkeypatch):
    seen = both.ledger.partner(B)
    unpin(both, B, Role.REQUESTER)
    monkeypatch.setattr(type(both.ledger), "partner", lambda *_: seen)
    with pytest.raises(ConfigurationError, match="somebody else has just removed"):
        unpin(both, B, Role.REQUESTER)
