"""Algorithm identifiers in words."""

import pytest

from protocol.csr import der
from protocol.csr.algorithms import describe


def words(text):
    return describe(der.only_element(bytes.fromhex(text), der.SEQUENCE, "test"))


@pytest.mark.parametrize(
    ("octets", "told"),
    [
        (
            "301006072a8648ce3d020106052b8104000a",
            "1.2.840.10045.2.1 (elliptic curve) with parameters 1.3.132.0.10 (secp256k1)",
        ),
        ("300d06092a864886f70d0101050500", "1.2.840.113549.1.1.5 (RSA with SHA-1) with parameters NULL"),
        ("300506032b6571", "1.3.101.113 (Ed448) without parameters"),
        ("300406022a03", "1.2.3 without parameters"),
        ("300b06092a864886f70d01010a", "1.2.840.113549.1.1.10 (RSA-PSS) without parameters"),
        ("300d06092a864886f70d01010a3000", "1.2.840.113549.1.1.10 (RSA-PSS) with parameters 3000"),
    ],
)
def test_an_algorithm_is_told_by_its_identifier_and_parameters(octets, told):
    assert words(octets) == told


@pytest.mark.parametrize("octets", ["3000", "300206ff", "30030602802a"[:10], "3006050005000500"])
def test_what_is_none_is_told_as_octets(octets):
    assert words(octets) == f"octets {octets}"
