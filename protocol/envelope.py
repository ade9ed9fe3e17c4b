"""The signed message around a body: a JWS (RFC 7515, flattened JSON) with the sender's certificate chain in `x5c`.

`Sealer` makes one. Opening is three explicit stages, because each needs something else from the caller: `unseal`
(bytes alone), `KnownSigners.signer` (the claimed sender's trust anchors), `read` (who we are). `open_envelope` runs
them all. Who may send what, and whether a transaction is known, is for the caller to judge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NoReturn

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from protocol import jws
from protocol.certificate import public_key_info
from protocol.errors import EnvelopeError, Problem, ProblemCode, problem
from protocol.messages import Message, parse_message
from protocol.names import Fingerprint, OrganisationName
from protocol.path import Purpose, agent_organisation, load_certificate, verify_path

ENVELOPE_MAX = 262_144
"""Largest envelope in bytes; the broker's `max_message_size` is the same."""

CLOCK_SKEW_MAX = timedelta(minutes=5)
"""How far two clocks may differ; certificates are backdated by as much."""

LIFETIME_MAX = timedelta(days=30)
"""Longest time between `issued_at` and `expires_at`."""

KNOWN_SIGNERS_MAX = 1024
"""Verified signers that are kept, so that a known agent costs one signature check a message."""


@dataclass(frozen=True, slots=True)
class Identity:
    """An agent's message-signing identity: key, and chain (DER) from the leaf up to and including the root."""

    key: jws.SigningKey
    chain: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"Identity({len(self.chain)} certificates)"


class Sealer:
    """Seals with one identity."""

    def __init__(self, identity: Identity) -> None:
        self._signer = jws.Signer(identity.key, identity.chain)

    def seal(self, message: Message) -> bytes:
        """The envelope's exact bytes. Raises `EnvelopeError` if they would be too large to be accepted."""
        data = self._signer.sign(message.model_dump_json().encode())
        _check_size(data)
        return data


@dataclass(frozen=True, slots=True)
class Unsealed:
    """An envelope of which nothing is proven yet: its parts, and who it claims to be from."""

    claimed: OrganisationName
    chain: tuple[x509.Certificate, ...]
    jws: jws.Jws


@dataclass(frozen=True, slots=True)
class Signer:
    """An agent whose certificate path has been verified, and the times between which that verification holds."""

    organisation: OrganisationName
    root: bytes
    key: jws.JoseKey
    keys: frozenset[Fingerprint]
    """SHA-256 of the SubjectPublicKeyInfo of every certificate that it shows: they sign envelopes and certificates."""
    valid_from: datetime
    valid_until: datetime


@dataclass(frozen=True, slots=True)
class Opened:
    """A message whose signature and path hold. `introduced` means that the path leads to a root that the sender shows
    and nobody here has pinned: the message may be answered, but only an invitation's proof makes it trustworthy."""

    message: Message
    digest: Fingerprint
    """As `digest` gives it."""
    root: bytes
    keys: frozenset[Fingerprint]
    """As those of the `Signer`."""
    introduced: bool


class UntimelyError(EnvelopeError):
    """Only the times of a message are wrong: one of two clocks is off, or it is late. Who sent it is proven, so it may
    be answered with words; nothing else may be done with it."""

    def __init__(self, opened: Opened, *problems: Problem) -> None:
        super().__init__(*problems)
        self.opened = opened


AnchorsOf = Callable[[OrganisationName], Sequence[x509.Certificate]]
"""The trust anchors pinned for one organisation; empty for a stranger."""


def open_envelope(
    data: bytes, *, anchors_of: AnchorsOf, recipient: OrganisationName, now: datetime, signers: KnownSigners
) -> Opened:
    """Open an envelope, in this order: (1) size, (2) structure, (3) algorithm, (4) claimed sender, (5) path at
    `now` to the root that it shows (`introduced` unless that is one of its anchors), (6) leaf purpose and URI name,
    (7) signature over the received bytes, (8) parse, (9) sender and recipient, (10) times.

    Raises `EnvelopeError` (`UntimelyError` if only step 10 fails), `PathError` or `MessageError`, all `ProtocolError`.

    The caller still owes: the invitation's proof if `introduced`; whether the transaction is known; the digest.
    """
    unsealed = unseal(data)
    introduced = unsealed.chain[-1] not in anchors_of(unsealed.claimed)
    signer = signers.signer(unsealed, unsealed.chain[-1:], now)
    opened = Opened(read(unsealed, signer, recipient), unsealed.jws.digest, signer.root, signer.keys, introduced)
    _check_times(opened, now)
    return opened


def unseal(data: bytes) -> Unsealed:
    """Steps 1 to 4, from the bytes alone. Raises `EnvelopeError` or `PathError`."""
    _check_size(data)
    parsed = jws.parse_jws(data)
    claimed, chain = _kept_claim(parsed.header) if parsed.header.is_kept else _claim(parsed.header)
    return Unsealed(claimed, chain, parsed)


