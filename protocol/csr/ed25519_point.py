"""What is wrong with an Ed25519 public key, as far as its octets show (RFC 8032 section 5.1).

A key of small order lets anybody make signatures that verify, so it proves possession of nothing; a second encoding of
the same point would make one key look like two. Libraries accept both. Leaves out points with a small-order component.
"""

from __future__ import annotations

BITS = 256
"""The size by which this kind of key is known: the octets of the public key, in bits."""

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P

# The y of every point whose order divides the cofactor 8: order 1; order 2; order 4; and the two of order 8.
_Y_OF_ORDER_8 = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
_SMALL_ORDER_Y = frozenset({1, _P - 1, 0, _Y_OF_ORDER_8, _P - _Y_OF_ORDER_8})


def weakness(octets: bytes) -> str | None:
    """What is wrong with the key, in words; None where nothing is."""
    if len(octets) != BITS // 8:
        return f"{len(octets)} octets long"
    y = int.from_bytes(octets, "little") % 2**255
    if y >= _P:
        return "not in its canonical encoding"
    if y in _SMALL_ORDER_Y:
        return "of small order"
    return None if _is_on_curve(y) else "not on the curve"


def _is_on_curve(y: int) -> bool:
    """Whether (y^2 - 1) / (d y^2 + 1) is a square, x^2, by Euler's criterion; it is zero only for small orders."""
    squared = y * y
    return pow((squared - 1) * (_D * squared + 1), (_P - 1) // 2, _P) == 1
