"""`protocol.path.verify_path`: what leads to an anchor for a purpose, and why everything else does not."""

import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from kit.certificates import (
    AGENT_URI,
    CLIENT,
    DAY,
    NOW,
    SERVER,
    forge,
    forge_ca,
    forge_client,
    forge_identity,
    forge_leaf,
    forge_server,
    new_key,
    usage,
)

from protocol.errors import PathError, ProblemCode
from protocol.names import DnsName, Fingerprint
from protocol.path import KP_JWT, Purpose, verify_path

HOST = DnsName("c.example")


@pytest.fixture(scope="module")
def root():
    return forge_ca("root")


@pytest.fixture(scope="module")
def issuing(root):
    return forge_ca("issuing", root, path_length=0)


def fingerprint(forged):
    return Fingerprint.of(forged.certificate.public_bytes(serialization.Encoding.DER))


def verify(leaf, above, anchors, purpose=Purpose.ENVELOPE, now=NOW, server_name=None):
    certificates = [one.certificate for one in above]
    return verify_path(leaf.certificate, certificates, [one.certificate for one in anchors], purpose, now, server_name)


def refusal(*arguments, **more):
    with pytest.raises(PathError) as caught:
        verify(*arguments, **more)
    (problem,) = caught.value.problems
    return problem


# --- what is accepted ------------------------------------------------------------------------------------------------


def test_a_path_is_returned_leaf_first_with_the_anchor_last(root, issuing):
    leaf = forge_identity(issuing)
    assert verify(leaf, [issuing], [root]) == (leaf.certificate, issuing.certificate, root.certificate)


def test_the_root_may_be_sent_along_and_the_order_does_not_matter(root, issuing):
    leaf = forge_identity(issuing)
    assert len(verify(leaf, [root, issuing], [root])) == 3


def test_the_root_may_issue_by_itself(root):
    leaf = forge_client(root)
    assert verify(leaf, [], [root], Purpose.CHANNEL_CLIENT) == (leaf.certificate, root.certificate)


@pytest.mark.parametrize(
    ("make", "purpose", "name"),
    [
        (forge_identity, Purpose.ENVELOPE, None),
        (forge_server, Purpose.CHANNEL_SERVER, HOST),
        (forge_client, Purpose.CHANNEL_CLIENT, None),
        (forge_client, Purpose.CHANNEL_CLIENT, DnsName("api.b.example")),
    ],
)
def test_each_certificate_serves_its_purpose(root, issuing, make, purpose, name):
    assert verify(make(issuing), [issuing], [root], purpose, NOW, name)


def test_one_channel_key_may_serve_both_ends(root):
    leaf = forge_leaf(root, [SERVER, CLIENT], [x509.DNSName(HOST)])
    assert verify(leaf, [], [root], Purpose.CHANNEL_SERVER, NOW, HOST)
    assert verify(leaf, [], [root], Purpose.CHANNEL_CLIENT)


def test_the_right_one_of_several_anchors_is_found(root):
    other = forge_ca("other root")
    assert verify(forge_identity(root), [], [other, root])[-1] == root.certificate


def test_a_root_that_says_nothing_of_key_usage_is_an_anchor():
    workshop = forge_ca("workshop root", say_usage=False)
    assert verify(forge_identity(workshop), [], [workshop])


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (new_key(ec.SECP384R1()), hashes.SHA384()),
        (new_key(ec.SECP521R1()), hashes.SHA512()),
        (rsa.generate_private_key(65537, 2048), hashes.SHA256()),
    ],
    ids=["P-384", "P-521", "RSA-2048"],
)
def test_every_kind_of_ca_key_on_offer_works(key, algorithm):
    root = forge_ca("root", key=key, algorithm=algorithm)
    assert verify(forge_identity(root, algorithm=algorithm), [], [root])


@pytest.mark.parametrize(
    "key",
    [new_key(ec.SECP384R1()), new_key(ec.SECP521R1()), ed25519.Ed25519PrivateKey.generate()],
    ids=["P-384", "P-521", "Ed25519"],
)
def test_every_kind_of_end_entity_key_on_offer_works(root, key):
    assert verify(forge_identity(root, key=key), [], [root])


