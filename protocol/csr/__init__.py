"""Certification requests (PKCS#10, RFC 2986): build one; parse one strictly, with proof of possession, into facts.

What a request may be granted is not decided here. Layers, each importing only from those after it: `build`;
`file`, `parse`; `attributes`, `signature`; `extensions`, `key`; `alternative_names`, `subject`, `rsa_modulus`,
`ed25519_point`; `der`; `facts`, `refusals`.
"""

from protocol.csr.build import RequesterKey, build_csr
from protocol.csr.facts import CertificationRequest, KeyFacts, KeyKind, NameKind, SubjectAttribute, SubjectName
from protocol.csr.file import read_csr_file
from protocol.csr.key import key_facts, load_public_key
from protocol.csr.parse import parse_csr

__all__ = [
    "CertificationRequest",
    "KeyFacts",
    "KeyKind",
    "NameKind",
    "RequesterKey",
    "SubjectAttribute",
    "SubjectName",
    "build_csr",
    "key_facts",
    "load_public_key",
    "parse_csr",
    "read_csr_file",
]
