"""Each effect as a row: the values of its statement, by their bound names in `statements`.

Names are given as plain `str`: drivers take the exact type faster, and psycopg knows no subclass.
"""

from __future__ import annotations

from agents.adapters.ledger.values import micros, problems_json, words_json
from agents.core import effects as fx
from protocol.names import Fingerprint
from protocol.transaction import State

Row = dict[str, str | int | bytes | bool | None]


def opened_transaction(effect: fx.OpenTransaction) -> Row:
    """Of `open_transaction`."""
    return {
        "id": str(effect.key.id),
        "partner": str(effect.key.partner),
        "role": str(effect.key.role),
        "state": str(effect.state),
        "request_digest": str(effect.request_digest),
        "created_at": micros(effect.created_at),
        "updated_at": micros(effect.created_at),
        "expires_at": micros(effect.expires_at),
        "names": words_json(effect.names),
        "serial": _text(effect.serial),
        "problems": problems_json(effect.problems) if effect.problems else "[]",
        "key_path": effect.key_path,
        "invitation": _text(effect.invitation),
    }


def move(effect: fx.MoveTransaction) -> Row:
    """Of `move_transaction`."""
    return key_row(effect.key) | {
        "before": str(effect.before),
        "after": str(effect.after),
        "moved_at": micros(effect.at),
        "new_serial": _text(effect.serial),
        "new_problems": None if effect.problems is None else problems_json(effect.problems),
    }


def approval(effect: fx.RecordApproval) -> Row:
    """Of `decide_transaction`."""
    return key_row(effect.key) | {
        "before": str(State.PENDING),
        "approve": effect.approve,
        "reason": effect.reason,
        "decided_at": micros(effect.at),
    }


def certificate(effect: fx.RecordCertificate) -> Row:
    """Of `insert_certificate`."""
    return {
        "issuer": str(effect.issuer),
        "serial": str(effect.serial),
        "subject": str(effect.subject),
        "transaction_id": str(effect.transaction),
        "public_key": str(effect.public_key),
        "not_before": micros(effect.not_before),
        "not_after": micros(effect.not_after),
        "certificate": effect.certificate,
    }


def revocation(effect: fx.RevokeCertificate) -> Row:
    """Of `revoke_certificate`."""
    return {
        "key_issuer": str(effect.issuer),
        "key_serial": str(effect.serial),
        "at": micros(effect.at),
        "reason": effect.reason,
    }


def shown(effect: fx.MarkShown) -> Row:
    """Of `mark_shown`."""
    return {"key_issuer": str(effect.issuer), "key_serial": str(effect.serial), "at": micros(effect.at)}


def partner(effect: fx.RecordPartner) -> Row:
    """Of `upsert_partner`."""
    return {
        "name": str(effect.name),
        "agreed": effect.agreed,
        "broker": effect.broker,
        "endpoint_host": str(effect.endpoint.host) if effect.endpoint else None,
        "endpoint_port": effect.endpoint.port if effect.endpoint else None,
        "updated_at": micros(effect.at),
    }


def anchored_partner(effect: fx.PinAnchor) -> Row:
    """Of `ensure_partner`."""
    return {"name": str(effect.partner), "updated_at": micros(effect.at)}


def anchor(effect: fx.PinAnchor) -> Row:
    """Of `pin_anchor`."""
    return {
        "partner": str(effect.partner),
        "acts_as": str(effect.acts_as),
        "fingerprint": str(effect.fingerprint),
        "certificate": effect.certificate,
        "pinned_at": micros(effect.at),
    }


def seen_anchor(effect: fx.FillAnchor) -> Row:
    """Of `fill_anchor`."""
    return _anchor_key(effect, Fingerprint.of(effect.certificate)) | {"seen": effect.certificate}


def removed_anchor(effect: fx.UnpinAnchor) -> Row:
    """Of `unpin_anchor`."""
    return _anchor_key(effect, effect.fingerprint)


def _anchor_key(effect: fx.FillAnchor | fx.UnpinAnchor, fingerprint: Fingerprint) -> Row:
    return {
        "key_partner": str(effect.partner),
        "key_role": str(effect.acts_as),
        "key_fingerprint": str(fingerprint),
    }


def invitation(effect: fx.RecordInvitation) -> Row:
    """Of `insert_invitation`."""
    return {
        "id": str(effect.id),
        "partner": str(effect.partner),
        "proof_key": effect.proof_key,
        "created_at": micros(effect.created_at),
        "expires_at": micros(effect.expires_at),
    }


def withdrawal(effect: fx.WithdrawInvitations) -> Row:
    """Of `withdraw_invitations`."""
    return {"key_partner": str(effect.partner), "at": micros(effect.at)}


def used_invitation(effect: fx.ConsumeInvitation) -> Row:
    """Of `consume_invitation`."""
    return {
        "key_id": str(effect.id),
        "key_partner": str(effect.partner),
        "transaction": str(effect.transaction),
        "at": micros(effect.at),
    }


def message(effect: fx.StoreMessage, sequence: int) -> Row:
    """Of `insert_message`; what `insert_publication` wants is in it."""
    return {
        "sequence": sequence,
        "transaction_id": str(effect.key.id),
        "partner": str(effect.key.partner),
        "role": str(effect.key.role),
        "type": effect.type,
        "link": str(effect.issuer),
        "outgoing": effect.outgoing,
        "stored_at": micros(effect.at),
        "body": effect.body,
    }


def latest_message(effect: fx.MarkUnpublished) -> Row:
    """Of `mark_unpublished`."""
    return key_row(effect.key) | {"key_type": effect.type}


def session(effect: fx.RecordSession) -> Row:
    """Of `record_session`."""
    return {
        "partner": str(effect.partner),
        "at": micros(effect.at),
        "we_saw": effect.we_saw,
        "partner_saw": effect.partner_saw,
    }


def quarantined(effect: fx.Quarantine) -> Row:
    """Of `insert_quarantine`."""
    return {"link": str(effect.issuer), "at": micros(effect.at), "reason": effect.reason, "body": effect.body}


def audit_line(effect: fx.Audit) -> Row:
    """Of `insert_audit`."""
    return {
        "at": micros(effect.at),
        "event": effect.event,
        "partner": _text(effect.partner),
        "transaction_id": _text(effect.transaction),
        "detail": effect.detail,
    }


def key_row(key: fx.TransactionKey) -> Row:
    """What finds a transaction."""
    return {"key_id": str(key.id), "key_partner": str(key.partner), "key_role": str(key.role)}


def _text(name: str | None) -> str | None:
    return None if name is None else str(name)
