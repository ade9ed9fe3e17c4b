"""CAs that may not certify every name: what they do certify, and how the rest is refused."""

import ipaddress

import pytest
from cryptography import x509
from kit.certificates import NOW, distinguished_name, forge_ca, new_key
from kit.policies import approve, dns, make_context

from agents.adapters.keystore import opened
from agents.adapters.keystore.opened import CaSigner
from protocol.csr import build_csr
from protocol.errors import PathError, ProblemCode
from protocol.names import SerialNumber
from protocol.path import Purpose, load_certificate, verify_path

SERIAL = SerialNumber("7f" + "ab" * 19)
HERE, ELSEWHERE = x509.DNSName("client-b.example"), x509.DNSName("client-d.example")
NAME = "api.client-b.example"


def constraint(permitted=None, excluded=None):
    return [(x509.NameConstraints(permitted, excluded), True)]


def approved():
    return approve(build_csr(new_key(), dns(NAME), None), context=make_context(now=NOW))


def signer(*, of_root=(), of_issuing=()):
    root = forge_ca("root", extra=of_root)
    issuing = forge_ca("issuing", root, path_length=0, extra=of_issuing)
    return CaSigner(issuing.key, issuing.certificate, root.certificate)


def refusal(issuer):
    with pytest.raises(PathError) as caught:
        issuer.issue(approved(), SERIAL)
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize("limits", [constraint([HERE]), constraint([HERE, ELSEWHERE]), constraint(None, [ELSEWHERE])])
def test_a_name_within_the_constraints_is_certified(limits):
    issuer = signer(of_issuing=limits)
    leaf = load_certificate(issuer.issue(approved(), SERIAL))
    above, anchors = map(load_certificate, issuer.chain()), map(load_certificate, issuer.trust_bundle())
    assert verify_path(leaf, list(above), list(anchors), Purpose.CHANNEL_CLIENT, NOW)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (constraint([ELSEWHERE]), "only DNSName client-d.example"),
        (constraint(None, [HERE]), "not DNSName client-b.example"),
        (
            constraint([ELSEWHERE, x509.IPAddress(ipaddress.ip_network("192.0.2.0/24"))], [HERE]),
            "only DNSName client-d.example, IPAddress 192.0.2.0/24; not DNSName client-b.example",
        ),
        (constraint([x509.DirectoryName(distinguished_name("B"))]), "only DirectoryName CN=B"),
    ],
)
@pytest.mark.parametrize("where", ["of_root", "of_issuing"])
def test_a_name_that_a_constraint_forbids_is_refused_with_the_name_and_the_constraint(where, limits, words):
    found = refusal(signer(**{where: limits}))
    assert found.code is ProblemCode.NOT_AUTHORIZED
    assert found.field == "subjectAltName"
    assert f"dns:{NAME} (" in found.got
    assert found.allowed == f"what the issuer's CA may certify: {words}"
    assert "ask the issuer's operator" in found.fix


def test_the_same_constraint_of_two_cas_is_said_once():
    limits = constraint([ELSEWHERE])
    assert refusal(signer(of_root=limits, of_issuing=limits)).allowed.count("client-d.example") == 1


def test_a_root_that_issues_by_itself_keeps_its_constraints():
    root = forge_ca("root", path_length=0, extra=constraint([ELSEWHERE]))
    assert "client-d.example" in refusal(CaSigner(root.key, root.certificate, root.certificate)).allowed


def test_a_ca_without_constraints_is_not_asked_again_for_each_certificate(monkeypatch):
    monkeypatch.delattr(opened, "require_permitted")
    assert signer().issue(approved(), SERIAL)
