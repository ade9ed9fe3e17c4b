"""CAs made with the workshop's own `openssl` commands are taken over as they are; ambiguous folders are refused."""

import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from agents.adapters import files
from agents.adapters.entropy import SystemEntropy
from agents.adapters.keystore import channel_server_credential, load_identity, open_signer, organisation_files
from agents.core.organisation import OrganisationPlan
from agents.core.pem import parse_certificates
from agents.errors import ConfigurationError, StateError
from protocol.names import DnsName, OrganisationName
from protocol.path import Purpose, load_certificate, verify_path

WORKSHOP, OURS = "workshop pass", b"correct horse"
HOST = DnsName("channel.client-c.example")
INTERMEDIATE = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n"
BARE_INTERMEDIATE = "basicConstraints=critical,CA:TRUE\n"


class Folder:
    """A folder in which somebody followed the workshop by hand."""

    def __init__(self, path):
        self.path = path
        path.mkdir(exist_ok=True)

    def openssl(self, *arguments):
        environment = os.environ | {"WORKSHOP": WORKSHOP}
        subprocess.run(["openssl", *arguments], cwd=self.path, env=environment, check=True, capture_output=True)

    def root(
        self,
        name="rootCA",
        subject="/O=Client C/CN=Client C Root",
        extra=(),
        *,
        traditional=False,
        bits="2048",
        days="3650",
    ):
        form = ["-traditional"] if traditional else []
        self.openssl("genrsa", "-aes256", *form, "-passout", "env:WORKSHOP", "-out", f"{name}.key", bits)
        request = ["req", "-x509", "-new", "-key", f"{name}.key", "-passin", "env:WORKSHOP", "-sha256"]
        self.openssl(*request, "-days", days, "-subj", subject, "-out", f"{name}.crt", *extra)
        return self

    def intermediate(self, name="intermediate", extensions=INTERMEDIATE, digest="sha256"):
        self.openssl("genrsa", "-aes256", "-passout", "env:WORKSHOP", "-out", f"{name}.key", "2048")
        request = ["req", "-new", "-key", f"{name}.key", "-passin", "env:WORKSHOP", "-subj", f"/O=Client C/CN={name}"]
        self.openssl(*request, "-out", f"{name}.csr")
        self.sign(name, extensions, digest)
        return self

    def end_entity(self, name="server"):
        """Key, request and certificate of a server, which must not confuse the import."""
        self.openssl("genrsa", "-out", f"{name}.key", "2048")
        self.openssl("req", "-new", "-key", f"{name}.key", "-subj", f"/CN={name}", "-out", f"{name}.csr")
        self.sign(name, "basicConstraints=CA:FALSE\n")
        return self

    def sign(self, name, extensions, digest="sha256"):
        (self.path / f"{name}.ext").write_text(extensions)
        authority = ["-CA", "rootCA.crt", "-CAkey", "rootCA.key", "-passin", "env:WORKSHOP", "-CAcreateserial"]
        self.openssl("x509", "-req", "-in", f"{name}.csr", *authority, "-days", "1825", f"-{digest}",
                     "-extfile", f"{name}.ext", "-out", f"{name}.crt")  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "workshop")


def take_over(folder, home, passphrase=b"workshop pass", **changes):
    plan = OrganisationPlan(
        OrganisationName("client-c"),
        "Client C",
        OURS,
        endpoint_host=HOST,
        import_directory=str(folder.path),
        import_passphrase=passphrase,
        **changes,
    )
    files.create_files(home, organisation_files(plan, datetime.now(UTC), SystemEntropy()))
    return home


def subjects(home):
    return [load_certificate(der).subject.rfc4514_string() for der in load_identity(home).chain[1:]]


def assert_partners_accept(home):
    now = datetime.now(UTC)
    chain = [load_certificate(der) for der in load_identity(home).chain]
    assert verify_path(chain[0], chain[1:-1], chain[-1:], Purpose.ENVELOPE, now)
    text = (home / "channel/fullchain.pem").read_bytes()
    server, *above = parse_certificates(text, "x")
    assert verify_path(server, above, chain[-1:], Purpose.CHANNEL_SERVER, now, HOST)
    assert channel_server_credential(home)


# --- taken over ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("traditional", [False, True])
def test_the_workshops_root_gets_an_intermediate_of_ours(folder, tmp_path, traditional):
    home = take_over(folder.root(traditional=traditional), tmp_path / "home")
    assert subjects(home) == ["CN=Issuing CA,O=Client C", "CN=Client C Root,O=Client C"]
    assert_partners_accept(home)


def test_the_workshops_root_issues_by_itself_if_that_is_wanted(folder, tmp_path):
    home = take_over(folder.root(), tmp_path / "home", intermediate=False)
    assert subjects(home) == ["CN=Client C Root,O=Client C"]
    assert open_signer(home, OURS, datetime.now(UTC)).chain() == ()
    assert_partners_accept(home)


