"""Whether the certificate in an answer is what was asked for, and what it records."""

from datetime import timedelta

import pytest
from cryptography import x509
from kit.certificates import CLIENT, NOW, SERVER, distinguished_name, forge_ca, forge_leaf, new_key
from kit.envelopes import TRANSACTION, B, C, der

from agents.core.answers import BACKDATE_MAX, accept, unit_for_issued, verified_chain
from agents.core.effects import (
    Audit,
    FillAnchor,
    MoveTransaction,
    RecordCertificate,
    RecordPartner,
    StoreMessage,
    TransactionKey,
    Unit,
)
from protocol.csr import NameKind, SubjectName, build_csr
from protocol.errors import ProblemCode, ProtocolError, RequestError
from protocol.messages import Endpoint, Issued
from protocol.names import Fingerprint
from protocol.transaction import Role, State

LATER = NOW + timedelta(hours=1)
KEY = TransactionKey(Role.REQUESTER, C, TRANSACTION)
ENDPOINT = Endpoint(host="c.example", port=8443)
ROOT = forge_ca("client-c root")
ISSUING = forge_ca("client-c issuing", ROOT, path_length=0)
OUR_KEY = new_key()
CSR = build_csr(OUR_KEY, (SubjectName(NameKind.DNS, "api.b.example"), SubjectName(NameKind.DNS, "www.b.example")), None)
PINNED = frozenset({Fingerprint.of(der(ROOT.certificate))})
API, WWW = x509.DNSName("api.b.example"), x509.DNSName("www.b.example")
REPLY = StoreMessage(KEY, "enrollment.reply", b"sealed reply", LATER, outgoing=False, issuer=C)


def leaf(*names, purposes=(CLIENT,), issuer=ISSUING, key=OUR_KEY, **changes):
    return der(forge_leaf(issuer, list(purposes), names or (API, WWW), key=key, common_name="b", **changes).certificate)


def issued(certificate=None, **changes):
    parts = {
        "certificate": certificate or leaf(),
        "chain": (der(ISSUING.certificate),),
        "trust_bundle": (der(ROOT.certificate),),
        "endpoint": ENDPOINT,
        "renew_after": LATER,
    }
    return Issued(**(parts | changes))


def refusal(answer, *, lifetime=timedelta(days=60), pinned=PINNED, now=NOW):
    with pytest.raises(ProtocolError) as caught:
        accept(answer, CSR, lifetime, pinned, now)
    return caught.value.problems[0]


