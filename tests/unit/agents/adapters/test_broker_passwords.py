"""Passwords for the broker: made once, private, and in the definitions as hashes only."""

import base64
import hashlib

import pytest

from agents.adapters.broker import hash_passwords, make_passwords, password_file
from agents.adapters.entropy import SystemEntropy
from agents.errors import StateError
from protocol.names import OrganisationName

B, C = OrganisationName("client-b"), OrganisationName("client-c")


def test_each_organisation_gets_a_password_in_a_file_of_its_own(tmp_path):
    made = make_passwords(tmp_path / "passwords", [C, B, C], SystemEntropy())
    assert made.keys() == {B, C}
    assert made[B] != made[C]
    for name, password in made.items():
        path = password_file(tmp_path / "passwords", name)
        assert path.read_text() == password
        assert len(base64.urlsafe_b64decode(password + "=")) == 32
        assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "passwords").stat().st_mode & 0o777 == 0o700


def test_a_password_that_is_there_stays_as_it_is(tmp_path):
    before = make_passwords(tmp_path / "passwords", [B], SystemEntropy())
    after = make_passwords(tmp_path / "passwords", [B, C], SystemEntropy())
    assert after[B] == before[B]
    assert after[C] != before[B]


def test_a_password_that_others_can_read_is_refused(tmp_path):
    make_passwords(tmp_path / "passwords", [B], SystemEntropy())
    password_file(tmp_path / "passwords", B).chmod(0o644)
    with pytest.raises(StateError, match="other users can use it"):
        make_passwords(tmp_path / "passwords", [B], SystemEntropy())


def test_hashes_are_salted_and_fit_their_passwords():
    hashes = hash_passwords({B: "same", C: "same"}, SystemEntropy())
    assert hashes[B] != hashes[C]
    for hashed in hashes.values():
        raw = base64.b64decode(hashed)
        assert hashlib.sha256(raw[:4] + b"same").digest() == raw[4:]