@pytest.mark.parametrize("extensions", [INTERMEDIATE, BARE_INTERMEDIATE])
def test_the_workshops_intermediate_goes_on_issuing(folder, tmp_path, extensions):
    home = take_over(folder.root().intermediate(extensions=extensions), tmp_path / "home")
    assert subjects(home) == ["CN=intermediate,O=Client C", "CN=Client C Root,O=Client C"]
    assert_partners_accept(home)


def test_an_intermediate_is_left_aside_if_none_is_wanted(folder, tmp_path):
    home = take_over(folder.root().intermediate(), tmp_path / "home", intermediate=False)
    assert subjects(home) == ["CN=Client C Root,O=Client C"]


def test_a_root_key_that_was_put_away_is_not_needed_beside_an_intermediate(folder, tmp_path):
    folder.root().intermediate()
    (folder.path / "rootCA.key").unlink()
    home = take_over(folder, tmp_path / "home")
    assert not (home / "ca/root.key.pem").exists()
    assert_partners_accept(home)


def test_other_files_in_the_folder_do_no_harm(folder, tmp_path):
    folder.root().end_entity()
    (folder.path / "notes.txt").write_text("made on Monday")
    (folder.path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (folder.path / "old").mkdir()
    shutil.copy(folder.path / "rootCA.crt", folder.path / "copy-of-rootCA.pem")
    assert_partners_accept(take_over(folder, tmp_path / "home"))


def test_the_keys_are_encrypted_again_with_the_new_passphrase(folder, tmp_path):
    home = take_over(folder.root(), tmp_path / "home")
    for path in (home / "ca").glob("*.key.pem"):
        assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    with pytest.raises(ConfigurationError, match="does not open"):
        open_signer(home, WORKSHOP.encode(), datetime.now(UTC))
    assert open_signer(home, OURS, datetime.now(UTC))


def test_a_key_without_a_passphrase_is_taken_and_encrypted(folder, tmp_path):
    folder.root()
    folder.openssl("rsa", "-in", "rootCA.key", "-passin", "env:WORKSHOP", "-out", "plain.key")
    (folder.path / "rootCA.key").unlink()
    home = take_over(folder, tmp_path / "home")
    assert b"ENCRYPTED" in (home / "ca/root.key.pem").read_bytes()


def test_one_passphrase_may_do_for_both(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "WORKSHOP", OURS.decode())
    assert_partners_accept(take_over(folder.root(), tmp_path / "home", passphrase=None))


def test_an_elliptic_curve_ca_is_taken(folder, tmp_path):
    folder.openssl("ecparam", "-name", "secp384r1", "-genkey", "-out", "rootCA.key")  # with its EC PARAMETERS block
    folder.openssl(
        "req", "-x509", "-new", "-key", "rootCA.key", "-sha384", "-days", "900", "-subj", "/CN=ec", "-out", "r.crt"
    )
    assert_partners_accept(take_over(folder, tmp_path / "home"))


def test_nothing_outlives_the_imported_root(folder, tmp_path):
    folder.openssl("genrsa", "-out", "rootCA.key", "2048")
    folder.openssl(
        "req", "-x509", "-new", "-key", "rootCA.key", "-days", "30", "-subj", "/CN=short", "-out", "rootCA.crt"
    )
    chain = [load_certificate(der) for der in load_identity(take_over(folder, tmp_path / "home")).chain]
    assert len({one.not_valid_after_utc for one in chain}) == 1


def test_nothing_that_we_sign_outlives_the_root_of_an_imported_intermediate(folder, tmp_path):
    folder.root(days="30").intermediate()
    home = take_over(folder, tmp_path / "home")
    identity, issuing, root = (load_certificate(der) for der in load_identity(home).chain)
    (server, *_) = parse_certificates((home / "channel/fullchain.pem").read_bytes(), "x")
    assert issuing.not_valid_after_utc > root.not_valid_after_utc
    assert identity.not_valid_after_utc == server.not_valid_after_utc == root.not_valid_after_utc
    with pytest.raises(StateError, match="Client C Root"):
        open_signer(home, OURS, root.not_valid_after_utc + timedelta(days=1))


# --- refused ---------------------------------------------------------------------------------------------------------


def refusal(folder, tmp_path, **changes):
    with pytest.raises(ConfigurationError) as caught:
        take_over(folder, tmp_path / "home", **changes)
    assert not (tmp_path / "home" / "ca").exists()
    return str(caught.value)


def test_two_roots_are_refused_by_name(folder, tmp_path):
    text = refusal(folder.root().root("partnerCA", "/CN=Client B Root"), tmp_path)
    assert "2 self-signed CA certificates" in text
    assert "rootCA.crt" in text
    assert "CN=Client B Root" in text


def test_two_intermediates_with_keys_are_refused(folder, tmp_path):
    text = refusal(folder.root().intermediate("one").intermediate("two"), tmp_path)
    assert "more than one intermediate" in text
    assert "two.crt" in text


def test_an_empty_folder_is_refused(folder, tmp_path):
    assert "nothing in PEM" in refusal(folder, tmp_path)


def test_a_folder_that_is_missing_is_explained(folder, tmp_path):
    folder.path.rmdir()
    with pytest.raises(StateError, match="cannot list"):
        take_over(folder, tmp_path / "home")


def test_a_wrong_passphrase_is_told_with_the_file(folder, tmp_path):
    text = refusal(folder.root(), tmp_path, passphrase=b"guess")
    assert "no key for the CA" in text
    assert "the passphrase does not open rootCA.key" in text
    assert "guess" not in text


def test_a_root_without_its_key_is_refused(folder, tmp_path):
    (folder.root().path / "rootCA.key").unlink()
    assert "no key for the CA" in refusal(folder, tmp_path)


def test_the_key_of_another_ca_is_not_taken_for_the_roots(folder, tmp_path):
    folder.root().root("other", "/CN=other")
    (folder.path / "other.crt").unlink()
    (folder.path / "rootCA.key").unlink()
    assert "no key for the CA" in refusal(folder, tmp_path)


def test_a_self_signed_server_certificate_is_no_root(folder, tmp_path):
    extra = ("-addext", "basicConstraints=critical,CA:FALSE")
    assert "not a CA" in refusal(folder.root(extra=extra), tmp_path)


def test_an_intermediate_without_extensions_is_no_ca_and_a_new_one_is_made(folder, tmp_path):
    home = take_over(folder.root().intermediate(extensions="subjectKeyIdentifier=hash\n"), tmp_path / "home")
    assert subjects(home)[0] == "CN=Issuing CA,O=Client C"


def test_a_small_key_is_refused_by_its_size(folder, tmp_path):
    assert "RSA key of 1024 bits" in refusal(folder.root(bits="1024"), tmp_path)


def test_an_expired_root_is_refused(folder, tmp_path):
    folder.root()
    plan = OrganisationPlan(
        OrganisationName("c"), "C", OURS, import_directory=str(folder.path), import_passphrase=WORKSHOP.encode()
    )
    with pytest.raises(ConfigurationError, match="is not valid now"):
        organisation_files(plan, datetime.now(UTC) + timedelta(days=4000), SystemEntropy())


def test_a_root_that_permits_no_intermediate_is_refused_with_the_reason(folder, tmp_path):
    extra = ("-addext", "basicConstraints=critical,CA:TRUE,pathlen:0")
    assert "partners would refuse" in refusal(folder.root(extra=extra), tmp_path)


def test_a_root_whose_name_constraints_forbid_our_host_is_refused(folder, tmp_path):
    text = refusal(folder.root(extra=("-addext", "nameConstraints=critical,permitted;DNS:other.example")), tmp_path)
    assert "constraint" in text


@pytest.mark.parametrize(
    ("usages", "purpose"),
    [
        ("1.3.6.1.5.5.7.3.37", "opening the channel"),
        ("1.3.6.1.5.5.7.3.37,serverAuth", "opening the channel"),
        ("1.3.6.1.5.5.7.3.37,clientAuth", "serving the channel"),
        ("clientAuth,serverAuth", "sealing envelopes"),
    ],
)
def test_a_root_that_is_limited_to_other_purposes_is_refused_with_the_purpose_that_it_lacks(
    folder, tmp_path, usages, purpose
):
    text = refusal(folder.root(extra=("-addext", f"extendedKeyUsage={usages}")), tmp_path)
    assert f"partners would refuse what this CA issues for {purpose} (extended key usage of a CA: got" in text
    assert "Use a CA without that restriction" in text


def test_a_root_that_is_limited_to_all_three_purposes_is_taken(folder, tmp_path):
    usages = "extendedKeyUsage=1.3.6.1.5.5.7.3.37,clientAuth,serverAuth"
    assert_partners_accept(take_over(folder.root(extra=("-addext", usages)), tmp_path / "home"))


def test_an_intermediate_signed_over_sha_1_is_refused(folder, tmp_path):
    text = refusal(folder.root().intermediate(digest="sha1"), tmp_path)
    assert "partners would refuse" in text
    assert "sha1" in text


def test_an_intermediate_of_an_earlier_root_with_the_same_name_is_refused(folder, tmp_path):
    folder.root().intermediate()
    assert "partners would refuse" in refusal(folder.root(), tmp_path)


def test_too_many_files_are_not_searched(folder, tmp_path):
    for number in range(201):
        (folder.path / f"{number}.txt").write_bytes(b"")
    assert "201 files" in refusal(folder, tmp_path)
