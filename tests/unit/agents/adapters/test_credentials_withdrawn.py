"""A credential that turns out to be none is taken out of force; what comes into its place was in force before."""

import pytest
from kit.envelopes import C

from agents.adapters.credentials import CredentialFiles
from agents.errors import StateError
from protocol.names import SerialNumber

OLDEST, OLD, NEW = SerialNumber("a1"), SerialNumber("b2"), SerialNumber("c3")


@pytest.fixture
def directory(tmp_path):
    """Three credentials, the newest in force. Of their files only the names matter here."""
    directory = tmp_path / "credentials" / C
    for serial in (OLDEST, OLD, NEW):
        (directory / serial).mkdir(parents=True)
        (directory / serial / "cert.pem").touch()
    (directory / "current").symlink_to(NEW)
    return directory


@pytest.fixture
def store(tmp_path):
    return CredentialFiles(tmp_path)


@pytest.mark.parametrize(
    ("instead", "then"),
    [
        ((OLD, OLDEST), OLD),
        ((SerialNumber("d4"), OLDEST), OLDEST),
        ((NEW, OLD), OLD),
    ],
)
def test_the_first_of_those_named_that_is_here_takes_its_place(store, directory, instead, then):
    store.withdraw(C, NEW, instead)
    store.withdraw(C, NEW, instead)
    assert str((directory / "current").readlink()) == then


@pytest.mark.parametrize("instead", [(), (SerialNumber("d4"),), (NEW,)])
def test_without_another_none_is_in_force(store, directory, instead):
    store.withdraw(C, NEW, instead)
    store.withdraw(C, NEW, instead)
    assert not (directory / "current").is_symlink()
    assert store.credential(C) is None


def test_a_credential_that_is_not_in_force_changes_nothing(store, directory):
    store.withdraw(C, OLD, [OLDEST])
    assert str((directory / "current").readlink()) == NEW


def test_without_any_credential_nothing_happens(tmp_path):
    CredentialFiles(tmp_path).withdraw(C, NEW, [OLD])
    assert not (tmp_path / "credentials").exists()


def test_a_disk_that_does_not_take_the_change_is_told(store, directory, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.symlink_to", full)
    with pytest.raises(StateError, match="free some space"):
        store.withdraw(C, NEW, [OLD])
    assert str((directory / "current").readlink()) == NEW
