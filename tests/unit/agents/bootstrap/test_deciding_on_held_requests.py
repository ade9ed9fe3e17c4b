"""Which of the held requests an operator's word is for."""

from datetime import timedelta

import pytest

from agents.bootstrap import approval
from agents.bootstrap.approval import decide, held
from agents.bootstrap.overview import overview
from agents.core.effects import OpenTransaction, TransactionKey, Unit
from agents.errors import ConfigurationError
from protocol.names import Fingerprint, OrganisationName, TransactionId
from protocol.transaction import Role, State

B = OrganisationName("client-b")
IDS = ("0195f1d4-8c00-7000-8000-000000000001", "0195f1d4-8c01-7000-8000-100000000001")


@pytest.fixture
def holding(issuer):
    """Puts requests with these ids on hold at the issuer."""

    def hold(*ids):
        now = issuer.clock.now()
        for id in ids:
            opening = OpenTransaction(
                key=TransactionKey(Role.ISSUER, B, TransactionId(id)),
                state=State.PENDING,
                request_digest=Fingerprint.of(id.encode()),
                created_at=now,
                expires_at=now + timedelta(days=1),
                names=("dns:api.client-b.example",),
                key_path=None,
            )
            assert issuer.ledger.commit([Unit((opening,))]) == (True,)
        return issuer

    return hold


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


def test_however_many_wait_all_are_seen_and_the_oldest_can_be_decided(holding, monkeypatch):
    monkeypatch.setattr(approval, "PAGE", 2)
    ids = [f"0195f1d4-8c00-7000-8000-{number:012d}" for number in range(5)]
    issuer = holding(*ids)
    assert [record.key.id for record in held(issuer)] == ids
    assert overview(issuer, limit=1)["waiting_for_approval"] == len(ids)
    assert decide(issuer, ids[0], allow=True, reason="").key.id == ids[0]
    assert [record.key.id for record in held(issuer)] == ids[1:]
    assert overview(issuer, limit=1)["waiting_for_approval"] == len(ids) - 1
