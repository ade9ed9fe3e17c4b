"""One enrollment as an operator begins it: judged, prepared and recorded for whoever sends it."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

from agents.bootstrap.agent import Agent
from agents.bootstrap.asking import Ask, own_key_path, read_request
from agents.bootstrap.given import judged
from agents.core.effects import TransactionKey
from agents.core.requester import Enrollment
from agents.errors import ConfigurationError
from agents.ports import Log, TransactionRecord
from agents.service.enrolling import REQUEST_LIFETIME, begin, require_known, require_usable, take_in
from protocol.broker import BrokerAddress
from protocol.certificate import public_key_info
from protocol.csr import CertificationRequest, build_csr
from protocol.invitation import TEXT_MAX, Invitation, decode_invitation
from protocol.names import Fingerprint, OrganisationName, TransactionId
from protocol.path import load_certificate
from protocol.transaction import Role, State, is_final, states_from

__all__ = ["Ask", "Plan", "choose_issuer", "plan", "read_invitation", "spent_on", "start"]

GRANTED = states_from(Role.REQUESTER, State.ISSUED)
"""A requester's states after its issuer's answer was a certificate."""


def read_invitation(path: Path | None, text: str | None) -> Invitation | None:
    """The invitation in a file, or in text from standard input. Raises `ConfigurationError`."""
    if path is None and text is None:
        return None
    with judged(f"--invitation {path or '-'}"):
        return decode_invitation(_text_in(path) if path else text or "")


def _text_in(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(TEXT_MAX + 1).decode("ascii", "replace")
    except OSError as error:
        raise ConfigurationError(
            f"the invitation cannot be read from {path}: {error.strerror}. Give the file of `agent invite --out`, "
            "or '-' to read it from standard input."
        ) from None


def warn_of_readers(path: Path | None, log: Log) -> None:
    """Warn of an invitation that others than its owner may read. It is no refusal: invitations often come by mail."""
    mode = stat.S_IMODE(path.stat().st_mode) if path and path.is_file() else 0
    if mode & 0o044:
        fix = f"chmod 600 {path}. If somebody else may have read it, ask the issuer's operator for another one at once."
        log.warning("others may read the invitation", file=str(path), mode=f"{mode:04o}", fix=fix)


def choose_issuer(agent: Agent, invitation: Invitation | None, named: str | None) -> OrganisationName:
    """The issuer to ask: the invitation's, the one named, or the only one known."""
    if invitation and named and named != invitation.issuer:
        raise ConfigurationError(f"--issuer is {named}, but the invitation comes from {invitation.issuer}.")
    if invitation:
        return invitation.issuer
    if named:
        return OrganisationName(named)
    known = [partner.name for partner in agent.ledger.partners() if partner.broker]
    if len(known) == 1:
        return known[0]
    found = f"several are known ({', '.join(known)}): name one with --issuer" if known else "none is known here yet"
    raise ConfigurationError(f"which issuer? {found}; the first enrollment with an issuer needs --invitation.")


@dataclass(frozen=True, slots=True)
class Plan:
    """Who will be asked, through which broker, with which invitation, and for what where that is not made first."""

    issuer: OrganisationName
    broker: BrokerAddress
    invitation: Invitation | None
    request: CertificationRequest | None
    key_path: str | None


def plan(agent: Agent, ask: Ask, invitation: Invitation | None) -> Plan:
    """Judge what an enrollment begins with; nothing is made or recorded.

    Raises `ConfigurationError`, `StateError` or `ProtocolError`.
    """
    request, issuer = read_request(ask), choose_issuer(agent, invitation, ask.issuer)
    key_path = own_key_path(ask, request)
    _require_channel_key(agent, request)
    _ = agent.sealer
    access = agent.access(issuer, invitation.broker if invitation else None)
    unused = _unless_used(agent, invitation)
    if unused:
        with judged("the invitation"):
            require_usable(unused, agent.name, agent.ledger, agent.clock.now())
    else:
        require_known(issuer, agent.ledger)
    return Plan(issuer, access.address, unused, request if ask.csr_file else None, key_path)


def _require_channel_key(agent: Agent, request: CertificationRequest) -> None:
    """Refuse a request for a key that signs envelopes or certificates here: three kinds of key, never mixed."""
    ours = {Fingerprint.of(public_key_info(load_certificate(der))) for der in agent.identity.chain}
    if request.key.fingerprint in ours:
        raise ConfigurationError(
            "--csr asks for a certificate for the key of this agent's identity or of its CA. Such a key signs "
            "envelopes or certificates and nothing else: make a new key, and a request for that."
        )


def start(agent: Agent, ask: Ask, invitation: Invitation | None) -> TransactionKey:
    """Prepare and record an enrollment; nothing has been sent when this returns.

    Raises as `plan`, and then nothing will be sent.
    """
    planned = plan(agent, ask, invitation)
    issuer, csr, key_path = planned.issuer, planned.request, planned.key_path
    if planned.invitation:
        with judged("the invitation"):
            take_in(planned.invitation, agent.name, agent.ledger, agent.clock)
    now = agent.clock.now()
    id = agent.entropy.transaction_id(now)
    if csr is None:
        csr, key_path = _made(agent, ask, issuer, id)
    enrollment = Enrollment(
        id, agent.name, issuer, csr, ask.lifetime, created_at=now, expires_at=now + REQUEST_LIFETIME, key_path=key_path
    )
    return begin(enrollment, agent.root, planned.invitation, agent.sealer, agent.ledger)


def spent_on(agent: Agent, invitation: Invitation) -> TransactionRecord | None:
    """The request of ours with this invitation that was granted: from then on the issuer knows our root without it."""
    begun = agent.ledger.begun_with(invitation.id)
    return next((one for one in begun if one.key.partner == invitation.issuer and one.state in GRANTED), None)


def _unless_used(agent: Agent, invitation: Invitation | None) -> Invitation | None:
    """An issuer takes a proof once, and would refuse a request for a second one that it does not need: the issuer's
    root is pinned here already, so whether the invitation has expired meanwhile does not matter."""
    if invitation is None or spent_on(agent, invitation) is None:
        return invitation
    fix = "nothing needs to be done; leave --invitation out the next time"
    agent.log.warning("asks without the invitation: it was used before", partner=invitation.issuer, fix=fix)
    return None


def _made(agent: Agent, ask: Ask, issuer: OrganisationName, id: TransactionId) -> tuple[CertificationRequest, str]:
    """A new key, on disk, and a request for it; keys whose transactions came to nothing leave the disk."""
    _forget_keys(agent, issuer)
    key, path = agent.credentials.new_key(issuer, id, ask.key_kind)
    return build_csr(key, ask.names, ask.common_name), path


def _forget_keys(agent: Agent, issuer: OrganisationName) -> None:
    """Delete the keys of transactions that have ended: nothing leads out of a final state, so none will be installed.

    A key whose transaction is not on record may belong to an enrollment that is just beginning, and stays.
    """
    keys = [TransactionKey(Role.REQUESTER, issuer, id) for id in agent.credentials.waiting_keys(issuer)]
    for record in agent.ledger.transactions(keys).values():
        if is_final(Role.REQUESTER, record.state):
            agent.credentials.forget_key(issuer, record.key.id)
