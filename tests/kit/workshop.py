"""The workshop's own commands: roots, intermediates, keys and requests as people make them by hand with `openssl`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

INTERMEDIATE = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n"


class Workbench:
    """A folder in which somebody follows the workshop. Keys of CAs are locked with `passphrase`."""

    def __init__(self, path: Path, passphrase: str = "workshop pass") -> None:  # noqa: S107 - as the workshop says
        self.path, self.passphrase_file = path, path.with_name(f"{path.name}.passphrase")
        path.mkdir()
        with os.fdopen(os.open(self.passphrase_file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(f"{passphrase}\n")

    def openssl(self, *arguments: object) -> None:
        """Run one command in the folder; its last words are in the error if it fails."""
        done = subprocess.run(
            ["openssl", *map(str, arguments)], cwd=self.path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    @property
    def locked(self) -> str:
        """How openssl gets the passphrase."""
        return f"file:{self.passphrase_file}"

    def root(self, subject: str, bits: int = 4096) -> Workbench:
        """`rootCA.key`, encrypted, and `rootCA.crt`. Fewer bits than the workshop's take less time to find."""
        self.openssl("genrsa", "-aes256", "-passout", self.locked, "-out", "rootCA.key", bits)
        sign = ["req", "-x509", "-new", "-key", "rootCA.key", "-passin", self.locked, "-sha256", "-days", "3650"]
        self.openssl(*sign, "-subj", subject, "-out", "rootCA.crt")
        return self

    def intermediate(self, subject: str, bits: int = 4096) -> Workbench:
        """`intermediate.key` and `intermediate.crt`, under the root."""
        self.openssl("genrsa", "-aes256", "-passout", self.locked, "-out", "intermediate.key", bits)
        ask = ["req", "-new", "-key", "intermediate.key", "-passin", self.locked, "-subj", subject]
        self.openssl(*ask, "-out", "intermediate.csr")
        (self.path / "intermediate.ext").write_text(INTERMEDIATE)
        authority = ["-CA", "rootCA.crt", "-CAkey", "rootCA.key", "-passin", self.locked, "-CAcreateserial"]
        extensions = ["-extfile", "intermediate.ext"]
        self.openssl(
            "x509", "-req", "-in", "intermediate.csr", *authority, "-days", "1825", "-sha256", *extensions,
            "-out", "intermediate.crt",
        )  # fmt: skip
        return self

    def request(self, dns: str, name: str = "client") -> Path:
        """`client.key`, private and without a passphrase, and `client.csr`, which is returned."""
        key = ["-newkey", "rsa:3072", "-nodes", "-keyout", f"{name}.key"]
        self.openssl("req", "-new", *key, "-subj", "/", "-addext", f"subjectAltName=DNS:{dns}", "-out", f"{name}.csr")
        (self.path / f"{name}.key").chmod(0o600)
        return self.path / f"{name}.csr"