def test_a_server_name_is_compared_without_case(root):
    assert verify(forge_server(root, "C.Example"), [], [root], Purpose.CHANNEL_SERVER, NOW, HOST)


def test_a_ca_limited_to_the_purpose_or_to_any_vouches_for_it(root):
    for purposes in ([KP_JWT], [x509.ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]):
        limited = forge_ca("limited", root, extra=[(x509.ExtendedKeyUsage(purposes), False)])
        assert verify(forge_identity(limited), [limited], [root])


# --- time ------------------------------------------------------------------------------------------------------------


def test_an_expired_leaf_is_refused_with_the_moment_and_by_how_much(root):
    leaf = forge_identity(root, start=NOW - 9 * DAY, end=NOW - 2 * DAY)
    problem = refusal(leaf, [], [root])
    assert (problem.code, problem.field) == (ProblemCode.BAD_TIME, "certificate")
    assert problem.got == "valid until 2026-02-27T12:00:00Z, which was 2 days, 0:00:00 ago"
    assert problem.allowed == "valid at 2026-03-01T12:00:00Z"


def test_a_leaf_from_a_clock_that_runs_ahead_is_refused_with_the_difference(root):
    problem = refusal(forge_identity(root, start=NOW + DAY / 2), [], [root])
    assert problem.code is ProblemCode.BAD_TIME
    assert problem.got == "valid from 2026-03-02T00:00:00Z, which is in 12:00:00"
    assert "clocks" in problem.fix


@pytest.mark.parametrize("expired", ["root", "issuing"])
def test_an_expired_ca_is_refused_by_name(expired):
    ends = {"root": NOW + DAY, "issuing": NOW + DAY} | {expired: NOW - DAY / 2}
    root = forge_ca("root", end=ends["root"])
    issuing = forge_ca("issuing", root, end=ends["issuing"])
    problem = refusal(forge_identity(issuing), [issuing], [root])
    assert (problem.code, problem.field) == (ProblemCode.BAD_TIME, f"CA certificate 'CN={expired}'")


def test_a_ca_that_is_not_valid_yet_is_refused_by_name(root):
    early = forge_ca("early", root, start=NOW + DAY)
    problem = refusal(forge_identity(early), [early], [root])
    assert (problem.code, problem.field) == (ProblemCode.BAD_TIME, "CA certificate 'CN=early'")


def test_the_first_and_the_last_second_are_valid(root):
    leaf = forge_identity(root, start=NOW - DAY / 4, end=NOW + DAY / 4)
    assert verify(leaf, [], [root], now=NOW - DAY / 4)
    assert verify(leaf, [], [root], now=NOW + DAY / 4)


@pytest.mark.parametrize("limits", [{"start": NOW}, {"end": NOW}], ids=["first second", "last second"])
def test_a_leaf_in_its_first_or_last_second_is_not_said_to_be_untimely(root, limits):
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    problem = refusal(forge_identity(root, extra=[(unknown, True)], **limits), [], [root])
    assert problem.code is ProblemCode.SIGNER_NOT_TRUSTED
    assert problem.got.startswith("invalid extension: 1.2.3.4")
    assert "<Certificate" not in problem.got


# --- another anchor --------------------------------------------------------------------------------------------------


def test_another_root_is_named_by_both_fingerprints(root):
    other = forge_ca("other root")
    problem = refusal(forge_identity(other), [other], [root])
    assert problem.code is ProblemCode.SIGNER_NOT_TRUSTED
    assert fingerprint(other) in problem.got
    assert fingerprint(root) in problem.allowed
    assert "agent unpin" in problem.fix


def test_a_root_of_the_same_name_is_another_root(root):
    impostor = forge_ca("root")
    problem = refusal(forge_identity(impostor), [impostor], [root])
    assert fingerprint(impostor) in problem.got
    assert fingerprint(root) in problem.allowed


def test_a_root_of_the_same_name_that_was_not_sent_is_told_by_its_signature(root):
    problem = refusal(forge_identity(forge_ca("root")), [], [root])
    assert problem.got == "a signature that no certificate named 'CN=root' verifies"
    assert "agent unpin" in problem.fix


