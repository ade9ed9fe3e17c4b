"""Public keys: five kinds in their one encoding, and the weaknesses that show in the public half."""

from itertools import count
from random import Random

import gmpy2
import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from kit.csr_forge import bits, integer, oid, sequence, tlv

from protocol.csr import KeyKind, ed25519_point, key_facts, load_public_key
from protocol.csr.ed25519_point import _P, _SMALL_ORDER_Y
from protocol.csr.rsa_modulus import weakness
from protocol.errors import ProblemCode, RequestError
from protocol.names import Fingerprint

RSA = sequence(oid("1.2.840.113549.1.1.1"), tlv(0x05))
ED25519 = sequence(oid("1.3.101.112"))
EC_PUBLIC_KEY = oid("1.2.840.10045.2.1")
P256 = sequence(EC_PUBLIC_KEY, oid("1.2.840.10045.3.1.7"))
NULL = tlv(0x05)

HONEST_RSA = rsa.generate_private_key(65537, 2048).public_key().public_numbers().n
POINT = ec.derive_private_key(7, ec.SECP256R1()).public_key()
UNCOMPRESSED = POINT.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
COMPRESSED = POINT.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)

# The modulus of a certificate in the public Certificate Transparency logs (crt.sh id 5534506057): it shares a prime.
SHARED_PRIME_MODULUS = int(
    "b504bbdb47631e8058d9e5c40ec30d1a2e86598fc1dfb4f218eead0204099f07"
    "80be4e40062dc029a389cc740b9aaa64cf387ddb3d851f36692a83a2cb812ad2"
    "db78276d338053e261d006e667df4dc82d321ca609705c01a523b9909cc98208"
    "0dd10d9da3f7c133e8d0511d5a8cdbd3fe3e48d275221970c90194bbbee60078"
    "2bdd0da3fc6a98d114886e2926815ecd5297fa3c0f090259b6fa54108fd623ba"
    "b308e4af414193d11a6f381369d27b8cd3d8d91a2abcce6c7fa615de5d465ce2"
    "d3415768c174e958988b02a05b6ede7f56420f7674c8567bb9a35a1809df96c3"
    "94b2868cbad4a440fb342440159a75648c27e94caca533d0ff074663bad66ca5",
    16,
)


def spki_of(private_key):
    return private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def rsa_spki(modulus, exponent=65537):
    return sequence(RSA, bits(sequence(integer(modulus), integer(exponent))))


def refused(spki):
    with pytest.raises(RequestError) as caught:
        key_facts(spki)
    (problem,) = caught.value.problems
    assert problem.field == "public key"
    return problem


@pytest.mark.parametrize(
    ("key", "kind", "size"),
    [
        (ec.derive_private_key(7, ec.SECP256R1()), KeyKind.P256, 256),
        (ec.derive_private_key(7, ec.SECP384R1()), KeyKind.P384, 384),
        (ec.derive_private_key(7, ec.SECP521R1()), KeyKind.P521, 521),
        (ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)), KeyKind.ED25519, 256),
        (rsa.generate_private_key(65537, 2048), KeyKind.RSA, 2048),
    ],
)
def test_the_facts_of_a_key_are_its_kind_size_octets_and_their_digest(key, kind, size):
    spki = spki_of(key)
    facts = key_facts(spki)
    assert (facts.kind, facts.bits, facts.spki, facts.fingerprint) == (kind, size, spki, Fingerprint.of(spki))


@pytest.mark.parametrize(
    "spki",
    [
        spki_of(ec.derive_private_key(7, ec.SECP256K1())),
        spki_of(ec.derive_private_key(7, ec.BrainpoolP256R1())),
        spki_of(ed448.Ed448PrivateKey.generate()),
        spki_of(x25519.X25519PrivateKey.generate()),
        spki_of(dsa.generate_private_key(2048)),
        sequence(sequence(oid("1.2.840.113549.1.1.10")), bits(sequence(integer(HONEST_RSA), integer(65537)))),
        sequence(sequence(oid("1.2.840.113549.1.1.1")), bits(sequence(integer(HONEST_RSA), integer(65537)))),
        sequence(sequence(EC_PUBLIC_KEY), bits(UNCOMPRESSED)),
        sequence(sequence(EC_PUBLIC_KEY, NULL), bits(UNCOMPRESSED)),
        sequence(sequence(EC_PUBLIC_KEY, sequence(integer(1))), bits(UNCOMPRESSED)),
        sequence(sequence(oid("1.3.101.112"), NULL), bits(bytes(32))),
    ],
    ids=[
        "secp256k1",
        "brainpool",
        "Ed448",
        "X25519",
        "DSA",
        "PSS only",
        "RSA without NULL",
        "no curve",
        "NULL curve",
        "explicit curve",
        "Ed25519 with NULL",
    ],
)
def test_another_kind_of_key_or_other_parameters_are_refused_as_bad_algorithm(spki):
    problem = refused(spki)
    assert problem.code is ProblemCode.BAD_ALG
    assert problem.got.startswith(("algorithm 1.", "algorithm octets"))
    assert "P-256" in problem.allowed


