from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agents.core.admission import IssuedFacts, admit
from protocol.errors import PathError, ProblemCode
from protocol.names import OrganisationName

US, PARTNER, STRANGER = OrganisationName("client-c"), OrganisationName("client-b"), OrganisationName("client-x")
LEAF = b"the certificate, as issued"
START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=30)
NOW = START + timedelta(days=10)
RECORD = IssuedFacts(US, PARTNER, LEAF, START, END, None)
SECOND = timedelta(seconds=1)


def refusal(record=RECORD, leaf=LEAF, now=NOW, *, agreed=True):
    with pytest.raises(PathError) as caught:
        admit(US, record, leaf, now, agreed=agreed)
    (problem,) = caught.value.problems
    return problem


def test_the_recorded_certificate_admits_the_organisation_that_it_was_issued_to():
    assert admit(US, RECORD, LEAF, NOW, agreed=True) == PARTNER


@pytest.mark.parametrize("now", [START, END])
def test_the_first_and_the_last_moment_of_validity_are_included(now):
    assert admit(US, RECORD, LEAF, now, agreed=True) == PARTNER


def test_a_serial_number_without_a_record_is_refused():
    assert refusal(record=None).code is ProblemCode.NOT_AUTHORIZED


@pytest.mark.parametrize("leaf", [b"", LEAF + b"\0", LEAF[:-1], b"another certificate of that serial"])
def test_other_bytes_under_the_same_serial_number_are_refused(leaf):
    assert refusal(leaf=leaf).code is ProblemCode.NOT_AUTHORIZED


def test_a_certificate_that_somebody_else_issued_is_refused():
    assert refusal(replace(RECORD, issuer=STRANGER)).code is ProblemCode.NOT_AUTHORIZED


def test_unknown_serial_and_other_bytes_are_not_told_apart():
    assert refusal(record=None) == refusal(leaf=b"forged") == refusal(replace(RECORD, issuer=STRANGER))


@pytest.mark.parametrize("age", [timedelta(0), SECOND, timedelta(days=9), -SECOND])
def test_a_revoked_certificate_is_refused_whatever_our_clock_says_and_the_moment_is_told(age):
    found = refusal(replace(RECORD, revoked_at=NOW - age))
    assert found.code is ProblemCode.NOT_AUTHORIZED
    assert f"revoked at {NOW - age:%Y-%m-%dT%H:%M:%SZ}" in found.got


def test_revocation_is_told_even_when_the_certificate_has_expired_too():
    assert "revoked" in refusal(replace(RECORD, revoked_at=NOW), now=END + SECOND).got


def test_a_partner_without_an_agreement_any_more_is_refused_by_name_and_told_whom_to_ask():
    found = refusal(agreed=False)
    assert found.code is ProblemCode.NOT_AUTHORIZED
    assert found.got == "a certificate of client-b, with whom the issuer has no agreement any more"
    assert "Ask the issuer's operator" in found.fix


def test_a_missing_agreement_tells_nothing_about_certificates_that_are_not_on_record():
    assert refusal(leaf=b"forged", agreed=False) == refusal(record=None)


@pytest.mark.parametrize("now", [START - SECOND, END + SECOND])
def test_a_certificate_outside_its_validity_is_refused_with_both_dates_and_our_time(now):
    found = refusal(now=now)
    assert found.code is ProblemCode.BAD_TIME
    assert f"{now:%Y-%m-%dT%H:%M:%SZ}" in found.got
    assert "2026-01-01T00:00:00Z" in found.allowed
    assert "2026-01-31T00:00:00Z" in found.allowed
