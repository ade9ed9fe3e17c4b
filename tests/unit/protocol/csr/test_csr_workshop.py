"""Requests as `openssl req` writes them, by every recipe of the workshop that this program replaces."""

import subprocess

import pytest

from protocol.csr import KeyKind, NameKind, SubjectName, parse_csr, read_csr_file
from protocol.errors import ProblemCode, RequestError

KEYS = {
    "rsa2048": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-aes256", "-pass", "pass:workshop"],
    "rsa4096": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096", "-aes256", "-pass", "pass:workshop"],
    "p256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "p521": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
    "ed25519": ["-algorithm", "ED25519"],
    "explicit": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"],
}
SUBJECT = "/C=NL/ST=Utrecht/L=Utrecht/O=Client B/OU=Payments/CN=api.client-b.example/emailAddress=ops@client-b.example"
NAMES = ["-addext", "subjectAltName=DNS:api.client-b.example,URI:spiffe://client-b.example/api,IP:192.0.2.1"]
CONFIGURATION = """
[req]
distinguished_name = subject
attributes = attributes
prompt = no
[subject]
CN = api.client-b.example
[attributes]
challengePassword = hunter22
"""
V3 = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "keyUsage=critical,digitalSignature"]


class Workshop:
    """A directory in which `openssl` is run by hand."""

    def __init__(self, directory):
        self.directory = directory

    def openssl(self, *arguments):
        return subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=self.directory).stdout

    def key_file(self, name):
        path = self.directory / f"{name}.pem"
        if not path.exists():
            self.openssl("genpkey", *KEYS[name], "-out", path)
        return path

    def request(self, key, *arguments):
        known = ("-key", self.key_file(key), "-passin", "pass:workshop", "-subj", SUBJECT)
        return self.openssl("req", "-new", *known, *arguments)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    return Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.mark.parametrize(
    ("key", "kind_and_hash"),
    [
        ("rsa2048", (KeyKind.RSA, "SHA-256")),
        ("rsa4096", (KeyKind.RSA, "SHA-256")),
        ("p256", (KeyKind.P256, "SHA-256")),
        ("p384", (KeyKind.P384, "SHA-256")),
        ("p521", (KeyKind.P521, "SHA-256")),
        ("ed25519", (KeyKind.ED25519, "Ed25519")),
    ],
)
@pytest.mark.parametrize("names", [[], NAMES], ids=["subject only", "with names"])
@pytest.mark.parametrize("form", ["PEM", "DER"])
def test_a_request_of_the_workshop_is_read(workshop, key, kind_and_hash, names, form):
    parsed = parse_csr(read_csr_file(workshop.request(key, "-outform", form, *names)))
    assert (parsed.key.kind, parsed.signature_hash) == kind_and_hash
    assert parsed.left_out == ()
    assert [a.value for a in parsed.subject][-2:] == ["api.client-b.example", "ops@client-b.example"]
    wanted = (
        SubjectName(NameKind.DNS, "api.client-b.example"),
        SubjectName(NameKind.URI, "spiffe://client-b.example/api"),
        SubjectName(NameKind.IP, "192.0.2.1"),
    )
    assert parsed.names == (wanted if names else ())


def test_text_before_the_block_is_skipped(workshop):
    data = workshop.request("p256", "-text", *NAMES)
    assert data.startswith(b"Certificate Request:")
    assert len(parse_csr(read_csr_file(data)).names) == 3


def test_the_older_label_is_read(workshop):
    data = workshop.request("p256", "-newhdr", *NAMES)
    assert b"BEGIN NEW CERTIFICATE REQUEST" in data
    assert len(parse_csr(read_csr_file(data)).names) == 3


def test_extensions_of_a_configuration_for_end_entities_are_left_out_and_purposes_read(workshop):
    parsed = parse_csr(read_csr_file(workshop.request("p256", *NAMES, *V3, "-addext", "extendedKeyUsage=clientAuth")))
    assert parsed.extended_key_usages == ("1.3.6.1.5.5.7.3.2",)
    assert [words.split(":")[0] for words in parsed.left_out] == [
        "extension basic constraints (not a CA)",
        "extension key usage",
    ]


def test_a_challenge_password_is_tolerated_and_reported(workshop):
    config = workshop.directory / "openssl.cnf"
    config.write_text(CONFIGURATION)
    data = workshop.openssl("req", "-new", "-key", workshop.key_file("p256"), "-config", config)
    (left_out,) = parse_csr(read_csr_file(data)).left_out
    assert "challenge password" in left_out


@pytest.mark.parametrize("salt", ["digest", "32"])
def test_rsa_pss_with_a_salt_as_long_as_the_hash_is_read(workshop, salt):
    options = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", f"rsa_pss_saltlen:{salt}"]
    assert parse_csr(read_csr_file(workshop.request("rsa2048", *options))).signature_hash == "SHA-256"


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("rsa2048", ["-sha1"]),
        ("rsa2048", ["-sha224"]),
        ("rsa2048", ["-sha3-256"]),
        ("p256", ["-sha1"]),
        ("rsa2048", ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:max"]),
        ("explicit", []),
    ],
)
def test_weak_hashes_other_parameters_and_explicit_curves_are_refused(workshop, key, options):
    data = workshop.request(key, *options)
    with pytest.raises(RequestError) as caught:
        parse_csr(read_csr_file(data))
    assert caught.value.problems[0].code is ProblemCode.BAD_ALG


def test_a_request_for_a_ca_is_refused(workshop):
    data = workshop.request("p256", "-addext", "basicConstraints=CA:TRUE")
    with pytest.raises(RequestError) as caught:
        parse_csr(read_csr_file(data))
    assert caught.value.problems[0].code is ProblemCode.UNACCEPTED_EXTENSION


def test_the_result_of_signing_is_not_taken_for_a_request(workshop):
    certificate = workshop.request("p256", "-x509", "-days", "1")
    with pytest.raises(RequestError, match="a PEM block 'CERTIFICATE'"):
        read_csr_file(certificate)


def test_a_private_key_is_not_taken_for_a_request_in_either_form(workshop):
    pem = workshop.key_file("p256").read_bytes()
    with pytest.raises(RequestError, match="private key"):
        read_csr_file(pem)
    der = workshop.openssl("pkey", "-in", workshop.key_file("p256"), "-outform", "DER")
    with pytest.raises(RequestError) as caught:
        parse_csr(read_csr_file(der))
    assert der.hex() not in str(caught.value)