def test_a_missing_intermediate_is_asked_for_by_name(root, issuing):
    problem = refusal(forge_identity(issuing), [], [root])
    assert problem.got == "a path that ends below 'CN=issuing'"
    assert "complete chain" in problem.fix


def test_a_self_signed_leaf_is_refused_as_a_root_of_its_own(root):
    leaf = forge("leaf", None, [(x509.SubjectAlternativeName([AGENT_URI]), False)])
    assert fingerprint(leaf) in refusal(leaf, [], [root]).got


def test_a_root_among_the_intermediates_is_not_an_anchor(root):
    other = forge_ca("other root")
    assert refusal(forge_identity(other), [other, other], [root]).code is ProblemCode.SIGNER_NOT_TRUSTED


def test_cas_that_certify_each_other_lead_nowhere(root):
    first, second = forge_ca("first"), forge_ca("second")
    crossed_first = forge_ca("first", second, key=first.key)
    crossed_second = forge_ca("second", first, key=second.key)
    problem = refusal(forge_identity(first), [crossed_first, crossed_second], [root])
    assert problem.code is ProblemCode.SIGNER_NOT_TRUSTED


def test_a_cross_certificate_of_the_anchor_does_not_hide_what_is_wrong(root):
    second = forge_ca("second")
    crossed = forge_ca("root", second, key=root.key)
    problem = refusal(forge_identity(root, start=NOW - 9 * DAY, end=NOW - DAY), [crossed, second], [root])
    assert (problem.code, problem.field) == (ProblemCode.BAD_TIME, "certificate")


def test_a_ca_of_the_same_name_that_was_sent_is_told_by_the_signature(root, issuing):
    other = forge_ca("issuing", root)
    problem = refusal(forge_identity(issuing), [other], [root])
    assert problem.got == "a signature that no certificate named 'CN=issuing' verifies"


def test_a_ca_whose_key_signs_nothing_is_passed_over(root, issuing):
    exchange = HalfKey(x25519.X25519PrivateKey.generate().public_key())
    problem = refusal(forge_identity(issuing), [forge_ca("issuing", root, key=exchange)], [root])
    assert problem.got == "a signature that no certificate named 'CN=issuing' verifies"


def test_no_anchor_at_all_is_a_refusal(root):
    problem = refusal(forge_identity(root), [], [])
    assert (problem.code, problem.field) == (ProblemCode.SIGNER_NOT_TRUSTED, "trust anchor")


def test_a_long_name_does_not_hide_the_fingerprint(root):
    other = forge_ca("n" * 60)
    assert fingerprint(other) in refusal(forge_identity(other), [other], [root]).got


# --- shape of the path -----------------------------------------------------------------------------------------------


def chain_of(root, count):
    authorities = [root]
    for number in range(count):
        authorities.append(forge_ca(f"ca {number}", authorities[-1]))
    return authorities[:0:-1]


def test_four_certificates_make_a_path_and_five_do_not(root):
    two, three = chain_of(root, 2), chain_of(root, 3)
    assert len(verify(forge_identity(two[0]), two, [root])) == 4
    assert refusal(forge_identity(three[0]), three, [root]).code is ProblemCode.SIGNER_NOT_TRUSTED


def test_more_certificates_than_a_chain_has_are_refused_unread(root):
    problem = refusal(forge_identity(root), chain_of(root, 5), [root])
    assert (problem.code, problem.got) == (ProblemCode.SIGNER_NOT_TRUSTED, "5 certificates above the leaf")


def test_as_many_certificates_as_a_chain_has_are_looked_at_whatever_they_are_for(root):
    others = [forge_ca(f"other {number}") for number in range(3)]
    assert len(verify(forge_identity(root), [*others, root], [root])) == 2


def test_an_issuing_ca_with_path_length_0_certifies_no_ca(root, issuing):
    below = forge_ca("below", issuing)
    problem = refusal(forge_identity(below), [below, issuing], [root])
    assert "path" in problem.got.lower()
    assert problem.field == "certificate path"


