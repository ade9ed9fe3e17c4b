"""Parse one certification request (RFC 2986 section 4.2): any bytes give facts or `RequestError`, nothing else."""

from __future__ import annotations

from protocol.csr.attributes import parse_attributes
from protocol.csr.der import BIT_STRING, CONTEXT_0, INTEGER, SEQUENCE, members, only_element
from protocol.csr.facts import CertificationRequest
from protocol.csr.key import load_key
from protocol.csr.refusals import malformed, refusal
from protocol.csr.signature import verify_possession
from protocol.csr.subject import parse_subject
from protocol.errors import ProblemCode
from protocol.messages import CSR_MAX

_FIELD = "CSR"
_VERSION_1 = b"\x00"


def parse_csr(der: bytes, limit: int = CSR_MAX) -> CertificationRequest:
    """The facts of one request, at most `limit` bytes of DER, whose proof of possession holds.

    Raises only `RequestError`, with the first thing that is wrong, judged in this order so that nothing costly is done
    for a request that is refused anyway:

    1. size, before anything is parsed;
    2. exactly one object of three parts, the first of exactly four;
    3. version 1, which is written 0 (RFC 2986 section 4.1);
    4. subject, attributes and extensions: counts, duplicates, types and octets of text;
    5. the key: kind, encoding, weaknesses;
    6. proof of possession, over the first part as it was received.

    The caller still owes the policy: which names, keys and purposes may be granted.
    """
    if len(der) > limit:
        raise malformed(_FIELD, f"{len(der)} bytes", f"at most {limit} bytes of DER")
    request = only_element(der, SEQUENCE, _FIELD)
    info, algorithm, signature = members(request, _FIELD, SEQUENCE, SEQUENCE, BIT_STRING)
    version, name, public_key, attributes = members(
        info, f"{_FIELD} information", INTEGER, SEQUENCE, SEQUENCE, CONTEXT_0
    )
    if version.content != _VERSION_1:
        got = f"version octets {version.content.hex() or 'none'}"
        raise refusal(ProblemCode.UNSUPPORTED_VERSION, f"{_FIELD} version", got, "version 1, written as INTEGER 0")
    subject, subject_left_out = parse_subject(name)
    extensions, attributes_left_out = parse_attributes(attributes)
    facts, key = load_key(public_key.encoded)
    return CertificationRequest(
        der=der,
        subject=subject,
        names=extensions.names,
        key=facts,
        signature_hash=verify_possession(key, algorithm, signature, info.encoded),
        extended_key_usages=extensions.extended_key_usages,
        left_out=subject_left_out + attributes_left_out + extensions.left_out,
    )