@pytest.mark.parametrize(
    ("point", "got"),
    [
        (COMPRESSED, "33 octets beginning with 0"),
        (bytes([6 + UNCOMPRESSED[-1] % 2]) + UNCOMPRESSED[1:], "65 octets beginning with 0"),
        (b"\x00", "1 octets beginning with 00"),
        (b"", "0 octets beginning with nothing"),
        (UNCOMPRESSED + b"\0", "66 octets"),
        (UNCOMPRESSED[:-1], "64 octets"),
    ],
    ids=["compressed", "hybrid", "infinity", "empty", "long", "short"],
)
def test_a_point_in_another_form_than_uncompressed_is_refused(point, got):
    assert got in refused(sequence(P256, bits(point))).got


def test_a_curve_that_the_library_does_not_know_is_a_refusal_too():
    unknown = sequence(sequence(EC_PUBLIC_KEY, oid("1.2.3.4")), bits(UNCOMPRESSED))
    with pytest.raises(RequestError, match="P-256"):
        load_public_key(unknown)


def test_a_point_that_is_not_on_its_curve_is_refused():
    off_curve = UNCOMPRESSED[:-1] + bytes([UNCOMPRESSED[-1] ^ 1])
    assert refused(sequence(P256, bits(off_curve))).code is ProblemCode.BAD_ALG
    assert refused(sequence(P256, bits(b"\x04" + b"\xff" * 64))).code is ProblemCode.BAD_ALG


@pytest.mark.parametrize(
    "spki",
    [
        b"",
        sequence(P256),
        sequence(P256, bits(UNCOMPRESSED), NULL),
        sequence(P256, bits(UNCOMPRESSED)) + b"\0",
        sequence(P256, bits(UNCOMPRESSED, unused=1)),
        sequence(P256, tlv(0x04, UNCOMPRESSED)),
        sequence(RSA, bits(sequence(integer(HONEST_RSA), integer(65537)) + b"\0")),
        sequence(RSA, bits(sequence(integer(HONEST_RSA), integer(65537), integer(1)))),
        sequence(RSA, bits(sequence(integer(HONEST_RSA)))),
        sequence(RSA, bits(sequence(tlv(0x02, b"\0" + integer(HONEST_RSA)[4:]), integer(65537)))),
        sequence(RSA, bits(sequence(tlv(0x02, integer(HONEST_RSA)[5:]), integer(65537)))),
        sequence(RSA, bits(sequence(integer(HONEST_RSA), tlv(0x02, b"\0\1\0\1")))),
    ],
)
def test_a_key_of_another_structure_is_refused(spki):
    assert refused(spki).code is ProblemCode.BAD_DATA_FORMAT


# --- Ed25519 ---------------------------------------------------------------------------------------------------------


def multiply(scalar, point):
    """Multiplication on edwards25519 (RFC 8032 section 5.1.4), affine and slow: independent of what is tested."""
    d = -121665 * pow(121666, -1, _P) % _P
    result = (0, 1)
    for bit in f"{scalar:b}":
        for addend in (result, point if bit == "1" else (0, 1)):
            (x1, y1), (x2, y2) = result, addend
            product = d * x1 * x2 * y1 * y2
            result = (
                (x1 * y2 + y1 * x2) * pow(1 + product, -1, _P) % _P,
                (y1 * y2 + x1 * x2) * pow(1 - product, -1, _P) % _P,
            )
    return result


