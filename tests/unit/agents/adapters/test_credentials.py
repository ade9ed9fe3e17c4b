"""The requester's credentials on disk, with real keys, files and crashes; the issuer is a CA made here."""

import os
import shutil
import stat

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from kit.certificates import forge_ca, forge_client
from kit.crash import crash_points

from agents.adapters.credentials import CredentialFiles
from agents.core.pem import parse_certificates, parse_private_key, private_key_pem, public_key_der
from agents.errors import StateError
from agents.ports import ChannelCredential
from protocol.csr import KeyKind
from protocol.names import OrganisationName, SerialNumber, TransactionId

ISSUER = OrganisationName("client-c")
ONE = TransactionId("0195f1d4-8c00-7000-8000-000000000001")
TWO = TransactionId("0195f1d4-8c00-7000-8000-000000000002")
FIRST, SECOND = SerialNumber("a1"), SerialNumber("b2")
ROOT = forge_ca("root")
ISSUING = forge_ca("issuing", ROOT)


def der(forged):
    return forged.certificate.public_bytes(serialization.Encoding.DER)


class Requester:
    """A home, and an issuer at hand."""

    def __init__(self, home):
        self.home, self.store = home, CredentialFiles(home)
        self.directory = home / "credentials" / ISSUER

    def certified(self, transaction):
        """A new key, its path, and the certificate for it."""
        key, path = self.store.new_key(ISSUER, transaction)
        return path, forge_client(ISSUING, key=key)

    def stage(self, serial, leaf, path):
        self.store.stage(ISSUER, serial, der(leaf), [der(ISSUING)], [der(ROOT)], path)

    def install(self, transaction, serial):
        path, leaf = self.certified(transaction)
        self.stage(serial, leaf, path)
        self.store.activate(ISSUER, serial)
        return leaf

    def shown(self):
        """The certificate that a TLS program started now would show."""
        return parse_certificates((self.directory / "current" / "fullchain.pem").read_bytes(), "x")[0]


@pytest.fixture
def requester(tmp_path):
    return Requester(tmp_path)


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KeyKind)
def test_a_new_key_is_on_disk_private_before_it_is_used(requester, kind):
    key, path = requester.store.new_key(ISSUER, ONE, kind)
    assert path == f"credentials/client-c/keys/{ONE}.pem"
    assert stat.S_IMODE((requester.home / path).stat().st_mode) == 0o600
    loaded = requester.store.load_key(path)
    assert public_key_der(loaded.public_key()) == public_key_der(key.public_key())


def test_a_transaction_has_one_key_for_ever(requester):
    _, path = requester.store.new_key(ISSUER, ONE)
    before = (requester.home / path).read_bytes()
    with pytest.raises(StateError, match="does not overwrite"):
        requester.store.new_key(ISSUER, ONE)
    assert (requester.home / path).read_bytes() == before


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "credentials/../../x"])
def test_a_key_path_never_leads_out_of_the_home(requester, path):
    with pytest.raises(StateError, match="leads out of the home"):
        requester.store.load_key(path)


def test_keys_wait_for_their_certificates_until_they_have_one_or_are_forgotten(requester):
    assert requester.store.waiting_keys(ISSUER) == ()
    path, leaf = requester.certified(ONE)
    requester.store.new_key(ISSUER, TWO)
    (requester.directory / "keys" / "notes.pem").write_text("somebody's own")
    assert set(requester.store.waiting_keys(ISSUER)) == {ONE, TWO}
    assert requester.store.waiting_keys(OrganisationName("client-d")) == ()
    requester.stage(FIRST, leaf, path)
    assert requester.store.waiting_keys(ISSUER) == (TWO,)
    for _ in range(2):
        requester.store.forget_key(ISSUER, TWO)
    assert [one.name for one in (requester.directory / "keys").iterdir()] == ["notes.pem"]


