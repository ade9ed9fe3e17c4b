from __future__ import annotations

import ssl

import pytest

from agents.adapters.tls.alerts import ALERTS, FAILURES, in_words


def error(reason):
    made = ssl.SSLError(1, f"[SSL: {reason}] text (_ssl.c:1)")
    made.reason = reason
    return made


@pytest.mark.parametrize(("reason", "words"), ALERTS.items())
def test_an_alert_is_named_as_in_the_rfc_and_explained(reason, words):
    assert in_words(error(reason)) == f"alert {words}"


@pytest.mark.parametrize(("reason", "words"), FAILURES.items())
def test_a_failure_at_this_end_is_explained(reason, words):
    assert in_words(error(reason)) == words


def test_a_reason_is_either_an_alert_or_a_failure():
    assert not ALERTS.keys() & FAILURES.keys()


def test_an_unknown_reason_is_shown_as_it_is():
    assert in_words(error("SOMETHING_NEW")) == "SOMETHING_NEW"


def test_what_a_certificate_check_says_is_shown():
    made = ssl.SSLCertVerificationError(1, "text")
    made.verify_message = "certificate has expired\n"
    assert in_words(made) == "the other end's certificate: certificate has expired\\n"


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (TimeoutError(), "not done in time"),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
        (OSError("only text"), "only text"),
    ],
)
def test_other_failures_of_a_connection_are_in_words_too(made, words):
    assert in_words(made) == words