@pytest.mark.parametrize(
    ("constraints", "allowed"),
    [
        (x509.NameConstraints([x509.DNSName("c.example")], None), True),
        (x509.NameConstraints([x509.DNSName("d.example")], None), False),
        (x509.NameConstraints(None, [x509.DNSName("c.example")]), False),
    ],
)
def test_name_constraints_of_a_ca_hold(root, constraints, allowed):
    constrained = forge_ca("constrained", root, extra=[(constraints, True)])
    leaf = forge_server(constrained)
    if allowed:
        assert verify(leaf, [constrained], [root], Purpose.CHANNEL_SERVER, NOW, HOST)
    else:
        problem = refusal(leaf, [constrained], [root], Purpose.CHANNEL_SERVER, NOW, HOST)
        assert "constraint" in problem.got


def test_an_end_entity_issues_nothing(root):
    holder = forge_identity(root, common_name="holder")
    leaf = forge_identity(holder)
    assert refusal(leaf, [holder], [root]).code is ProblemCode.SIGNER_NOT_TRUSTED


def test_a_ca_without_key_cert_sign_issues_nothing(root):
    signer = forge_ca("crl signer", root, usages=usage("crl_sign"))
    assert "keyCertSign" in refusal(forge_identity(signer), [signer], [root]).got


def test_a_ca_is_no_end_entity(root):
    names = [(x509.SubjectAlternativeName([AGENT_URI]), False), (x509.ExtendedKeyUsage([KP_JWT]), False)]
    leaf = forge_ca("both", root, extra=names, usages=usage("digital_signature", "key_cert_sign"))
    assert refusal(leaf, [], [root]).code is ProblemCode.SIGNER_NOT_TRUSTED


def test_a_changed_certificate_is_refused(root):
    der = bytearray(forge_identity(root).certificate.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    with pytest.raises(PathError):
        verify_path(x509.load_der_x509_certificate(bytes(der)), [], [root.certificate], Purpose.ENVELOPE, NOW)


def test_an_unknown_critical_extension_is_refused(root):
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    assert refusal(forge_identity(root, extra=[(unknown, True)]), [], [root]).code is ProblemCode.SIGNER_NOT_TRUSTED


# --- keys ------------------------------------------------------------------------------------------------------------


def test_an_rsa_key_too_small_is_refused_by_its_size(root):
    problem = refusal(forge_identity(root, key=rsa.generate_private_key(65537, 1024)), [], [root])  # noqa: S505
    assert (problem.code, problem.got) == (ProblemCode.BAD_ALG, "RSA of 1024 bits")


@pytest.mark.parametrize("bits", [2047, 8193, 16_000])
def test_an_rsa_key_too_small_or_too_large_is_refused_before_it_costs_anything(root, bits):
    problem = refusal(forge_identity(root, key=rsa_key_of(bits)), [], [root])
    assert (problem.got, problem.allowed) == (f"RSA of {bits} bits", "2048 to 8192 bits")


@pytest.mark.parametrize("bits", [2048, 8192])
def test_an_rsa_key_may_be_as_small_or_as_large_as_the_limits(root, bits):
    assert verify(forge_identity(root, key=rsa_key_of(bits)), [], [root])


def test_an_rsa_key_for_pss_alone_is_held_to_the_same_size(root):
    # RFC 4055 section 1.2: the same kind of key under another identifier, here with default parameters.
    der = forge_identity(root, key=rsa.generate_private_key(65537, 1024)).certificate.public_bytes(  # noqa: S505
        serialization.Encoding.DER
    )
    pss = der.replace(bytes.fromhex("2a864886f70d0101010500"), bytes.fromhex("2a864886f70d01010a3000"))
    with pytest.raises(PathError, match="RSA of 1024 bits"):
        verify_path(x509.load_der_x509_certificate(pss), [], [root.certificate], Purpose.ENVELOPE, NOW)


class HalfKey:
    """A public key that nobody has the private key of."""

    def __init__(self, public):
        self._public = public

    def public_key(self):
        return self._public


def rsa_key_of(bits):
    return HalfKey(rsa.RSAPublicNumbers(65537, (1 << bits) - 1).public_key())


def test_ed25519_is_no_ca_key():
    root = forge_ca("ed", key=ed25519.Ed25519PrivateKey.generate())
    assert refusal(forge_identity(root), [], [root]).got == "a signature over a hash of its own (Ed25519)"


@pytest.mark.parametrize("weak", [hashes.SHA224(), hashes.SHA3_256()], ids=lambda one: one.name)
def test_a_signature_over_an_unusual_hash_is_refused_by_its_name(root, weak):
    problem = refusal(forge_identity(root, algorithm=weak), [], [root])
    assert (problem.code, problem.got) == (ProblemCode.BAD_ALG, f"a signature over {weak.name}")


def test_a_weak_signature_is_blamed_on_the_certificate_that_has_it(root):
    weak = forge_ca("weak", root, algorithm=hashes.SHA224())
    problem = refusal(forge_identity(weak), [weak], [root])
    assert (problem.code, problem.field) == (ProblemCode.BAD_ALG, "CA certificate 'CN=weak'")


@pytest.mark.parametrize("strong", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()], ids=lambda one: one.name)
def test_a_strong_signature_is_not_blamed_for_what_else_is_wrong(strong):
    root = forge_ca("root", key=rsa.generate_private_key(65537, 2048))
    leaf = forge_identity(root, algorithm=strong, end=NOW - DAY / 2)
    assert refusal(leaf, [], [root]).code is ProblemCode.BAD_TIME