def test_a_key_that_does_not_fit_its_certificate_stays_where_it_is(requester):
    path, _ = requester.certified(ONE)
    with pytest.raises(StateError, match="do not belong together"):
        requester.stage(FIRST, forge_client(ISSUING), path)
    assert requester.store.waiting_keys(ISSUER) == (ONE,)


def test_a_crash_at_any_point_of_staging_loses_no_key_and_ends_with_one_copy(requester):
    path, leaf = requester.certified(ONE)
    waiting, staged = requester.home / path, requester.directory / FIRST / "key.pem"
    for _ in crash_points(lambda: requester.stage(FIRST, leaf, path)):
        assert waiting.exists() or staged.exists()
    assert not waiting.exists()
    assert requester.store.credential(ISSUER, FIRST).key_path == str(staged)


def test_a_key_that_others_can_read_is_not_used(requester):
    _, path = requester.store.new_key(ISSUER, ONE)
    (requester.home / path).chmod(0o644)
    with pytest.raises(StateError, match="chmod 600"):
        requester.store.load_key(path)


def test_a_key_that_is_missing_is_to_be_restored_and_no_home_is_to_be_created(requester):
    _, path = requester.store.new_key(ISSUER, ONE)
    (requester.home / path).unlink()
    with pytest.raises(StateError, match="is missing.*Restore the file") as refused:
        requester.store.load_key(path)
    assert "agent init" not in str(refused.value)


def test_a_key_of_a_kind_that_enroll_does_not_make_is_refused(requester):
    _, path = requester.store.new_key(ISSUER, ONE)
    (requester.home / path).write_bytes(private_key_pem(X25519PrivateKey.generate()))
    with pytest.raises(StateError, match="not a key that `agent enroll` makes"):
        requester.store.load_key(path)


# --- staging ---------------------------------------------------------------------------------------------------------


def test_a_staged_credential_has_the_files_that_tls_programs_want(requester):
    path, leaf = requester.certified(ONE)
    requester.stage(FIRST, leaf, path)
    found = {one.name: one.read_bytes() for one in (requester.directory / FIRST).iterdir()}
    assert set(found) == {"key.pem", "cert.pem", "chain.pem", "fullchain.pem", "trust.pem"}
    assert parse_certificates(found["cert.pem"], "x") == (leaf.certificate,)
    assert parse_certificates(found["chain.pem"], "x") == (ISSUING.certificate,)
    assert parse_certificates(found["fullchain.pem"], "x") == (leaf.certificate, ISSUING.certificate)
    assert parse_certificates(found["trust.pem"], "x") == (ROOT.certificate,)
    key = parse_private_key(found["key.pem"], None, "x")
    assert public_key_der(key.public_key()) == public_key_der(leaf.certificate.public_key())


def test_everything_is_private(requester):
    requester.install(ONE, FIRST)
    for path in [requester.home / "credentials", *(requester.home / "credentials").rglob("*")]:
        if not path.is_symlink():
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_staging_twice_is_the_same_as_once(requester):
    path, leaf = requester.certified(ONE)
    requester.stage(FIRST, leaf, path)
    before = (requester.directory / FIRST / "key.pem").stat()
    requester.stage(FIRST, leaf, path)
    assert (requester.directory / FIRST / "key.pem").stat() == before


def test_a_certificate_for_another_key_is_refused_and_leaves_nothing(requester):
    path, _ = requester.certified(ONE)
    with pytest.raises(StateError, match="do not belong together"):
        requester.stage(FIRST, forge_client(ISSUING), path)
    assert [one.name for one in requester.directory.iterdir()] == ["keys"]


def test_another_certificate_under_the_same_serial_number_is_refused(requester):
    requester.install(ONE, FIRST)
    path, other = requester.certified(TWO)
    with pytest.raises(StateError, match="another certificate than client-c sent"):
        requester.stage(FIRST, other, path)


