"""Log lines are safe on a terminal, whatever is in them."""

import io
import sys

import pytest

from agents.adapters.log import make_log

HOSTILE = "\x1b[2J\x1b]0;owned\x07"


@pytest.mark.parametrize("as_json", [True, False])
def test_what_a_partner_sent_is_escaped_in_fields_and_tracebacks(capsys, as_json):
    log = make_log(as_json=as_json)
    log.info("told", why=HOSTILE)
    try:
        _fail()
    except ValueError:
        log.exception("a fault", doing="reading")
    text = capsys.readouterr().err
    assert "owned" in text
    assert "Traceback" in text
    assert "\x1b]" not in text
    assert "\x07" not in text
    assert "\x1b[2J" not in text


def test_a_line_is_written_at_once_so_that_lines_of_several_processes_do_not_mix(monkeypatch):
    writes = []
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(sys.stderr, "write", writes.append, raising=False)
    log = make_log(as_json=True)
    log.info("one")
    log.info("two")
    assert [text[-1] for text in writes] == ["\n", "\n"]


def _fail():
    raise ValueError(HOSTILE)
