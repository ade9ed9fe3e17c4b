"""Proof of possession: exactly the listed algorithms, over exactly the bytes received."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA224, SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from kit.csr_forge import ECDSA_SHA256, KEY, PLAIN, RSA_SHA256, bits, info, oid, problem_of, sequence, sign, tlv

from protocol.csr import parse_csr
from protocol.errors import ProblemCode

RSA = rsa.generate_private_key(65537, 2048)
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
INFO = info(PLAIN)


def spki(key):
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def built_by_the_library(key, hash_, padding=None):
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(key, hash_, rsa_padding=padding).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("key", "hash_", "padding", "name"),
    [
        *((KEY, h, None, n) for h, n in [(SHA256(), "SHA-256"), (SHA384(), "SHA-384"), (SHA512(), "SHA-512")]),
        *((RSA, h, PKCS1v15(), n) for h, n in [(SHA256(), "SHA-256"), (SHA384(), "SHA-384"), (SHA512(), "SHA-512")]),
        (RSA, SHA256(), PSS(MGF1(SHA256()), 32), "SHA-256"),
        (RSA, SHA384(), PSS(MGF1(SHA384()), 48), "SHA-384"),
        (RSA, SHA512(), PSS(MGF1(SHA512()), 64), "SHA-512"),
        (ED25519, None, None, "Ed25519"),
    ],
)
def test_every_listed_algorithm_proves_possession_and_names_its_hash(key, hash_, padding, name):
    assert parse_csr(built_by_the_library(key, hash_, padding)).signature_hash == name


@pytest.mark.parametrize(
    ("key", "hash_", "padding"),
    [
        (KEY, SHA224(), None),
        (RSA, SHA224(), PKCS1v15()),
        (RSA, SHA256(), PSS(MGF1(SHA256()), 20)),
        (RSA, SHA256(), PSS(MGF1(SHA256()), 222)),
        (RSA, SHA256(), PSS(MGF1(SHA512()), 32)),
    ],
    ids=["ECDSA SHA-224", "RSA SHA-224", "short salt", "longest salt", "mask of another hash"],
)
def test_a_weaker_hash_or_other_parameters_are_refused_as_bad_algorithm(key, hash_, padding):
    problem = problem_of(built_by_the_library(key, hash_, padding))
    assert (problem.code, problem.field) == (ProblemCode.BAD_ALG, "CSR signature algorithm")
    assert problem.got.startswith("algorithm 1.")


@pytest.mark.parametrize(
    "algorithm",
    [
        sequence(oid("1.2.840.10045.4.1")),
        sequence(oid("1.2.840.10045.4.3.2"), tlv(0x05)),
        sequence(oid("1.2.840.113549.1.1.5"), tlv(0x05)),
        sequence(oid("1.2.840.113549.1.1.4"), tlv(0x05)),
        sequence(oid("1.2.840.113549.1.1.11")),
        sequence(oid("1.2.840.113549.1.1.10")),
        sequence(oid("1.2.840.113549.1.1.10"), sequence()),
        sequence(),
        RSA_SHA256,
    ],
    ids=["SHA-1", "ECDSA NULL", "RSA SHA-1", "MD5", "RSA no NULL", "PSS bare", "PSS defaults", "none", "other key"],
)
def test_an_algorithm_off_the_list_or_of_another_key_is_refused(algorithm):
    assert problem_of(sign(INFO, algorithm)).code is ProblemCode.BAD_ALG


def test_a_signature_by_another_key_is_refused_as_bad_proof_of_possession():
    other = ec.derive_private_key(8, ec.SECP256R1())
    problem = problem_of(sign(info(PLAIN, spki=spki(other))))
    assert (problem.code, problem.field) == (ProblemCode.BAD_POP, "CSR signature")


def test_a_signature_with_another_hash_than_announced_is_refused():
    signature = KEY.sign(INFO, ec.ECDSA(SHA384()))
    assert problem_of(sequence(INFO, ECDSA_SHA256, bits(signature))).code is ProblemCode.BAD_POP


def test_a_signature_over_other_bytes_of_equal_meaning_is_refused():
    """The received first part is signed, not what a reader makes of it: here the length is written longer."""
    lenient = b"\x30\x81" + INFO[2:] if INFO[1] < 0x80 else b"\x30\x82\x00" + INFO[2:]
    signature = KEY.sign(lenient, ec.ECDSA(SHA256()))
    assert problem_of(sequence(INFO, ECDSA_SHA256, bits(signature))).code is ProblemCode.BAD_POP


@pytest.mark.parametrize("signature", [b"", b"\0", bytes(64), sequence(), b"\x30\x06\x02\x01\x00\x02\x01\x00"])
def test_octets_that_are_no_signature_are_refused_as_bad_proof_of_possession(signature):
    assert problem_of(sequence(INFO, ECDSA_SHA256, bits(signature))).code is ProblemCode.BAD_POP


@pytest.mark.parametrize("key", [RSA, ED25519])
@pytest.mark.parametrize("length", [0, 63, 64, 255, 256, 257])
def test_a_signature_of_zeros_of_any_length_is_refused(key, length):
    algorithm = RSA_SHA256 if key is RSA else sequence(oid("1.3.101.112"))
    request = sequence(info(PLAIN, spki=spki(key)), algorithm, bits(bytes(length)))
    assert problem_of(request).code is ProblemCode.BAD_POP


def test_a_signature_with_unused_bits_is_refused():
    signature = KEY.sign(INFO, ec.ECDSA(SHA256()))
    assert problem_of(sequence(INFO, ECDSA_SHA256, bits(signature, unused=1))).code is ProblemCode.BAD_DATA_FORMAT


def test_the_other_half_of_a_malleable_signature_is_a_signature_too():
    """ECDSA cannot tell (r, s) from (r, n - s): a request's bytes are no identifier of what was asked."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    r, s = decode_dss_signature(KEY.sign(INFO, ec.ECDSA(SHA256())))
    mirrored = sequence(INFO, ECDSA_SHA256, bits(encode_dss_signature(r, order - s)))
    assert parse_csr(mirrored).names == parse_csr(sign(INFO)).names
