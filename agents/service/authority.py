"""The issuer's authority: has what was approved signed, and says what goes to the requester with it."""

from __future__ import annotations

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

    def __init__(self, signer: CertificateSigner, endpoint: Endpoint, entropy: Entropy) -> None:
        self._signer, self._entropy = signer, entropy
        self.endpoint = endpoint
        self.not_after = load_certificate(signer.certificate()).not_valid_after_utc
        """When the issuing CA's own certificate ends."""
        above = (signer.certificate(), *signer.chain(), *signer.trust_bundle())
        self.keys = frozenset(Fingerprint.of(public_key_info(load_certificate(der))) for der in above)
        """SHA-256 of the SubjectPublicKeyInfo of our CAs."""

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