def test_an_anchor_s_own_signature_is_nobody_s_business():
    pinned = forge_ca("old root", algorithm=hashes.SHA224())
    assert verify(forge_identity(pinned), [], [pinned])
    assert refusal(forge_identity(pinned, end=NOW - DAY / 2), [], [pinned]).code is ProblemCode.BAD_TIME


# --- purpose ---------------------------------------------------------------------------------------------------------

PURPOSES = {
    Purpose.ENVELOPE: forge_identity,
    Purpose.CHANNEL_SERVER: forge_server,
    Purpose.CHANNEL_CLIENT: forge_client,
}


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("issued_for", Purpose)
def test_a_certificate_serves_no_other_purpose(root, issued_for, purpose):
    leaf, name = PURPOSES[issued_for](root), HOST if purpose is Purpose.CHANNEL_SERVER else None
    if issued_for is purpose:
        assert verify(leaf, [], [root], purpose, NOW, name)
    else:
        assert refusal(leaf, [], [root], purpose, NOW, name).field == "extended key usage"


ANY = x509.ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE


@pytest.mark.parametrize(
    ("purposes", "purpose"),
    [
        (None, Purpose.ENVELOPE),
        (None, Purpose.CHANNEL_SERVER),
        (None, Purpose.CHANNEL_CLIENT),
        ([ANY], Purpose.ENVELOPE),
        ([ANY], Purpose.CHANNEL_CLIENT),
        ([KP_JWT, CLIENT], Purpose.ENVELOPE),
        ([KP_JWT, CLIENT], Purpose.CHANNEL_CLIENT),
        ([CLIENT, ANY], Purpose.CHANNEL_CLIENT),
        ([KP_JWT, x509.ExtendedKeyUsageOID.CODE_SIGNING], Purpose.ENVELOPE),
    ],
)
def test_absent_any_and_mixed_extended_key_usages_are_no_permission(root, purposes, purpose):
    name = AGENT_URI if purpose is Purpose.ENVELOPE else x509.DNSName(HOST)
    problem = refusal(forge_leaf(root, purposes, [name]), [], [root], purpose, NOW)
    assert problem.field == "extended key usage"
    assert problem.code is ProblemCode.SIGNER_NOT_TRUSTED


@pytest.mark.parametrize(
    ("make", "purpose", "got", "allowed"),
    [
        (forge_identity, Purpose.CHANNEL_CLIENT, KP_JWT.dotted_string, "...3.2, besides it at most ...3.1"),
        (forge_client, Purpose.CHANNEL_SERVER, CLIENT.dotted_string, "...3.1, besides it at most ...3.2"),
        (forge_server, Purpose.ENVELOPE, SERVER.dotted_string, "...3.37 and nothing else"),
    ],
)
def test_a_wrong_purpose_is_told_with_what_stands_there_and_what_may(root, make, purpose, got, allowed):
    problem = refusal(make(root), [], [root], purpose, NOW, HOST)
    assert (problem.got, problem.allowed) == (got, allowed.replace("...", "1.3.6.1.5.5.7."))
    assert f"issued for {purpose}" in problem.fix


