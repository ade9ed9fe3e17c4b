"""Which of the held requests an operator's word is for."""

import json
from datetime import timedelta

import pytest
from kit.envelopes import message

from agents.bootstrap import approval
from agents.bootstrap.approval import ShownRoot, decide, held, shown_root
from agents.bootstrap.overview import overview
from agents.cli import pending
from agents.cli.output import WIDTH
from agents.core.effects import OpenTransaction, PinAnchor, StoreMessage, TransactionKey, Unit
from agents.errors import ConfigurationError
from protocol.names import Fingerprint, OrganisationName, TransactionId
from protocol.transaction import Role, State

B, OTHER = OrganisationName("client-b"), OrganisationName("client-d")
IDS = ("0195f1d4-8c00-7000-8000-000000000001", "0195f1d4-8c01-7000-8000-100000000001")


@pytest.fixture
def holding(issuer):
    """Puts requests with these ids on hold at the issuer."""

    def hold(*ids, lifetime=timedelta(days=1), partner=B):
        now = issuer.clock.now()
        for id in ids:
            opening = OpenTransaction(
                key=TransactionKey(Role.ISSUER, partner, TransactionId(id)),
                state=State.PENDING,
                request_digest=Fingerprint.of(id.encode()),
                created_at=now,
                expires_at=now + lifetime,
                names=("dns:api.client-b.example",),
                key_path=None,
            )
            assert issuer.ledger.commit([Unit((opening,))]) == (True,)
        return issuer

    return hold


@pytest.fixture
def shown(holding, requester):
    """An issuer that holds the request that client-b sealed, and that request."""
    issuer = holding(IDS[0])
    (record,) = held(issuer)
    body = requester.sealer.seal(message(transaction=record.key.id))
    stored = StoreMessage(record.key, "enrollment.request", body, record.created_at, outgoing=False, issuer=issuer.name)
    assert issuer.ledger.commit([Unit((stored,))]) == (True,)
    return issuer, record


def pin(issuer, root):
    assert issuer.ledger.commit([Unit((PinAnchor(B, Role.REQUESTER, root, None, issuer.clock.now()),))]) == (True,)


@pytest.mark.parametrize("allow", [True, False])
@pytest.mark.parametrize("id", ["", "1", IDS[0][-7:]])
def test_too_short_an_end_of_an_id_decides_nothing_even_where_one_request_waits(holding, id, allow):
    issuer = holding(IDS[0])
    with pytest.raises(
        ConfigurationError, match=f"'{id}' names no request: wanted its whole id, or at least the last 8"
    ):
        decide(issuer, id, allow=allow, reason="no")
    assert [record.key.id for record in held(issuer)] == [IDS[0]]


@pytest.mark.parametrize("id", [IDS[0], IDS[0][-12:], IDS[0][-8:]])
def test_the_whole_id_and_an_end_of_it_decide(holding, id):
    issuer = holding(IDS[0])
    assert decide(issuer, id, allow=True, reason="").key.id == IDS[0]
    assert held(issuer) == ()


def test_an_end_that_several_ids_have_decides_nothing(holding):
    issuer = holding(*IDS)
    with pytest.raises(ConfigurationError, match="2 wait under an id that ends so"):
        decide(issuer, IDS[0][-8:], allow=True, reason="")
    assert len(held(issuer)) == len(IDS)
    assert decide(issuer, IDS[1], allow=False, reason="no").key.id == IDS[1]


def test_requests_of_two_partners_with_one_id_are_told_apart_by_the_partner(holding):
    issuer = holding(IDS[0])
    holding(IDS[0], partner=OTHER)
    with pytest.raises(ConfigurationError, match="2 wait under an id that ends so, from client-b, client-d.*--partner"):
        decide(issuer, IDS[0], allow=True, reason="")
    with pytest.raises(ConfigurationError, match="no request of client-x waits"):
        decide(issuer, IDS[0], allow=True, reason="", partner="client-x")
    assert decide(issuer, IDS[0], allow=True, reason="", partner=OTHER).key.partner == OTHER
    assert [record.key.partner for record in held(issuer)] == [B]


def test_however_many_wait_all_are_seen_and_the_oldest_can_be_decided(holding, monkeypatch):
    monkeypatch.setattr(approval, "PAGE", 2)
    ids = [f"0195f1d4-8c00-7000-8000-{number:012d}" for number in range(5)]
    issuer = holding(*ids)
    assert [record.key.id for record in held(issuer)] == ids
    assert overview(issuer, limit=1)["waiting_for_approval"] == len(ids)
    assert decide(issuer, ids[0], allow=True, reason="").key.id == ids[0]
    assert [record.key.id for record in held(issuer)] == ids[1:]
    assert overview(issuer, limit=1)["waiting_for_approval"] == len(ids) - 1


def test_an_expired_request_is_not_listed_and_cannot_be_decided(holding):
    issuer = holding(IDS[0])
    holding(IDS[1], lifetime=timedelta(seconds=-1))
    assert [record.key.id for record in held(issuer)] == [IDS[0]]
    with pytest.raises(ConfigurationError, match=f"{IDS[1]} expired at .*: its requester must ask once more"):
        decide(issuer, IDS[1], allow=True, reason="")


def test_the_root_of_a_held_request_is_the_one_that_the_requester_calls_its_own(shown, requester):
    assert shown_root(*shown) == ShownRoot(requester.root, pinned=False)


def test_a_root_counts_as_pinned_only_if_it_is_the_pinned_one(shown, requester):
    pin(shown[0], requester.root)
    assert shown_root(*shown) == ShownRoot(requester.root, pinned=True)


def test_another_root_than_the_pinned_one_is_new(shown, requester):
    pin(shown[0], Fingerprint.of(b"another root"))
    assert shown_root(*shown) == ShownRoot(requester.root, pinned=False)


def test_a_request_that_is_not_on_record_has_no_root(holding, capsys):
    issuer = holding(IDS[0])
    assert shown_root(issuer, *held(issuer)) is None
    pending.pending(home=issuer.home)
    assert "root not on record" in capsys.readouterr().out


@pytest.mark.parametrize("word", ["new", "pinned"])
def test_the_whole_fingerprint_stands_in_one_line_under_its_request(shown, requester, capsys, word):
    issuer, _ = shown
    if word == "pinned":
        pin(issuer, requester.root)
    pending.pending(home=issuer.home)
    _, _, line = capsys.readouterr().out.splitlines()
    assert line == f"    {word} root {requester.root}"
    assert len(line) <= WIDTH
    pending.pending(home=issuer.home, as_json=True)
    (fact,) = json.loads(capsys.readouterr().out)
    assert (fact["root"], fact["root_pinned"]) == (requester.root, word == "pinned")


@pytest.mark.parametrize("decision", ["approved", "denied"])
@pytest.mark.parametrize("as_json", [True, False])
def test_a_decision_names_the_root_that_it_was_about(shown, requester, capsys, decision, as_json):
    issuer, record = shown
    if decision == "approved":
        pending.approve(record.key.id, home=issuer.home, as_json=as_json)
    else:
        pending.deny(record.key.id, reason="no", home=issuer.home, as_json=as_json)
    out = capsys.readouterr().out
    assert (json.loads(out)["root"] == requester.root) if as_json else (f"root SHA-256  {requester.root}\n" in out)
