"""The issuer's authority is good for as long as its whole path, and knows which keys are for signing alone."""

from datetime import timedelta

import pytest
from kit.certificates import NOW, forge_ca, new_key
from kit.policies import approve, dns, make_context

from agents.adapters.entropy import SystemEntropy
from agents.adapters.keystore.opened import CaSigner
from agents.service.authority import Authority
from protocol.csr import build_csr
from protocol.messages import Endpoint
from protocol.names import DnsName
from protocol.path import load_certificate

SOON, LATER = NOW + timedelta(days=3), NOW + timedelta(days=300)
ENDPOINT = Endpoint(host=DnsName("channel.client-c.example"), port=8443)


@pytest.fixture
def authority():
    """Of an imported intermediate that outlives its root."""
    root = forge_ca("root", end=SOON)
    issuing = forge_ca("issuing", root, path_length=0, end=LATER)
    return Authority(CaSigner(issuing.key, issuing.certificate, root.certificate), (), ENDPOINT, SystemEntropy())


def test_it_ends_with_the_first_ca_of_its_path(authority):
    assert authority.not_after == SOON


def test_no_certificate_outlives_the_path_that_it_needs(authority):
    request = build_csr(new_key(), dns("api.client-b.example"), None)
    leaf = load_certificate(authority.sign(approve(request, context=make_context(now=NOW))).certificate)
    assert leaf.not_valid_after_utc == SOON
