"""What an operator asks an issuer for, and whether it can be asked for at all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from agents.bootstrap.given import foreign, judged, private
from agents.core.pem import parse_private_key, public_key_der
from agents.errors import ConfigurationError, StateError
from protocol.csr import CertificationRequest, KeyKind, SubjectName, build_csr, parse_csr, read_csr_file
from protocol.errors import NameSyntaxError, RequestError
from protocol.messages import LIFETIME_SECONDS_MAX


@dataclass(frozen=True, slots=True)
class Ask:
    """What the operator asks for. With `csr_file` the request is that file's and names and key kind are not asked."""

    issuer: str | None
    names: tuple[SubjectName, ...] = ()
    common_name: str | None = None
    key_kind: KeyKind = KeyKind.P256
    csr_file: Path | None = None
    key_file: Path | None = None
    lifetime: timedelta | None = None


def read_request(ask: Ask) -> CertificationRequest:
    """The request in the operator's file; where a new one is to be made, one like it, with a key that is kept nowhere.

    Raises `ConfigurationError` where what is asked for does not go together, `NameSyntaxError` for names that no
    request can hold, `UnusableFileError` for a file that is none.
    """
    _require_sense(ask)
    if ask.csr_file is None:
        return _model(ask)
    with judged(f"--csr {ask.csr_file}"):
        return parse_csr(read_csr_file(foreign("--csr", ask.csr_file)))


def _model(ask: Ask) -> CertificationRequest:
    try:
        return build_csr(ec.generate_private_key(ec.SECP256R1()), ask.names, ask.common_name)
    except RequestError as error:
        raise NameSyntaxError(*error.problems) from error


def own_key_path(ask: Ask, request: CertificationRequest) -> str | None:
    """The absolute path of the operator's own key, proven to be the request's and usable without a passphrase.

    None where the key is not shown to us. Raises `ConfigurationError`.
    """
    if ask.key_file is None:
        return None
    if public_key_der(_own_key(ask.key_file).public_key()) != request.key.spki:
        raise ConfigurationError(
            f"--key {ask.key_file} is not the key of the certification request {ask.csr_file}. Give the key that the "
            "CSR was made with, or make a CSR with this key: openssl req -new -key FILE."
        )
    return str(ask.key_file.absolute())


def _own_key(file: Path) -> PrivateKeyTypes:
    data = private("--key", file)
    try:
        return parse_private_key(data, None, f"--key {file}")
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{error} The agent opens the channel with it while nobody is there to ask: give it in a file without "
            f"passphrase that only you may read (umask 077; openssl pkey -in {file} -out FILE), or leave --key out and "
            "check the channel with a program of your own."
        ) from error
    except StateError as error:
        raise ConfigurationError(
            f"--key {file} holds no private key in PEM that can be used here. Give the file that "
            "`openssl genpkey` or `openssl req -newkey ... -keyout FILE` wrote."
        ) from error


def _require_sense(ask: Ask) -> None:
    """Refuse what would otherwise be passed over in silence."""
    if ask.csr_file and (ask.names or ask.common_name):
        raise ConfigurationError("--csr brings its own names: leave --dns, --uri, --email, --ip and --common-name out.")
    if ask.key_file and not ask.csr_file:
        raise ConfigurationError("--key goes with --csr: without a request of your own, a new key is made.")
    if not ask.names and not ask.csr_file:
        raise ConfigurationError("no name is asked for: give at least one, for example --dns api.client-b.example.")
    if ask.lifetime is not None and not 1 <= ask.lifetime.total_seconds() <= LIFETIME_SECONDS_MAX:
        most = LIFETIME_SECONDS_MAX // 86_400
        raise ConfigurationError(f"--lifetime: got {ask.lifetime}, wanted at least 1s and at most {most}d.")
