"""Keys and certificates in PEM: what is read, what is refused, and in which words."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from kit.certificates import forge_ca, new_key

from agents.core.pem import (
    belong_together,
    blocks,
    certificates_pem,
    parse_certificates,
    parse_private_key,
    private_key_pem,
    public_key_der,
    require_pair,
)
from agents.errors import ConfigurationError, StateError

CA, OTHER = forge_ca("one"), forge_ca("two")
PEM = certificates_pem([CA.certificate, OTHER.certificate])


def same(one, other):
    return public_key_der(one.public_key()) == public_key_der(other.public_key())


def test_certificates_are_read_in_order_and_text_around_them_is_skipped():
    text = b"subject: one\n" + PEM + b"\ntrailing words"
    assert parse_certificates(text, "x") == (CA.certificate, OTHER.certificate)


def test_blocks_of_other_kinds_are_seen_and_not_taken_for_certificates():
    text = private_key_pem(CA.key) + PEM
    found = blocks(text)
    assert [block.label for block in found] == ["PRIVATE KEY", "CERTIFICATE", "CERTIFICATE"]
    assert b"".join(block.text for block in found) == text
    assert len(parse_certificates(text, "x")) == 2


@pytest.mark.parametrize("text", [b"", b"no PEM", private_key_pem(CA.key), PEM[: len(PEM) // 3]])
def test_a_file_without_a_certificate_is_refused_by_name(text):
    with pytest.raises(StateError, match=r"chain\.pem holds no certificate"):
        parse_certificates(text, "chain.pem")


@pytest.mark.parametrize("inner", [b"", b"AAAA", b"!!!!"])
def test_a_damaged_certificate_is_refused_by_name(inner):
    text = b"-----BEGIN CERTIFICATE-----\n" + inner + b"\n-----END CERTIFICATE-----\n"
    with pytest.raises(StateError, match=r"chain\.pem holds a damaged certificate"):
        parse_certificates(text, "chain.pem")


@pytest.mark.parametrize(
    "key", [new_key(), ed25519.Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048)]
)
@pytest.mark.parametrize("passphrase", [None, b"correct horse"])
def test_a_key_comes_back_as_it_went(key, passphrase):
    assert same(parse_private_key(private_key_pem(key, passphrase), passphrase, "x"), key)


def test_an_encrypted_key_says_so_and_hides_what_it_holds():
    text = private_key_pem(CA.key, b"correct horse")
    assert text.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")


def test_a_traditional_encrypted_key_is_read():
    encryption = serialization.BestAvailableEncryption(b"correct horse")
    text = CA.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, encryption)
    assert b"Proc-Type: 4,ENCRYPTED" in text
    assert same(parse_private_key(text, b"correct horse", "x"), CA.key)


def test_a_passphrase_for_a_key_that_needs_none_does_no_harm():
    assert same(parse_private_key(private_key_pem(CA.key), b"correct horse", "x"), CA.key)


def test_a_wrong_passphrase_is_the_operators_fault():
    text = private_key_pem(CA.key, b"correct horse")
    with pytest.raises(ConfigurationError, match=r"does not open root\.key\.pem") as caught:
        parse_private_key(text, b"battery staple", "root.key.pem")
    assert "battery" not in str(caught.value)


def test_a_missing_passphrase_is_asked_for():
    with pytest.raises(ConfigurationError, match="x is encrypted, and no passphrase was given"):
        parse_private_key(private_key_pem(CA.key, b"correct horse"), None, "x")


UNKNOWN_KIND = b"-----BEGIN PRIVATE KEY-----\nMA4CAQAwBQYDKgMEBAIFAA==\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    "text", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", PEM, UNKNOWN_KIND]
)
def test_what_is_no_key_is_refused_by_name(text):
    with pytest.raises(StateError, match=r"key\.pem holds no usable private key"):
        parse_private_key(text, None, "key.pem")


def test_a_certificate_belongs_to_its_own_key_only():
    assert belong_together(CA.certificate, CA.key)
    assert not belong_together(CA.certificate, OTHER.key)


def test_a_mismatch_of_certificate_and_key_is_refused_by_place():
    require_pair(CA.certificate, CA.key, "ca")
    with pytest.raises(StateError, match="in ca do not belong together"):
        require_pair(CA.certificate, OTHER.key, "ca")
