"""What a requester builds is what an issuer reads, and what an issuer would refuse is not built."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from kit.csr_forge import COMMON_NAME, KEY

from protocol.csr import KeyKind, NameKind, SubjectAttribute, SubjectName, build_csr
from protocol.errors import ProblemCode, RequestError

NAMES = (
    SubjectName(NameKind.DNS, "api.client-b.example"),
    SubjectName(NameKind.URI, "spiffe://client-b.example/api"),
    SubjectName(NameKind.EMAIL, "ops@client-b.example"),
    SubjectName(NameKind.IP, "192.0.2.1"),
    SubjectName(NameKind.IP, "2001:db8::1"),
)


@pytest.mark.parametrize(
    ("key", "kind", "hash_name"),
    [
        (ec.derive_private_key(7, ec.SECP256R1()), KeyKind.P256, "SHA-256"),
        (ec.derive_private_key(7, ec.SECP384R1()), KeyKind.P384, "SHA-384"),
        (ec.derive_private_key(7, ec.SECP521R1()), KeyKind.P521, "SHA-512"),
        (rsa.generate_private_key(65537, 3072), KeyKind.RSA, "SHA-256"),
        (rsa.generate_private_key(65537, 3080), KeyKind.RSA, "SHA-384"),
        (ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)), KeyKind.ED25519, "Ed25519"),
    ],
)
def test_a_request_by_any_kind_of_key_is_read_back_with_the_hash_that_its_size_deserves(key, kind, hash_name):
    parsed = build_csr(key, NAMES, None)
    assert (parsed.key.kind, parsed.signature_hash) == (kind, hash_name)
    assert (parsed.names, parsed.subject, parsed.left_out) == (NAMES, (), ())


def test_a_common_name_is_the_whole_subject():
    parsed = build_csr(KEY, NAMES[:1], "api.client-b.example")
    assert parsed.subject == (SubjectAttribute(COMMON_NAME, "api.client-b.example"),)


@pytest.mark.parametrize(("common_name", "critical"), [(None, True), ("api", False)])
def test_the_names_are_critical_exactly_where_there_is_no_subject(common_name, critical):
    request = x509.load_der_x509_csr(build_csr(KEY, NAMES, common_name).der)
    assert request.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical is critical


def test_a_request_without_names_has_no_extension():
    request = x509.load_der_x509_csr(build_csr(KEY, (), "api").der)
    assert list(request.extensions) == []


@pytest.mark.parametrize(
    ("names", "common_name"),
    [
        ([SubjectName(NameKind.DNS, "bücher.example")], None),
        ([SubjectName(NameKind.DNS, "a b")], None),
        ([SubjectName(NameKind.DNS, "")], None),
        ([SubjectName(NameKind.URI, "https://ü")], None),
        ([SubjectName(NameKind.EMAIL, "Ops <ops@client-b.example>")], None),
        ([SubjectName(NameKind.IP, "192.0.2.300")], None),
        ([SubjectName(NameKind.IP, "192.0.2.0/24")], None),
        ([SubjectName(NameKind.IP, "::ffff:192.0.2.1")], None),
        ([NAMES[0], NAMES[0]], None),
        ((), ""),
        ((), "a" * 65),
        ((), "line\nbreak"),
    ],
)
def test_what_an_issuer_would_refuse_is_refused_here_first(names, common_name):
    with pytest.raises(RequestError) as caught:
        build_csr(KEY, names, common_name)
    assert caught.value.problems[0].code is ProblemCode.BAD_CERT_TEMPLATE


@pytest.mark.parametrize(
    "key",
    [
        ec.derive_private_key(7, ec.SECP256K1()),
        ed448.Ed448PrivateKey.generate(),
        rsa.generate_private_key(65537, 1024),  # noqa: S505 - refused for it
    ],
)
def test_a_key_that_an_issuer_would_refuse_is_refused_here_first(key):
    with pytest.raises(RequestError) as caught:
        build_csr(key, NAMES, None)
    assert caught.value.problems[0].code is ProblemCode.BAD_ALG


@given(
    st.lists(st.tuples(st.sampled_from(NameKind), st.text(max_size=20)), max_size=3), st.none() | st.text(max_size=70)
)
def test_any_names_are_built_to_be_read_back_unchanged_or_refused(pairs, common_name):
    names = tuple(SubjectName(kind, value) for kind, value in pairs)
    try:
        parsed = build_csr(KEY, names, common_name)
    except RequestError:
        return
    assert [n for n in parsed.names if n.kind is not NameKind.IP] == [n for n in names if n.kind is not NameKind.IP]
    assert [a.value for a in parsed.subject] == ([] if common_name is None else [common_name])
