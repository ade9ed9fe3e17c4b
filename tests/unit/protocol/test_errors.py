import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from protocol.errors import PROBLEM_TEXT_MAX, QUOTE_MAX, Problem, ProblemCode, ProtocolError, printable, problem

SAFE = set(string.printable) - set(string.whitespace) | {" "}
ANYTHING = st.one_of(st.text(), st.binary(), st.integers(), st.text(alphabet="\x1b\x07\r\n\u202e\ud800", max_size=400))


@given(ANYTHING)
def test_whatever_is_quoted_comes_out_as_short_printable_ascii(value):
    shown = printable(value)
    assert len(shown) <= QUOTE_MAX
    assert set(shown) <= SAFE


@given(st.text(alphabet=sorted(SAFE - {"\\"}), max_size=QUOTE_MAX))
def test_harmless_short_text_is_quoted_as_it_is(text):
    assert printable(text) == text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("two\nlines", r"two\nlines"),
        ("kelvin \N{KELVIN SIGN}", r"kelvin \u212a"),
        ("ends \N{RIGHT-TO-LEFT OVERRIDE}", r"ends \u202e"),
        (b"\xff\x00", r"\xff\x00"),
        (r"\x1b, written out", r"\\x1b, written out"),
        (17, "17"),
    ],
)
def test_what_could_deceive_a_reader_is_escaped(value, shown):
    assert printable(value) == shown


def test_a_cut_says_how_long_the_original_was():
    mark = "... (1000 characters)"
    assert printable("x" * 1000) == "x" * (QUOTE_MAX - len(mark)) + mark


def test_only_what_is_longer_than_the_limit_is_cut():
    assert printable("x" * QUOTE_MAX) == "x" * QUOTE_MAX
    assert printable("x" * (QUOTE_MAX + 1)).endswith(f"... ({QUOTE_MAX + 1} characters)")


def test_text_that_grows_too_long_by_escaping_is_cut_too():
    shown = printable("\x00" * 100)
    assert shown.endswith("... (100 characters)")
    assert len(shown) == QUOTE_MAX


@given(ANYTHING, st.text(), st.text(), st.text())
def test_a_problem_can_be_made_of_anything_that_a_stranger_sent(got, field, allowed, fix):
    made = problem(ProblemCode.BAD_REQUEST, field, got, allowed, fix)
    assert all(len(text) <= PROBLEM_TEXT_MAX and set(text) <= SAFE for text in (made.field, made.got, made.allowed))


def test_a_problem_survives_its_way_to_the_partner():
    made = problem(ProblemCode.BAD_POP, "signature", b"\x00", "a signature by the requested key", "Sign it again.")
    assert Problem.model_validate_json(made.model_dump_json()) == made
    assert Problem.model_validate(json.loads(made.model_dump_json())) == made


def test_a_problem_with_an_unknown_code_is_refused():
    with pytest.raises(ValidationError):
        Problem.model_validate({"code": "badLuck", "field": "", "got": "", "allowed": "", "fix": ""})


def test_a_problem_reads_as_a_sentence_with_its_code():
    made = problem(ProblemCode.BAD_ALG, "key", "RSA-1024", "RSA-2048 or more", "Make a new key.")
    assert str(made) == "key: got RSA-1024; allowed: RSA-2048 or more. Make a new key. [badAlg]"


def test_an_error_carries_and_tells_all_its_problems():
    first = problem(ProblemCode.BAD_ALG, "key", "RSA-1024", "RSA-2048", "Make a new key.")
    second = problem(ProblemCode.BAD_TIME, "lifetime", "a year", "30 days", "Ask for less.")
    error = ProtocolError(first, second)
    assert error.problems == (first, second)
    assert str(error) == f"{first}; {second}"


def test_an_error_that_is_kept_leads_to_nothing_else():
    wrong = problem(ProblemCode.BAD_REQUEST, "field", "this", "that", "Write that.")
    try:
        try:
            int("x")
        except ValueError as inner:
            raise ProtocolError(wrong) from inner
    except ProtocolError as error:
        kept = error.as_value()
    assert kept.problems == (wrong,)
    assert (kept.__traceback__, kept.__cause__, kept.__context__) == (None, None, None)
