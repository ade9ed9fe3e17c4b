"""The issuer's authority: has what was approved signed, and says what goes to the requester with it."""

from __future__ import annotations

from collections.abc import Sequence

from agents.core.issuer import Issuance, renew_after
from agents.core.policy import Approved, Refused
from agents.ports import CertificateSigner, Entropy
from protocol.certificate import public_key_info
from protocol.errors import ProtocolError
from protocol.messages import Endpoint, Issued
from protocol.names import Fingerprint
from protocol.path import load_certificate


class Authority:
    """Our issuing CA, and the channel that its certificates are for."""

    def __init__(
        self, signer: CertificateSigner, identity: Sequence[bytes], endpoint: Endpoint, entropy: Entropy
    ) -> None:
        """`identity` is our agent identity's chain, DER."""
        self._signer, self._entropy = signer, entropy
        self.endpoint = endpoint
        path = [load_certificate(der) for der in (signer.certificate(), *signer.trust_bundle())]
        self.not_after = min(one.not_valid_after_utc for one in path)
        """When the first of our CAs ends."""
        signing = (*path, *(load_certificate(der) for der in identity))
        self.keys = frozenset(Fingerprint.of(public_key_info(one)) for one in signing)
        """SHA-256 of the SubjectPublicKeyInfo of our CAs and of our agent identity."""

    def sign(self, approved: Approved) -> Issuance | Refused:
        """The certificate as approved, or why this CA may not certify that. Raises `StateError` if it cannot sign."""
        serial = self._entropy.serial_number()
        try:
            return Issuance(approved, serial, self._signer.issue(approved, serial))
        except ProtocolError as error:
            return Refused(error.problems)

    def issued(self, issuance: Issuance) -> Issued:
        """What the requester is told of its certificate."""
        return Issued(
            certificate=issuance.certificate,
            chain=self._signer.chain(),
            trust_bundle=self._signer.trust_bundle(),
            endpoint=self.endpoint,
            renew_after=renew_after(issuance.approved),
            notes=issuance.notes,
        )
