"""What becomes of the records of an older ledger."""

from itertools import count

import pytest
from kit.ledger_units import key
from kit.old_ledgers import make_old_ledger

from agents.adapters.ledger import open_ledger, upgrade_ledger
from agents.ports import AnchorRecord
from protocol.names import Fingerprint, OrganisationName
from protocol.transaction import Role

_numbers = count()
ROOT = Fingerprint.of(b"root")
INVITED = "INSERT INTO invitations (id, partner, proof_key, created_at, expires_at, consumed_by) VALUES"
TRANSACTED = "INSERT INTO transactions (id, partner, role, state, request_digest, created_at, updated_at, expires_at,"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request, tmp_path):
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/old.sqlite"
    return request.getfixturevalue("postgres").create_database(f"old-{next(_numbers)}")


def known(name, broker=None):
    """A partner with a pinned root, as the first tables held it."""
    return (
        (
            "INSERT INTO partners (name, broker, updated_at) VALUES (:name, :broker, 1)",
            {"name": name, "broker": broker},
        ),
        (
            "INSERT INTO anchors (partner, fingerprint, certificate, pinned_at) VALUES (:name, :root, :der, 1)",
            {"name": name, "root": str(ROOT), "der": b"root"},
        ),
    )


def asked(name, number, serial, role="issuer"):
    """A transaction with a partner that used an invitation."""
    id = str(key(number).id)
    return (
        (
            f"{INVITED} (:invitation, :name, :secret, 1, 2, :id)",
            {"invitation": f"{number:032x}", "name": name, "secret": bytes(32), "id": id},
        ),
        (
            f"{TRANSACTED} names, serial, problems) VALUES (:id, :name, :role, 'x', 'x', 1, 1, 1, '[]', :serial, '[]')",
            {"id": id, "name": name, "role": role, "serial": serial},
        ),
    )


def test_a_root_stays_pinned_for_the_roles_that_the_ledger_proves(empty_url):
    rows = (
        *known("our-issuer", "amqp://broker.example"),
        *known("our-requester"),
        *asked("our-requester", 1, "abc"),
        *known("both", "amqp://broker.example"),
        *asked("both", 2, "abd"),
        *known("claimed", "amqp://broker.example"),
        *asked("claimed", 3, None),
        *known("unproven"),
        *asked("unproven", 4, "abe", role="requester"),
    )
    make_old_ledger(empty_url, "0001", *rows)
    upgrade_ledger(empty_url)
    ledger = open_ledger(empty_url)
    roles = {partner.name: {anchor.acts_as for anchor in partner.anchors} for partner in ledger.partners()}
    assert roles == {
        "our-issuer": {Role.ISSUER},
        "our-requester": {Role.REQUESTER},
        "both": {Role.ISSUER, Role.REQUESTER},
        "claimed": {Role.ISSUER},
        "unproven": set(),
    }
    assert ledger.partner(OrganisationName("our-issuer")).anchors == (AnchorRecord(Role.ISSUER, ROOT, b"root"),)
    ledger.close()


def test_an_issuers_broker_is_found_where_an_older_invitation_said_it_is(empty_url):
    rows = (
        *known("client-c", "amqps://broker.example:5671/enroll.client-c"),
        *known("client-d", "amqp://broker.example"),
        *known("client-e"),
    )
    make_old_ledger(empty_url, "0001", *rows)
    upgrade_ledger(empty_url)
    ledger = open_ledger(empty_url)
    found = [partner.broker for partner in ledger.partners()]
    assert found == ["amqps://broker.example:5671", "amqp://broker.example:5672", None]
    ledger.close()


def test_a_request_from_before_names_no_invitation(empty_url):
    columns = "names, problems) VALUES (:id, 'client-c', 'requester', 'sent', :digest, 1, 1, 1, '[]', '[]')"
    row = {"id": str(key(1).id), "digest": str(ROOT)}
    make_old_ledger(empty_url, "0002", (f"{TRANSACTED} {columns}", row))
    upgrade_ledger(empty_url)
    ledger = open_ledger(empty_url)
    (record,) = ledger.list_transactions()
    assert (record.key.id, record.invitation) == (key(1).id, None)
    ledger.close()
