"""Requests that are wrong on purpose, made as an agent would that checks nothing of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from agents.bootstrap.agent import Agent
from agents.bootstrap.enrollment import read_invitation
from agents.core.effects import TransactionKey
from agents.core.requester import Enrollment, request_message
from agents.service.enrolling import REQUEST_LIFETIME, begin, take_in
from agents.simulation.plan import Kind, Request
from agents.simulation.scene import Scene
from protocol.csr import CertificationRequest, NameKind, SubjectName, build_csr
from protocol.invitation import Invitation
from protocol.names import OrganisationName

GARBAGE_BYTES_MAX = 2000

BEGUN_WRONGLY = frozenset({Kind.WEAK_KEY, Kind.EXPIRED_INVITATION, Kind.REUSED_INVITATION})
"""What an agent of ours would not begin."""


def begin_wrongly(agent: Agent, scene: Scene, request: Request, invitation: Invitation | None) -> TransactionKey:
    """Record a request with a weak key, with an invitation that was used, or whose expiry its holder changed."""
    csr = _csr(request)
    if request.kind is Kind.WEAK_KEY:
        csr = replace(csr, der=_weak(request))
    elif request.kind is Kind.EXPIRED_INVITATION:
        invitation = _prolonged(agent, scene, request)
    if invitation:
        take_in(invitation, agent.name, agent.ledger, agent.clock)
    enrollment = _enrollment(agent, request, csr)
    return begin(enrollment, agent.root, invitation, agent.sealer, agent.ledger)


def _enrollment(agent: Agent, request: Request, csr: CertificationRequest) -> Enrollment:
    now = agent.clock.now()
    id = agent.entropy.transaction_id(now)
    return Enrollment(id, agent.name, request.issuer, csr, None, now, now + REQUEST_LIFETIME, key_path=None)


def _name(request: Request) -> tuple[SubjectName, ...]:
    return (SubjectName(NameKind.DNS, request.name),)


def _csr(request: Request) -> CertificationRequest:
    return build_csr(ec.generate_private_key(ec.SECP256R1()), _name(request), None)


def _weak(request: Request) -> bytes:
    """By turns an RSA modulus that is too short and a public exponent of 3."""
    exponent, bits = (65537, 1024) if request.number % 2 else (3, 2048)
    key = rsa.generate_private_key(exponent, bits)
    names = x509.SubjectAlternativeName([x509.DNSName(request.name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def _prolonged(agent: Agent, scene: Scene, request: Request) -> Invitation | None:
    invitation = read_invitation(scene.invitation(request), None)
    return replace(invitation, expires_at=agent.clock.now() + timedelta(days=1)) if invitation else None


def poison(agent: Agent, request: Request, victim: OrganisationName) -> bytes:
    """Octets that no issuer can use: noise, an envelope in the name of `victim`, or one with a bit flipped.

    The noise follows from the request's number alone.
    """
    if request.kind is Kind.GARBAGE:
        noise = Random(request.number)  # noqa: S311 - noise, not a secret
        return noise.randbytes(noise.randrange(1, GARBAGE_BYTES_MAX))
    message = request_message(_enrollment(agent, request, _csr(request)), None)
    if request.number % 2:
        return agent.sealer.seal(message.model_copy(update={"sender": victim}))
    sealed = bytearray(agent.sealer.seal(message))
    middle = sealed.index(b'"payload"') + len(b'"payload": "') + 40
    sealed[middle] ^= 1
    return bytes(sealed)
