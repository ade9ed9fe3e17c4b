"""Reads the facts at the end: every ledger, every credential in use, every queue, every log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography import x509

from agents.bootstrap.agent import Agent
from agents.bootstrap.broker import RunningBroker
from agents.bootstrap.trial import dead_letters, waiting
from agents.config.agent import FILE
from agents.ports import CertificateRecord, TransactionRecord
from agents.simulation.facts import Certificate, Facts, Transaction
from agents.simulation.plan import POISON, Plan
from agents.simulation.scene import Scene
from protocol.certificate import fingerprint
from protocol.names import Fingerprint, OrganisationName
from protocol.topology import reply_queue, request_queue

EVERYTHING = 1_000_000

PROGRAM_FAULTS = ("a round failed", "a session failed")
"""Events of the log that nothing outside the program should be able to cause."""


def read_facts(scene: Scene, running: RunningBroker) -> Facts:
    """Everything, now. Nobody should be at work any more. Raises `AgentError`."""
    transactions: list[Transaction] = []
    certificates: list[Certificate] = []
    installed: dict[tuple[OrganisationName, OrganisationName], str] = {}
    everybody = (*scene.plan.issuers, *scene.plan.requesters)
    for agent in _agents(scene, everybody):
        transactions += [_transaction(agent.name, one) for one in agent.ledger.list_transactions(limit=EVERYTHING)]
        certificates += [_certificate(agent.name, one) for one in agent.ledger.certificates(limit=EVERYTHING)]
        installed |= _installed(agent, scene.plan)
    counts = waiting(running, scene.plan.issuers)
    bodies = dead_letters(running, _queues(scene.plan))
    return Facts(
        transactions=tuple(transactions),
        certificates=tuple(certificates),
        sealed=_sealed(scene),
        dead={queue: tuple(hashlib.sha256(body).hexdigest() for body in found) for queue, found in bodies.items()},
        waiting={queue: count for queue, count in counts.items() if not queue.endswith(".dead")},
        unsent=unsent(scene, everybody),
        installed=installed,
        faults_in_program=tuple(_faults(scene.directory)),
    )


def _agents(scene: Scene, names: Iterable[OrganisationName]) -> Iterator[Agent]:
    for name in names:
        if (scene.home(name) / FILE).exists():
            agent = Agent(scene.home(name))
            yield agent
            agent.ledger.close()


def _transaction(organisation: OrganisationName, record: TransactionRecord) -> Transaction:
    return Transaction(
        organisation=organisation,
        role=record.key.role,
        partner=record.key.partner,
        id=record.key.id,
        state=record.state,
        names=record.names,
        created_at=record.created_at,
        updated_at=record.updated_at,
        serial=record.serial,
        problems=tuple(f"{item.code}: {item.field}" for item in record.problems),
    )


def _certificate(organisation: OrganisationName, record: CertificateRecord) -> Certificate:
    return Certificate(
        organisation=organisation,
        issuer=record.issuer,
        holder=record.subject,
        serial=record.serial,
        transaction=record.transaction,
        digest=Fingerprint.of(record.certificate),
        public_key=record.public_key,
        withdrawn=record.revoked_at is not None,
    )


def unsent(scene: Scene, names: Iterable[OrganisationName]) -> dict[OrganisationName, int]:
    """How many messages wait in the outbox of each of these; who has none is left out. Also while they are at work."""
    return {agent.name: count for agent in _agents(scene, names) if (count := _unsent(agent, scene.plan))}


def _unsent(agent: Agent, plan: Plan) -> int:
    links = {agent.name, *(one.issuer for one in plan.agreements if one.requester == agent.name)}
    return sum(len(agent.ledger.outbox(link, EVERYTHING)) for link in links)


def _installed(agent: Agent, plan: Plan) -> dict[tuple[OrganisationName, OrganisationName], str]:
    found: dict[tuple[OrganisationName, OrganisationName], str] = {}
    for agreement in plan.agreements:
        credential = agent.credentials.credential(agreement.issuer) if agreement.requester == agent.name else None
        if credential:
            leaf = x509.load_pem_x509_certificates(Path(credential.chain_path).read_bytes())[0]
            found[(agreement.requester, agreement.issuer)] = fingerprint(leaf)
    return found


def _queues(plan: Plan) -> dict[OrganisationName, list[str]]:
    queues = {issuer: [request_queue(issuer)] for issuer in plan.issuers}
    for agreement in plan.agreements:
        queues[agreement.issuer].append(reply_queue(agreement.requester))
    return queues


def _sealed(scene: Scene) -> dict[int, str]:
    """What was sent, and confirmed by the broker."""
    poison = (request for request in scene.plan.requests if request.kind in POISON)
    sent = ((request.number, scene.sealed(request)) for request in poison)
    return {
        number: hashlib.sha256(file.read_bytes()).hexdigest()
        for number, file in sent
        if file.with_suffix(".sent").exists()
    }


def _faults(directory: Path) -> Iterator[str]:
    for log in sorted(directory.glob("*.log")):
        for line in _json_lines(log.read_text(errors="replace").splitlines()):
            if line.get("event") in PROGRAM_FAULTS:
                told = line.get("exception") or line.get("why") or ""
                yield f"{log.name}: {line['event']}: {str(told).strip().splitlines()[-1:]}"


def _json_lines(lines: Iterable[str]) -> Iterator[dict[str, object]]:
    for line in lines:
        try:
            parsed = json.loads(line)
        except ValueError:
            continue
        if isinstance(parsed, dict):
            yield parsed
