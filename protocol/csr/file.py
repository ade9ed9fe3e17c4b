"""What a person offers as a certification request in a file: PEM (RFC 7468) or DER. Gives the DER of exactly one.

Tolerated: text before the block, as `openssl req -text` writes it (RFC 7468 section 2), the older label, CRLF,
spaces at line ends, lines of any length. Refused: everything that could make two readers see two things.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode

from protocol.csr import der
from protocol.csr.refusals import malformed, refusal
from protocol.errors import ProblemCode, RequestError
from protocol.messages import CSR_MAX

FILE_MAX = 4 * CSR_MAX
"""Largest file, in bytes: the largest request in base64 with as much text before it again."""

_FIELD = "CSR file"
_LABELS = (b"CERTIFICATE REQUEST", b"NEW CERTIFICATE REQUEST")
_ALLOWED = "one PEM block 'CERTIFICATE REQUEST' or 'NEW CERTIFICATE REQUEST', or DER"
_BOUNDARY = re.compile(rb"-----(BEGIN|END)([^\r\n]*)")
_ONE_BLOCK = 2
_BLOCK = re.compile(
    rb"^-----BEGIN (?P<label>[A-Z0-9 ]+)-----[ \t]*\r?$(?P<body>.*?)^-----END (?P=label)-----[ \t]*\r?$(?P<rest>.*)",
    re.MULTILINE | re.DOTALL,
)
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_DER_START = re.compile(rb"\x30[\x80-\xff]")
"""A SEQUENCE with a length of several octets, which every request has; no text begins like that."""


def read_csr_file(data: bytes) -> bytes:
    """The DER of the one request in a file. Raises `RequestError`, never quoting what is inside a block.

    The caller still owes `parse_csr`: what is returned is one DER object, not yet known to be a request.
    """
    if len(data) > FILE_MAX:
        raise _refused(f"{len(data)} bytes", f"at most {FILE_MAX} bytes")
    encoded = data if _DER_START.match(data) else _from_pem(data.removeprefix(_UTF8_MARK))
    return der.only_element(encoded, der.SEQUENCE, _FIELD).encoded


def _from_pem(data: bytes) -> bytes:
    boundaries = _BOUNDARY.findall(data)
    _refuse_private_keys(boundaries)
    if data.startswith(_UTF16_MARKS):
        raise _refused("UTF-16 text", "ASCII or UTF-8 text", "Save the file as UTF-8; PowerShell's `>` writes UTF-16.")
    # Counted before it is searched: the search takes quadratic time where there are many beginnings without an end.
    block = _BLOCK.search(data) if len(boundaries) == _ONE_BLOCK else None
    if block is None:
        raise _refused(f"{len(boundaries)} PEM boundary lines, or a damaged block", _ALLOWED)
    if block["label"] not in _LABELS:
        raise _refused(f"a PEM block '{block['label'].decode('ascii')}'", _ALLOWED)
    if block["rest"].strip():
        raise _refused("data after the PEM block", "nothing after the block", "Remove what follows the END line.")
    return _decoded(block["body"])


def _refuse_private_keys(boundaries: list[tuple[bytes, bytes]]) -> None:
    if any(b"PRIVATE KEY" in label for _, label in boundaries):
        fix = "Give only the request. If this file left your machine, discard the key and generate a new one."
        raise _refused("a file with a private key", _ALLOWED, fix)


def _decoded(body: bytes) -> bytes:
    if b":" in body:
        raise _refused("PEM headers (RFC 1421) inside the block", "base64 only", "Remove the header lines.")
    text = b"".join(body.split())
    try:
        encoded = b64decode(text, validate=True)
    except binascii.Error as error:
        raise malformed(_FIELD, f"a block that is not base64 ({error})", "base64 (RFC 4648 section 4)") from error
    if b64encode(encoded) != text:
        raise malformed(_FIELD, "base64 with stray bits at its end", "base64 (RFC 4648 section 3.5)")
    return encoded


def _refused(
    got: str, allowed: str, fix: str = "Give the file that `openssl req -new` wrote, unaltered."
) -> RequestError:
    return refusal(ProblemCode.BAD_DATA_FORMAT, _FIELD, got, allowed, fix)
