"""What is wrong with an RSA public key, as far as its modulus and exponent show (CA/Browser Forum BR section 6.1.1.3).

The tests are those of the package `badkeys` that need nothing but the modulus and find no fault with honest keys. They
cost about half a millisecond for 2048 bits, most of it the search for primes shared with published broken keys. The
package is imported with the first RSA key, which takes about 70 ms that other kinds of key need not wait for; it reads
one file, the list of shared primes that it ships, and keeps it.

Left out on purpose: `blocklist` (its data is a download, and without it the package ends the process), `smalld`
(Wiener's attack needs an exponent far above EXPONENT_BITS_MAX), and `xzbackdoor` (says nothing about strength).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MODULUS_BITS_MIN, MODULUS_BITS_MAX = 2048, 8192
"""Sizes that are judged at all, in whole octets (CA/Browser Forum BR section 6.1.5). Verification time grows with the
square; a policy may ask for more than the least."""

EXPONENT_BITS_MAX = 64
"""FIPS 186-5 section A.1.1 allows exponents up to 2^256, but OpenSSL verifies nothing with one above 64 bits once the
modulus has more than 3072; the signature would be right and still not verify."""

_EXPONENT_FLOOR = 1 << 16

_WEAKNESSES = {
    "smallfactors": "a small prime factor",
    "fermat": "prime factors too close to each other",
    "roca": "a modulus from the ROCA generator (CVE-2017-15361)",
    "rsapoly": "a modulus that polynomials factor",
    "pattern": "a modulus of repeated bytes",
    "rsabias": "a modulus of unevenly spread bits",
    "sharedprimes": "a prime factor shared with other, published keys",
}


def weakness(modulus: int, exponent: int) -> str | None:
    """What is wrong with the key, in words; None where nothing is."""
    bits = modulus.bit_length()
    if bits % 8 or not MODULUS_BITS_MIN <= bits <= MODULUS_BITS_MAX:
        return f"a modulus of {bits} bits"
    if exponent % 2 == 0 or exponent <= _EXPONENT_FLOOR or exponent.bit_length() > EXPONENT_BITS_MAX:
        return "an exponent that is even, not above 2^16 or not below 2^64"
    return next((words for name, words in _WEAKNESSES.items() if _check(name)(modulus)), None)


def _check(name: str) -> Callable[[int], bool | Mapping[str, object]]:
    from badkeys import rsakeys  # noqa: PLC0415 - see the module's docstring

    check: Callable[[int], bool | Mapping[str, object]] = getattr(rsakeys, name)
    return check
