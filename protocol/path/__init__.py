"""Certification paths (RFC 5280 section 6): the one validator for certificates, envelopes and the channel."""

from protocol.path.diagnosis import is_issued_by
from protocol.path.load import extension, load_certificate
from protocol.path.names import agent_organisation
from protocol.path.purpose import KP_JWT, Purpose
from protocol.path.verify import RSA_BITS_MAX, RSA_BITS_MIN, verify_path

__all__ = [
    "KP_JWT",
    "RSA_BITS_MAX",
    "RSA_BITS_MIN",
    "Purpose",
    "agent_organisation",
    "extension",
    "is_issued_by",
    "load_certificate",
    "verify_path",
]