def test_a_credential_whose_key_is_kept_elsewhere_has_no_key_file(requester):
    leaf = forge_client(ISSUING)
    requester.stage(FIRST, leaf, None)
    assert not (requester.directory / FIRST / "key.pem").exists()
    requester.store.activate(ISSUER, FIRST)
    credential = requester.store.credential(ISSUER)
    assert credential.chain_path.endswith("a1/fullchain.pem")


def test_a_root_that_issues_by_itself_makes_an_empty_chain(requester):
    key, path = requester.store.new_key(ISSUER, ONE)
    leaf = forge_client(ROOT, key=key)
    requester.store.stage(ISSUER, FIRST, der(leaf), [], [der(ROOT)], path)
    assert (requester.directory / FIRST / "chain.pem").read_bytes() == b""
    assert requester.store.credential(ISSUER, FIRST)


# --- in force --------------------------------------------------------------------------------------------------------


def test_without_enrollment_there_is_no_credential(requester):
    assert requester.store.credential(ISSUER) is None
    assert requester.store.credential(ISSUER, FIRST) is None


def test_a_staged_credential_is_usable_before_it_is_in_force(requester):
    path, leaf = requester.certified(ONE)
    requester.stage(FIRST, leaf, path)
    directory = requester.directory / FIRST
    expected = ChannelCredential(str(directory / "fullchain.pem"), str(directory / "key.pem"))
    assert requester.store.credential(ISSUER, FIRST) == expected
    assert requester.store.credential(ISSUER) is None


def test_the_old_credential_stays_in_force_until_the_new_one_is_activated(requester):
    old = requester.install(ONE, FIRST)
    path, new = requester.certified(TWO)
    requester.stage(SECOND, new, path)
    assert requester.shown() == old.certificate
    requester.store.activate(ISSUER, SECOND)
    assert requester.shown() == new.certificate
    assert requester.store.credential(ISSUER, FIRST) is not None


def test_the_current_credential_is_named_by_its_own_directory(requester):
    requester.install(ONE, FIRST)
    assert requester.store.credential(ISSUER).key_path == str(requester.directory / FIRST / "key.pem")


def test_activating_twice_changes_nothing(requester):
    leaf = requester.install(ONE, FIRST)
    requester.store.activate(ISSUER, FIRST)
    assert requester.shown() == leaf.certificate


def test_what_is_not_staged_cannot_be_activated(requester):
    leaf = requester.install(ONE, FIRST)
    with pytest.raises(StateError, match="holds no credential"):
        requester.store.activate(ISSUER, SECOND)
    assert requester.shown() == leaf.certificate


def test_a_key_swapped_on_disk_is_noticed(requester):
    requester.install(ONE, FIRST)
    requester.install(TWO, SECOND)
    shutil.copy(requester.directory / FIRST / "key.pem", requester.directory / SECOND / "key.pem")
    with pytest.raises(StateError, match="do not belong together"):
        requester.store.credential(ISSUER)


def test_credentials_of_two_issuers_do_not_mix(requester):
    requester.install(ONE, FIRST)
    assert requester.store.credential(OrganisationName("client-d")) is None


def test_a_crash_at_any_point_of_a_renewal_leaves_a_complete_credential_in_force(requester):
    old = requester.install(ONE, FIRST)
    path, new = requester.certified(TWO)

    def renew():
        requester.stage(SECOND, new, path)
        requester.store.activate(ISSUER, SECOND)

    deaths = 0
    for _ in crash_points(renew):
        deaths += 1
        assert requester.shown() in (old.certificate, new.certificate)
        assert requester.store.credential(ISSUER) is not None
        staged = requester.directory / SECOND
        assert not staged.exists() or len(os.listdir(staged)) == 5  # noqa: PTH208 (a count)
    assert deaths > 10
    assert requester.shown() == new.certificate
    assert sorted(one.name for one in requester.directory.iterdir() if "current" not in one.name) == [
        "a1",
        "b2",
        "keys",
    ]
