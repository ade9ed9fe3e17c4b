"""What is wrong with a file that an operator named is a mistake in what was said."""

import pytest
from kit.pki import Authority

from agents.bootstrap.asking import Ask, own_key_path, read_request
from agents.bootstrap.enrollment import read_invitation
from agents.bootstrap.given import private, readable, shared_secret
from agents.bootstrap.setup import Setup, set_up
from agents.core.pem import private_key_pem
from agents.errors import ConfigurationError, UnusableFileError
from protocol.csr import NameKind, SubjectName, build_csr


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "file"
    made.touch(0o600)
    made.write_bytes(b"content")
    return made


@pytest.mark.parametrize("look", [readable, shared_secret, private])
def test_a_file_that_is_not_there_is_named_with_its_option(look, tmp_path):
    with pytest.raises(ConfigurationError, match=rf"--it {tmp_path / 'absent'}: there is no such file"):
        look("--it", tmp_path / "absent")
    with pytest.raises(ConfigurationError, match=rf"--it {tmp_path}: there is no such file"):
        look("--it", tmp_path)


def test_a_file_that_this_user_may_not_read_is_refused(file, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ConfigurationError, match="--it .*this user may not read it"):
        readable("--it", file)


@pytest.mark.parametrize("mode", [0o601, 0o602, 0o604, 0o644])
def test_a_shared_secret_is_not_for_everybody(file, mode):
    file.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"--it .*mode {mode:04o}.*chmod 600"):
        shared_secret("--it", file)
    assert readable("--it", file) == file


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o660])
def test_a_shared_secret_may_be_for_a_group(file, mode):
    file.chmod(mode)
    assert shared_secret("--it", file) == file


def test_a_private_file_is_for_its_owner_only(file):
    assert private("--it", file) == b"content"
    file.chmod(0o640)
    with pytest.raises(ConfigurationError, match=r"--it: .*mode 0640.*chmod 600"):
        private("--it", file)


@pytest.mark.parametrize("option", ["passphrase_file", "import_passphrase_file"])
def test_a_passphrase_that_others_can_read_is_refused_before_anything_is_made(file, tmp_path, option):
    file.chmod(0o644)
    asked = Setup(home=tmp_path / "home", name="client-x", title="X", import_ca=tmp_path, **{option: file})
    with pytest.raises(ConfigurationError, match=f"--{option.replace('_', '-')}: .*mode 0644"):
        set_up(asked)
    assert not (tmp_path / "home").exists()


def test_a_key_that_others_can_read_is_refused(file):
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match=r"--key: .*mode 0644"):
        own_key_path(Ask(issuer=None, csr_file=file, key_file=file), None)
    with pytest.raises(ConfigurationError, match="--key goes with --csr"):
        read_request(Ask(issuer=None, key_file=file))


KEY, OTHER = (Authority(name).client("b").key for name in ("one", "other"))
REQUEST = build_csr(KEY, (SubjectName(NameKind.DNS, "a.example"),), None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (private_key_pem(KEY, b"correct horse"), r"is encrypted.*openssl pkey -in .*or leave --key out"),
        (private_key_pem(OTHER), r"is not the key of the certification request"),
        (b"something else", r"holds no private key in PEM"),
        (Authority("one").root.pem, r"holds no private key in PEM"),
    ],
)
def test_a_key_that_cannot_verify_the_channel_is_a_mistake_with_a_way_out(file, content, said):
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=rf"--key {file} {said}"):
        own_key_path(Ask(issuer=None, csr_file=file, key_file=file), REQUEST)


def csr_in(file):
    return read_request(Ask(None, csr_file=file))


def invitation_in(file):
    return read_invitation(file, None)


@pytest.mark.parametrize("read", [csr_in, invitation_in])
def test_what_a_file_lacks_is_told_with_the_files_name_and_is_no_partners_fault(file, read):
    with pytest.raises(UnusableFileError, match=rf"--(csr|invitation) {file} cannot be used as it is") as caught:
        read(file)
    assert caught.value.problems


def test_a_request_that_is_far_too_large_is_a_mistake_too(file):
    file.write_bytes(b"x" * (1 << 20) + b"x")
    with pytest.raises(ConfigurationError, match=r"--csr: .*larger than"):
        read_request(Ask(None, csr_file=file))
