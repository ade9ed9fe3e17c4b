import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from agents.cli.output import WIDTH, Output, at, clean, fields, problem_text, table, to_json
from protocol.errors import ProblemCode, problem


@dataclass
class Report:
    at: datetime
    state: StrEnum


@given(st.text())
def test_nothing_but_printable_characters_and_line_breaks_is_shown(text):
    assert all(c.isprintable() or c == "\n" for c in clean(text))


@given(st.text(alphabet=st.characters(categories=["L", "N", "P"])))
def test_readable_text_of_any_language_is_shown_as_it_is(text):
    assert clean(text) == text


def test_json_has_sorted_keys_iso_times_and_plain_values():
    found = problem(ProblemCode.BAD_POP, "f", "g", "a", "x")
    result = {
        "b": Report(datetime(2026, 1, 1, tzinfo=UTC), ProblemCode.BAD_ALG),
        "a": [timedelta(minutes=1), b"\xff", Path("p"), frozenset({2, 1}), found],
    }
    text = to_json(result)
    assert text.index('"a"') < text.index('"b"')
    assert json.loads(text) == {
        "a": [60.0, "ff", "p", [1, 2], found.model_dump(mode="json")],
        "b": {"at": "2026-01-01T00:00:00Z", "state": "badAlg"},
    }


def test_json_says_the_same_every_time():
    assert to_json({"x": {"b", "a", "c"}}) == to_json({"x": {"c", "b", "a"}})


def test_a_result_is_shown_as_text_or_as_json_never_both(capsys):
    Output().show({"days": 3}, "3 days left")
    Output(as_json=True).show({"days": 3}, "3 days left")
    assert capsys.readouterr().out == '3 days left\n{\n  "days": 3\n}\n'


def test_remarks_for_people_stay_out_of_json(capsys):
    Output(as_json=True).say("nearly there")
    assert capsys.readouterr().out == ""
    Output().say("nearly \x07there")
    assert capsys.readouterr().out == "nearly \\x07there\n"


def test_columns_are_as_wide_as_their_widest_cell():
    assert table(["NAME", "DAYS"], [["client-b", 7], ["c", 365]]) == "NAME      DAYS\nclient-b  7\nc         365"


def test_a_table_without_rows_is_its_headings():
    assert table(["NAME", "DAYS"], []) == "NAME  DAYS"


def test_values_stand_under_each_other():
    assert fields([("issuer", "client-c"), ("id", 1)]) == "issuer  client-c\nid      1"
    assert fields([]) == ""


def test_a_time_is_written_to_the_minute_with_its_zone():
    assert at(datetime(2026, 11, 23, 22, 18, 59, tzinfo=UTC)) == "2026-11-23 22:18 UTC"


def test_the_last_column_is_wrapped_at_its_words_and_stays_under_its_heading():
    names = [f"dns:host-{number}.client-b.example" for number in range(4)]
    lines = table(["ID", "NAMES"], [["a" * 12, ", ".join(names)]]).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert [line.index("dns:") for line in lines[1:]] == [14, 14]
    assert " ".join(lines[1:]).split() == ["a" * 12, *f"{' '.join(names)}".replace(" ", ", ").split()]


def test_a_word_that_is_longer_than_a_line_stays_whole():
    assert table(["ID", "NAME"], [["x" * 90, "y" * 90]]).splitlines()[-1].split() == ["x" * 90, "y" * 90]


def test_a_note_stands_under_its_row_in_one_line():
    shown = table(["ID", "STATE"], [[1, "issued"], [2, "refused"], [3, "sent"]], ["", "because " * 20]).splitlines()
    assert [line.split()[0] for line in shown] == ["ID", "1", "2", "because", "3"]
    assert len(shown[3]) <= WIDTH
    assert shown[3].endswith("because ...")


def test_a_problem_says_where_what_was_got_what_is_allowed_and_what_to_do():
    found = problem(ProblemCode.BAD_POP, "signature", "nothing", "a signature", "Sign it.")
    lines = ["  signature [badPOP]", "    got      nothing", "    allowed  a signature", "    to do    Sign it."]
    assert problem_text(found).splitlines() == lines
