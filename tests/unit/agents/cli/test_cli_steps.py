import io

import pytest

from agents.cli.steps import Steps


class Terminal(io.TextIOWrapper):
    def isatty(self):
        return True


def terminal(encoding="utf-8"):
    return Terminal(io.BytesIO(), encoding=encoding)


def written(stream):
    stream.flush()
    return stream.buffer.getvalue().decode(stream.encoding)


def walk(stream):
    taken = Steps(stream)
    with taken.step("Make keys") as step:
        step.saw("root", "ab\x1bcd")
        step.saw("algorithm", "P-256")
    return taken


def test_a_step_in_a_pipe_is_one_line_with_what_it_saw_below():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    taken = walk(stream)
    assert written(stream).splitlines() == [
        f"  ✔ Make keys ({taken.taken[0].seconds:.2f} s)",
        "      root       ab\\x1bcd",
        "      algorithm  P-256",
    ]


def test_a_step_on_a_terminal_is_shown_before_it_ends_and_in_colour(monkeypatch, eventually):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = terminal()
    with Steps(stream).step("Make keys"):
        eventually(lambda: "Make keys" in written(stream))
        assert "✔" not in written(stream)
    assert "\x1b[32m✔\x1b[0m Make keys" in written(stream)


def test_no_color_is_respected(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = terminal()
    walk(stream)
    assert "\x1b[32m" not in written(stream)


def test_a_step_that_fails_gets_a_cross_and_passes_the_error_on():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    taken = Steps(stream)
    with pytest.raises(ValueError, match="no key"), taken.step("Make keys"):
        raise ValueError("no key")
    assert "  ✘ Make keys" in written(stream)
    assert not taken.taken[0].done


def test_a_stream_without_the_marks_gets_words():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    walk(stream)
    assert written(stream).startswith("  ok Make keys")


def test_without_a_stream_steps_are_silent_but_kept(capsys):
    silent = Steps(None)
    with silent.step("Make keys") as step:
        step.saw("root", 1)
    assert capsys.readouterr().out == ""
    assert [(step.title, step.seen, step.done) for step in silent.taken] == [("Make keys", {"root": "1"}, True)]