def point_with(y):
    """A point with this y; its sign does not matter to its order."""
    d = -121665 * pow(121666, -1, _P) % _P
    square = (y * y - 1) * pow(d * y * y + 1, -1, _P) % _P
    root = pow(square, (_P + 3) // 8, _P)
    x = root if root * root % _P == square else root * pow(2, (_P - 1) // 4, _P) % _P
    return (x, y) if x * x % _P == square else None


def ed25519_spki(y, sign=0):
    return sequence(ED25519, bits((y | sign << 255).to_bytes(32, "little")))


@pytest.mark.parametrize("y", sorted(_SMALL_ORDER_Y))
@pytest.mark.parametrize("sign", [0, 1])
def test_an_ed25519_key_whose_order_divides_the_cofactor_is_refused(y, sign):
    assert multiply(8, point_with(y)) == (0, 1)
    assert "small order" in refused(ed25519_spki(y, sign)).got


def test_the_list_of_small_orders_is_complete():
    orders = {
        8 // divisor
        for y in _SMALL_ORDER_Y
        for divisor in (1, 2, 4, 8)
        if multiply(8 // divisor, point_with(y)) == (0, 1)
    }
    points = {(x, y) for y in _SMALL_ORDER_Y for x in (point_with(y)[0], -point_with(y)[0] % _P)}
    assert orders == {1, 2, 4, 8}
    assert len(points) == 8


@pytest.mark.parametrize("y", [_P, _P + 1, _P + 2, 2**255 - 1])
def test_an_ed25519_key_in_a_second_encoding_is_refused(y):
    assert "canonical" in refused(ed25519_spki(y)).got


def test_an_ed25519_key_that_is_no_point_is_refused():
    off_curve = next(y for y in count(2) if point_with(y) is None)
    assert "not on the curve" in refused(ed25519_spki(off_curve)).got


@pytest.mark.parametrize("y", range(2, 40))
def test_an_ed25519_key_is_a_point_exactly_where_the_curve_has_one_with_that_y(y):
    assert ed25519_point.weakness(y.to_bytes(32, "little")) == (None if point_with(y) else "not on the curve")


@pytest.mark.parametrize("length", [0, 31, 33])
def test_an_ed25519_key_of_another_length_is_refused(length):
    assert f"{length} octets long" in refused(sequence(ED25519, bits(bytes(length)))).got


# --- RSA -------------------------------------------------------------------------------------------------------------


def without_small_factors(moduli):
    primorial = gmpy2.primorial(65537)
    return int(next(n for n in moduli if gmpy2.gcd(n, primorial) == 1))


def honest_modulus(size):
    base = Random(3).getrandbits(size) | 1 << size - 1 | 1  # noqa: S311 - the same in every run
    return without_small_factors(base + 2 * i for i in count())


def prime_after(start):
    return int(gmpy2.next_prime(start))


def roca_modulus():
    primorial_of_the_generator = 0x924CBA6AE99DFA084537FACC54948DF0C23DA044D8CABE0EDD75BC6
    residue = pow(65537, 2017, primorial_of_the_generator)
    base = 2**2047 + 3**1200 - 2**2047 % primorial_of_the_generator
    base += residue - base % primorial_of_the_generator
    return without_small_factors(n for n in (base + 2 * i * primorial_of_the_generator for i in count()) if n % 2)


def repeated_octets_modulus():
    octets = bytearray(Random(1).randbytes(256))  # noqa: S311 - the same in every run
    octets[0] |= 0x80
    octets[100:116] = bytes([0x5A]) * 16
    base = int.from_bytes(octets, "big") | 1
    return without_small_factors(base + 2 * i for i in count())


def biased_modulus():
    random = Random(2)  # noqa: S311 - the same in every run
    base = random.getrandbits(2048) | random.getrandbits(2048) | 1 << 2047 | 1
    return without_small_factors(base + 2 * i for i in count())


@pytest.mark.parametrize(
    ("modulus", "got"),
    [
        (3 * prime_after(2**2046), "a small prime factor"),
        (prime_after(2**1023 + 2**1022) * prime_after(2**1023 + 2**1022 + 2**500), "too close"),
        (roca_modulus(), "ROCA"),
        (repeated_octets_modulus(), "repeated bytes"),
        (biased_modulus(), "unevenly spread bits"),
        (prime_after(2**1024 + 2**600) * prime_after(2**1023 + 2**1000), "polynomials"),
        (SHARED_PRIME_MODULUS, "shared with other"),
    ],
    ids=["small factor", "near primes", "ROCA", "repeated octets", "biased", "polynomial", "shared prime"],
)
def test_an_rsa_modulus_with_a_known_weakness_is_refused(modulus, got):
    assert got in refused(rsa_spki(modulus)).got


@pytest.mark.parametrize("size", [1024, 2040, 8200])
def test_an_rsa_modulus_outside_2048_to_8192_bits_is_refused_before_anything_is_computed(size):
    assert f"{size} bits" in refused(rsa_spki(2**size - 1)).got


@pytest.mark.parametrize("size", [2049, 2052, 2055])
def test_an_rsa_modulus_is_a_whole_number_of_octets(size):
    problem = refused(rsa_spki(honest_modulus(size)))
    assert problem.got == f"an RSA key with a modulus of {size} bits"
    assert "a multiple of 8" in problem.allowed


def test_an_rsa_modulus_may_have_another_size_than_the_usual_ones():
    assert key_facts(rsa_spki(honest_modulus(2056))).bits == 2056


def test_an_rsa_modulus_may_have_as_many_bits_as_the_limit():
    assert weakness(honest_modulus(8192), 65537) is None


@pytest.mark.parametrize("exponent", [1, 3, 17, 65535, 65536, 65538, 2**64 + 1])
def test_an_rsa_exponent_that_is_even_small_or_huge_is_refused(exponent):
    assert "exponent" in refused(rsa_spki(HONEST_RSA, exponent)).got


@pytest.mark.parametrize("exponent", [65537, 65539, 2**64 - 1])
def test_other_odd_exponents_above_the_floor_are_no_weakness(exponent):
    assert weakness(HONEST_RSA, exponent) is None