def _claim(header: jws.Header) -> tuple[OrganisationName, tuple[x509.Certificate, ...]]:
    chain = tuple(load_certificate(der) for der in header.x5c)
    if chain[-1].subject != chain[-1].issuer:
        got = f"a chain that ends with {chain[-1].subject.rfc4514_string()}, which is no root"
        fix = "Seal with the agent's complete chain: leaf first, then each issuer, the root last."
        _refuse(ProblemCode.SIGNER_NOT_TRUSTED, "x5c", got, "a chain that ends with the root", fix)
    return agent_organisation(chain[0]), chain


_kept_claim = lru_cache(maxsize=KNOWN_SIGNERS_MAX)(_claim)


def read(unsealed: Unsealed, signer: Signer, recipient: OrganisationName) -> Message:
    """Steps 7 to 9. Raises `EnvelopeError` or `MessageError`."""
    message = parse_message(jws.verified_payload(unsealed.jws, signer.key))
    if message.sender != signer.organisation:
        allowed = f"{signer.organisation}, whose certificate signed it"
        _refuse(ProblemCode.SIGNER_NOT_TRUSTED, "sender", message.sender, allowed, "Seal messages as yourself only.")
    if message.recipient != recipient:
        fix = "Check which issuer the invitation came from and which queue the message was sent to."
        _refuse(ProblemCode.WRONG_AUTHORITY, "recipient", message.recipient, str(recipient), fix)
    return message


def digest(data: bytes) -> Fingerprint:
    """SHA-256 of what is signed in an envelope: its name in a reply. Verifies nothing. Raises `EnvelopeError`."""
    return jws.parse_jws(data).digest


def reread(data: bytes) -> Message:
    """The message in an envelope from our own ledger, sealed here or opened before it was kept. Verifies nothing."""
    return parse_message(jws.payload_of(data))


class KnownSigners:
    """Verified signers by chain and anchors, bounded: a memory of `verify_path`, which stays pure."""

    def __init__(self, limit: int = KNOWN_SIGNERS_MAX) -> None:
        self._limit = limit
        self._signers: dict[tuple[object, ...], Signer] = {}

    def signer(self, unsealed: Unsealed, anchors: tuple[x509.Certificate, ...], now: datetime) -> Signer:
        """Steps 5 and 6: the signer of an envelope, its path verified to one of `anchors`. Raises `PathError`."""
        key = (unsealed.jws.header, anchors)
        known = self._signers.get(key)
        if known is not None and known.valid_from <= now < known.valid_until:
            return known
        signer = _verify_signer(unsealed, anchors, now)
        if not unsealed.jws.header.is_kept:
            return signer
        if len(self._signers) >= self._limit:
            self._signers.pop(next(iter(self._signers)), None)
        self._signers[key] = signer
        return signer


def _verify_signer(unsealed: Unsealed, anchors: Sequence[x509.Certificate], now: datetime) -> Signer:
    leaf, *others = unsealed.chain
    path = verify_path(leaf, others, anchors, Purpose.ENVELOPE, now)
    return Signer(
        organisation=unsealed.claimed,
        root=path[-1].public_bytes(Encoding.DER),
        key=jws.jose_key(leaf.public_key()),
        keys=frozenset(Fingerprint.of(public_key_info(certificate)) for certificate in unsealed.chain),
        valid_from=max(certificate.not_valid_before_utc for certificate in path),
        valid_until=min(certificate.not_valid_after_utc for certificate in path),
    )


def _check_size(data: bytes) -> None:
    if len(data) > ENVELOPE_MAX:
        fix = "Ask for fewer names or send a shorter chain."
        _refuse(ProblemCode.BAD_DATA_FORMAT, "envelope", f"{len(data)} bytes", f"at most {ENVELOPE_MAX} bytes", fix)


def _check_times(opened: Opened, now: datetime) -> None:
    try:
        _refuse_wrong_times(opened.message, now)
    except EnvelopeError as error:
        raise UntimelyError(opened, *error.problems) from None


def _refuse_wrong_times(message: Message, now: datetime) -> None:
    ahead = message.issued_at - now
    if ahead > CLOCK_SKEW_MAX:
        got = f"a message from {ahead.total_seconds():.0f} s in the future (sent {message.issued_at}, here it is {now})"
        fix = "One of the two clocks is wrong: compare both with a time server (NTP)."
        _refuse(ProblemCode.BAD_TIME, "issued_at", got, f"clocks that differ by {CLOCK_SKEW_MAX} at most", fix)
    if now - message.expires_at > CLOCK_SKEW_MAX:
        late = (now - message.expires_at).total_seconds()
        got = f"a message that expired {late:.0f} s ago (at {message.expires_at}, here it is {now})"
        fix = "Send a new request; if it was sent just now, compare both clocks with a time server (NTP)."
        _refuse(ProblemCode.BAD_TIME, "expires_at", got, "a message that has not expired", fix)
    if message.expires_at - message.issued_at > LIFETIME_MAX:
        lifetime = message.expires_at - message.issued_at
        fix = "Send messages that expire sooner."
        _refuse(ProblemCode.BAD_TIME, "expires_at", f"a lifetime of {lifetime}", f"at most {LIFETIME_MAX}", fix)


def _refuse(code: ProblemCode, field: str, got: str, allowed: str, fix: str) -> NoReturn:
    raise EnvelopeError(problem(code, field, got, allowed, fix)) from None
