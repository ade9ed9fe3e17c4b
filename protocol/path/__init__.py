"""Certification paths (RFC 5280 section 6): the one validator for certificates, envelopes and the channel."""

from protocol.path.diagnosis import is_issued_by
from protocol.path.load import extension, load_certificate
from protocol.path.names import agent_organisation
from protocol.path.purpose import KP_JWT, Purpose
from protocol.path.verify import verify_path

__all__ = ["KP_JWT", "Purpose", "agent_organisation", "extension", "is_issued_by", "load_certificate", "verify_path"]
