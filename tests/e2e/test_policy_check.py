"""`agent policy check` as it is installed, on requests that `openssl` makes as in the workshop."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from kit.patience import PATIENCE

from agents.config.policy import default_policy_text
from protocol.names import OrganisationName

AGENT = Path(sys.executable).with_name("agent")
HOST = "api.client-b.example"


def openssl(*arguments) -> None:
    subprocess.run(["openssl", *map(str, arguments)], capture_output=True, timeout=PATIENCE, check=True)


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("keys")
    options = {
        "rsa": ("RSA", "rsa_keygen_bits:2048"),
        "rsa-1024": ("RSA", "rsa_keygen_bits:1024"),
        "p-256": ("EC", "ec_paramgen_curve:P-256"),
        "p-521": ("EC", "ec_paramgen_curve:P-521"),
    }
    for name, (kind, option) in options.items():
        openssl("genpkey", "-algorithm", kind, "-pkeyopt", option, "-out", folder / name)
    openssl("genpkey", "-algorithm", "ED25519", "-out", folder / "ed25519")
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture
def workshop(tmp_path, keys):
    return Workshop(tmp_path, keys)


class Workshop:
    """A policy file, and what one does by hand to try it."""

    def __init__(self, folder: Path, keys: dict[str, Path]) -> None:
        self.folder, self.keys = folder, keys
        self.policy = folder / "client-b.toml"
        self.policy.write_text(default_policy_text(OrganisationName("client-b"), ["**.client-b.example"]))

    def request(
        self, *options: str, key: str = "rsa", subject: str = f"/CN={HOST}", names: str = f"DNS:{HOST}"
    ) -> Path:
        made = self.folder / "request.pem"
        extension = ["-addext", f"subjectAltName={names}"] if names else []
        openssl("req", "-new", "-key", self.keys[key], "-subj", subject, *extension, *options, "-out", made)
        return made

    def change(self, old: str, new: str) -> None:
        text = self.policy.read_text()
        assert old in text
        self.policy.write_text(text.replace(old, new))

    def check(self, file, *options: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        command = [AGENT, "policy", "check", file, "--policy", self.policy, *options]
        return subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False, input=data)

    def check_json(self, file, *options: str, data: bytes | None = None) -> tuple[int, dict]:
        done = self.check(file, "--json", *options, data=data)
        return done.returncode, json.loads(done.stdout)

    def refused_for(self, file, data: bytes | None = None) -> set[tuple[str, str]]:
        code, answer = self.check_json(file, data=data)
        assert (code, answer["verdict"]) == (1, "refused")
        assert all(item["got"] and item["allowed"] and item["fix"] for item in answer["problems"])
        return {(item["code"], item["field"]) for item in answer["problems"]}


@pytest.mark.parametrize("key", ["rsa", "p-256", "ed25519"])
def test_the_workshops_request_is_approved_and_shown_as_it_would_be_issued(workshop, key):
    code, answer = workshop.check_json(workshop.request(key=key))
    assert (code, answer["verdict"]) == (0, "approved")
    certificate = answer["certificate"]
    assert certificate["names"] == [{"name": f"dns:{HOST}", "rule": "names.dns **.client-b.example"}]
    assert certificate["subject"] == []
    assert certificate["extended_key_usages"] == ["clientAuth"]
    assert certificate["not_before"] < certificate["not_after"]
    assert [HOST in note for note in answer["notes"]] == [True]


def test_a_person_reads_every_name_with_the_rule_that_let_it_in(workshop):
    done = workshop.check(workshop.request(names=f"DNS:{HOST},DNS:x.y.client-b.example"))
    assert done.returncode == 0
    assert done.stdout.startswith(b"Approved.")
    assert done.stdout.count(b"let in by names.dns **.client-b.example") == 2
    assert done.stderr == b""


def test_a_request_is_read_from_standard_input_and_in_der(workshop):
    der = workshop.request("-outform", "DER")
    assert workshop.check("-", data=der.read_bytes()).returncode == 0
    assert workshop.check(der).returncode == 0


def test_a_refusal_names_every_reason(workshop):
    names = "DNS:evil.test,DNS:*.client-b.example,IP:192.0.2.7,email:ops@client-b.example,URI:https://client-b.example/"
    file = workshop.request("-addext", "extendedKeyUsage=serverAuth", subject="/CN=evil.test", names=names, key="p-521")
    code, answer = workshop.check_json(file)
    assert code == 1
    assert {item["got"] for item in answer["problems"]} >= {
        "dns:evil.test",
        "dns:*.client-b.example",
        "ip:192.0.2.7",
        "email:ops@client-b.example",
        "uri:https://client-b.example/",
        "'evil.test'",
        "P-521",
        "serverAuth",
    }
    text = workshop.check(file).stdout.decode()
    assert text.startswith("Refused.")
    assert text.count("to do") == len(answer["problems"])


def test_a_request_with_a_common_name_alone_is_told_where_names_belong(workshop):
    assert ("badCertTemplate", "subjectAltName") in workshop.refused_for(workshop.request(names=""))


def test_a_weak_key_is_refused(workshop):
    assert {code for code, _ in workshop.refused_for(workshop.request(key="rsa-1024"))} == {"badAlg"}


def test_a_weak_hash_is_refused(workshop):
    assert {code for code, _ in workshop.refused_for(workshop.request("-sha1"))} == {"badAlg"}


@pytest.mark.parametrize(
    "data", [b"", b"no request", b"\x30\x03\x02\x01\x00", bytes(300_000), b"-----BEGIN CERTIFICATE-----"]
)
def test_what_is_no_request_is_refused_like_any_other(workshop, data):
    assert {code for code, _ in workshop.refused_for("-", data=data)} == {"badDataFormat"}


def test_a_private_key_offered_by_mistake_is_refused_and_not_repeated(workshop):
    secret = workshop.keys["rsa"].read_bytes()
    done = workshop.check("-", data=secret)
    assert done.returncode == 1
    assert secret.splitlines()[1] not in done.stdout + done.stderr


def test_an_endless_file_is_refused_after_its_first_part(workshop):
    assert workshop.refused_for("/dev/zero") == {("badDataFormat", "CSR file")}


def test_a_longer_life_than_allowed_is_cut_and_noted(workshop):
    code, answer = workshop.check_json(workshop.request(), "--lifetime", "365d")
    assert code == 0
    assert "lifetime: 365 days asked for; the issuer's policy grants at most 90 days" in answer["notes"]


def test_an_agreement_with_manual_approval_says_that_the_request_would_be_held(workshop):
    workshop.change('approval = "automatic"', 'approval = "manual"')
    code, answer = workshop.check_json(workshop.request())
    assert (code, answer["verdict"]) == (0, "held")
    assert workshop.check(workshop.request()).stdout.startswith(b"Held: ")


def test_a_subject_is_stamped_and_taken_over_as_the_policy_says(workshop):
    workshop.change("take = []", 'take = ["countryName"]')
    workshop.change("# organizationName =", "organizationName =")
    workshop.change('common_name = "absent"', 'common_name = "dns-name"')
    _, answer = workshop.check_json(workshop.request(subject=f"/C=DE/O=Client C/CN={HOST}"))
    assert answer["certificate"]["subject"] == [
        {"name": "organizationName=client-b", "rule": "subject.stamp.organizationName"},
        {"name": "countryName=DE", "rule": "subject.take countryName"},
        {"name": f"commonName={HOST}", "rule": "subject.common_name = dns-name"},
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("dns = [", "dsn = [", "unknown key 'names.dsn'; did you mean 'names.dns'?"),
        ('maximum = "90d"', 'maximum = "90 days"', "lifetime.maximum"),
        ('"**.client-b.example"', '"*client-b.example"', "names.dns.0"),
        ("[names]", "[names", "not valid TOML"),
    ],
)
def test_a_policy_file_that_cannot_be_used_is_exit_status_2_and_says_where(workshop, old, new, said):
    workshop.change(old, new)
    done = workshop.check(workshop.request())
    assert done.returncode == 2
    assert said in done.stderr.decode()
    assert str(workshop.policy) in done.stderr.decode()
    assert done.stdout == b""


@pytest.mark.parametrize(
    "options", [("--lifetime", "soon"), ("--partner", "Client B"), ("--policy", "nowhere.toml"), ("--policy", "/")]
)
def test_options_that_cannot_be_used_are_exit_status_2(workshop, options):
    assert workshop.check(workshop.request(), *options).returncode == 2


def test_a_request_file_that_is_not_there_is_exit_status_2(workshop):
    done = workshop.check(workshop.folder / "nothing.pem")
    assert done.returncode == 2
    assert b"nothing.pem" in done.stderr
