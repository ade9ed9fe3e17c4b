"""`curl` and `openssl` use the installed credential as it lies there, and are refused without it."""

import subprocess

import pytest
from kit.patience import PATIENCE
from kit.workshop import Workbench


def call(*command):
    return subprocess.run(
        list(map(str, command)), input="", capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def curl(running, *credential):
    trust = running.requester.credential(running.issuer) / "trust.pem"
    return call(
        "curl", "--silent", "--show-error", "--max-time", "180", "--cacert", trust, *credential,
        f"https://localhost:{running.port}/",
    )  # fmt: skip


def s_client(running, *credential):
    """A handshake and one request; TLS 1.3 tells a client only then that its certificate was refused."""
    trust = running.requester.credential(running.issuer) / "trust.pem"
    host = f"localhost:{running.port}"
    command = ["openssl", "s_client", "-connect", host, "-servername", "localhost", "-verify_hostname", "localhost"]
    options = ["-CAfile", str(trust), "-verify_return_error", "-quiet", "-alpn", "http/1.1", *map(str, credential)]
    asked = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    return subprocess.run(
        [*command, *options], input=asked, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def of_curl(directory):
    return ["--cert", directory / "fullchain.pem", "--key", directory / "key.pem"]


def of_openssl(directory):
    return ["-cert", directory / "cert.pem", "-cert_chain", directory / "chain.pem", "-key", directory / "key.pem"]


@pytest.fixture
def current(running):
    return running.requester.credential(running.issuer)


def test_curl_reaches_the_channel_with_the_installed_credential(running, current):
    answer = curl(running, *of_curl(current))
    assert answer.returncode == 0, answer.stderr
    assert running.requester.name in answer.stdout


def test_openssl_reaches_the_channel_with_the_installed_credential(running, current):
    answer = s_client(running, *of_openssl(current))
    assert "HTTP/1.1 200" in answer.stdout, answer.stderr


def test_without_a_certificate_both_are_refused(running):
    assert curl(running).returncode != 0
    assert "certificate required" in curl(running).stderr
    assert "HTTP/1.1 200" not in s_client(running).stdout


def test_with_the_requesters_own_ca_both_are_refused(running):
    """Its identity was certified by its own CA, which the issuer knows, but not for the channel."""
    identity = running.requester.home / "identity"
    with_it = ["--cert", identity / "chain.pem", "--key", identity / "key.pem"]
    assert curl(running, *with_it).returncode != 0
    with_it = ["-cert", identity / "chain.pem", "-key", identity / "key.pem"]
    assert "HTTP/1.1 200" not in s_client(running, *with_it).stdout


def test_with_a_certificate_of_an_unknown_ca_both_are_refused(running):
    bench = Workbench(running.directory / "unknown-ca")
    make = ["req", "-x509", "-newkey", "rsa:3072", "-nodes", "-keyout", "key.pem", "-days", "9", "-subj", "/CN=x"]
    bench.openssl(*make, "-addext", f"subjectAltName=DNS:{running.name()}", "-out", "fullchain.pem")
    for name in ("cert.pem", "chain.pem"):
        (bench.path / name).write_bytes((bench.path / "fullchain.pem").read_bytes())
    assert curl(running, *of_curl(bench.path)).returncode != 0
    assert "HTTP/1.1 200" not in s_client(running, *of_openssl(bench.path)).stdout


def test_with_the_issuers_own_server_certificate_both_are_refused(running):
    channel = running.issuer.home / "channel"
    assert curl(running, *of_curl(channel)).returncode != 0
    with_it = ["-cert", channel / "fullchain.pem", "-key", channel / "key.pem"]
    assert "HTTP/1.1 200" not in s_client(running, *with_it).stdout


def test_an_older_tls_is_refused(running, current):
    assert curl(running, *of_curl(current), "--tls-max", "1.2").returncode != 0


@pytest.mark.parametrize(("purpose", "passes"), [("sslclient", True), ("sslserver", False)])
def test_the_issued_chain_verifies_strictly_for_its_purpose_only(current, purpose, passes):
    strict = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", current / "trust.pem"]
    verified = call(*strict, "-untrusted", current / "chain.pem", current / "cert.pem")
    assert (verified.returncode == 0) == passes, verified.stderr


@pytest.mark.parametrize(("purpose", "passes"), [("sslserver", True), ("sslclient", False)])
def test_the_channels_server_chain_verifies_strictly_for_its_purpose_only(running, current, purpose, passes):
    chain = running.issuer.home / "channel" / "fullchain.pem"
    strict = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", current / "trust.pem"]
    verified = call(*strict, "-untrusted", chain, chain)
    assert (verified.returncode == 0) == passes, verified.stderr