def test_an_answer_that_fits_is_accepted():
    answer = issued()
    accepted = accept(answer, CSR, timedelta(days=60), PINNED, NOW)
    certificate = x509.load_der_x509_certificate(answer.certificate)
    assert (accepted.certificate, accepted.endpoint) == (answer.certificate, ENDPOINT)
    assert accepted.anchor == der(ROOT.certificate)
    assert accepted.public_key == CSR.key.fingerprint
    assert accepted.serial.to_int() == certificate.serial_number
    assert (accepted.not_before, accepted.not_after) == (
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


def test_fewer_names_and_a_shorter_life_are_accepted():
    accept(issued(leaf(API, end=NOW + timedelta(hours=2))), CSR, timedelta(days=60), PINNED, NOW)


@pytest.mark.parametrize(
    ("asked", "certified"),
    [
        (SubjectName(NameKind.URI, "spiffe://b.example/admin"), "spiffe://b.example/ADMIN"),
        (SubjectName(NameKind.EMAIL, "root@b.example"), "ROOT@b.example"),
    ],
)
def test_another_spelling_of_a_uri_or_a_mailbox_is_another_name(asked, certified):
    csr = build_csr(OUR_KEY, (asked,), None)
    form = x509.UniformResourceIdentifier if asked.kind is NameKind.URI else x509.RFC822Name
    accept(issued(leaf(form(asked.value))), csr, None, PINNED, NOW)
    with pytest.raises(RequestError, match="names that we asked for"):
        accept(issued(leaf(form(certified))), csr, None, PINNED, NOW)


def test_dns_names_are_compared_without_their_case():
    accept(issued(leaf(x509.DNSName("API.b.example"))), CSR, None, PINNED, NOW)
    capitals = build_csr(OUR_KEY, (SubjectName(NameKind.DNS, "API.B.example"),), None)
    accept(issued(leaf(API)), capitals, None, PINNED, NOW)


def test_a_certificate_for_another_key_is_refused():
    assert refusal(issued(leaf(key=new_key()))).got == "a certificate for another key"


@pytest.mark.parametrize(
    "extra",
    [
        x509.DNSName("evil.b.example"),
        x509.DNSName("*.b.example"),
        x509.RFC822Name("api@b.example"),
        x509.UniformResourceIdentifier("https://api.b.example"),
        x509.DirectoryName(distinguished_name("api.b.example")),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
    ],
    ids=str,
)
def test_more_names_than_were_asked_for_are_refused(extra):
    found = refusal(issued(leaf(API, extra)))
    assert (found.code, found.allowed) == (ProblemCode.BAD_CERT_TEMPLATE, "names that we asked for")


def test_a_longer_life_than_was_asked_for_is_refused():
    month = timedelta(days=30)
    start = NOW - BACKDATE_MAX
    accept(issued(leaf(start=start, end=NOW + month)), CSR, month, PINNED, NOW)
    found = refusal(issued(leaf(start=start, end=NOW + month + timedelta(seconds=1))), lifetime=month)
    assert (found.got, found.allowed) == ("a lifetime of 30 days, 0:10:01", "at most 30 days, 0:00:00")


def test_where_no_life_was_asked_for_the_issuer_chooses():
    accept(issued(leaf(end=NOW + timedelta(days=3000))), CSR, None, PINNED, NOW)


def test_a_root_that_was_not_pinned_is_refused():
    other = forge_ca("client-c root")
    found = refusal(issued(trust_bundle=(der(other.certificate),)))
    assert (found.field, found.got) == ("trust_bundle", Fingerprint.of(der(other.certificate)))
    assert next(iter(PINNED)) in found.allowed


def test_roots_beside_the_pinned_one_are_no_anchors():
    other = forge_ca("other root")
    answer = issued(leaf(issuer=other), chain=(), trust_bundle=(der(other.certificate), der(ROOT.certificate)))
    assert refusal(answer).code is ProblemCode.SIGNER_NOT_TRUSTED


def test_the_pinned_root_is_the_anchor_wherever_it_stands_in_the_bundle():
    bundle = (der(forge_ca("other root").certificate), der(ROOT.certificate))
    assert accept(issued(trust_bundle=bundle), CSR, None, PINNED, NOW).anchor == der(ROOT.certificate)


def test_what_is_installed_is_the_verified_path_in_order_without_the_root_and_nothing_beside_it():
    upper = forge_ca("client-c upper", ROOT, path_length=1)
    lower = forge_ca("client-c lower", upper, path_length=0)
    sent = tuple(der(one.certificate) for one in (ROOT, upper, ISSUING, lower))
    answer = issued(leaf(issuer=lower), chain=sent)
    assert verified_chain(answer, PINNED, NOW) == (der(lower.certificate), der(upper.certificate))


def test_a_chain_with_a_gap_is_refused():
    assert refusal(issued(chain=())).code is ProblemCode.SIGNER_NOT_TRUSTED


@pytest.mark.parametrize("purposes", [(SERVER,), None], ids=str)
def test_a_certificate_that_cannot_open_a_channel_is_refused(purposes):
    certificate = forge_leaf(ISSUING, purposes and list(purposes), (API,), key=OUR_KEY, common_name="b").certificate
    assert refusal(issued(der(certificate))).field == "extended key usage"


@pytest.mark.parametrize("now", [NOW - timedelta(days=2), NOW + timedelta(days=31)])
def test_a_certificate_that_is_not_valid_now_is_refused(now):
    assert refusal(issued(), now=now).code is ProblemCode.BAD_TIME


@pytest.mark.parametrize("answer", [issued(b"\x30\x00"), issued(chain=(b"x",)), issued(leaf() + b"\0")])
def test_what_is_no_certificate_is_refused(answer):
    assert refusal(answer).code is ProblemCode.BAD_DATA_FORMAT


@pytest.mark.parametrize("before", [State.CREATED, State.SENT, State.PENDING])
def test_an_accepted_answer_is_recorded_in_one_unit(before):
    accepted = accept(issued(), CSR, None, PINNED, NOW)
    record = RecordCertificate(
        serial=accepted.serial,
        issuer=C,
        subject=B,
        transaction=TRANSACTION,
        certificate=accepted.certificate,
        public_key=CSR.key.fingerprint,
        not_before=accepted.not_before,
        not_after=accepted.not_after,
    )
    assert unit_for_issued(KEY, before, accepted, B, REPLY) == Unit(
        (
            MoveTransaction(KEY, before, State.ISSUED, LATER, accepted.serial),
            record,
            REPLY,
            RecordPartner(C, LATER, endpoint=ENDPOINT),
            FillAnchor(C, Role.ISSUER, der(ROOT.certificate)),
            Audit(LATER, "issued", C, TRANSACTION, f"serial {accepted.serial}"),
        )
    )