def test_the_purposes_of_a_certificate_are_told_in_order_or_as_none(root):
    both = forge_leaf(root, [CLIENT, SERVER], [AGENT_URI])
    assert refusal(both, [], [root]).got == f"{SERVER.dotted_string}, {CLIENT.dotted_string}"
    assert refusal(forge_leaf(root, None, [AGENT_URI]), [], [root]).got == "none"


@pytest.mark.parametrize(
    ("changes", "got"),
    [({"say_usage": False}, "no key usage at all"), ({"usages": usage("key_agreement")}, "no digitalSignature")],
)
@pytest.mark.parametrize("purpose", Purpose)
def test_a_key_that_may_not_sign_is_refused(root, purpose, changes, got):
    name = HOST if purpose is Purpose.CHANNEL_SERVER else None
    problem = refusal(PURPOSES[purpose](root, **changes), [], [root], purpose, NOW, name)
    assert (problem.field, problem.got) == ("key usage", got)


def test_a_ca_limited_to_other_purposes_does_not_vouch(root):
    limited = forge_ca("tls only", root, extra=[(x509.ExtendedKeyUsage([SERVER, CLIENT]), False)])
    problem = refusal(forge_identity(limited), [limited], [root])
    assert problem.field == "extended key usage of a CA"
    assert "tls only" in problem.got


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        [AGENT_URI, x509.DNSName("b.example")],
        [AGENT_URI, AGENT_URI],
        [x509.DNSName("client-b")],
        [x509.UniformResourceIdentifier("apostille:client-b/agent/")],
        [x509.UniformResourceIdentifier("https://client-b/agent")],
        [x509.UniformResourceIdentifier("apostille:Client-B/agent")],
    ],
)
def test_an_identity_has_exactly_the_agent_uri_as_its_name(root, names):
    with pytest.raises(PathError, match="apostille:"):
        verify(forge_leaf(root, [KP_JWT], names), [], [root])


def test_a_certificate_without_alternative_names_is_refused(root):
    leaf = forge_leaf(root, [KP_JWT], [], common_name="client-b")
    assert refusal(leaf, [], [root]).code is ProblemCode.SIGNER_NOT_TRUSTED


@pytest.mark.parametrize(
    "names",
    [
        [x509.DNSName("d.example")],
        [x509.DNSName("*.example")],
        [x509.DNSName("c.example.org")],
        [x509.DNSName("xc.example")],
        [x509.RFC822Name("c.example@c.example"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))],
        [x509.UniformResourceIdentifier("https://c.example")],
    ],
)
def test_a_server_that_has_another_name_is_refused_with_both(root, names):
    problem = refusal(forge_leaf(root, [SERVER], names), [], [root], Purpose.CHANNEL_SERVER, NOW, HOST)
    assert (problem.code, problem.field) == (ProblemCode.SIGNER_NOT_TRUSTED, "subject alternative name")
    assert str(names[0].value) in problem.got
    assert problem.allowed == "DNS:c.example"


def test_the_common_name_of_a_server_counts_for_nothing(root):
    leaf = forge_server(root, "d.example", common_name="c.example")
    assert refusal(leaf, [], [root], Purpose.CHANNEL_SERVER, NOW, HOST).field == "subject alternative name"


def test_a_server_is_never_verified_without_a_name(root):
    problem = refusal(forge_server(root), [], [root], Purpose.CHANNEL_SERVER)
    assert problem.allowed == "the name that was dialled"


def test_a_client_is_held_to_a_name_if_one_is_given(root):
    problem = refusal(forge_client(root), [], [root], Purpose.CHANNEL_CLIENT, NOW, HOST)
    assert problem.allowed == "DNS:c.example"
