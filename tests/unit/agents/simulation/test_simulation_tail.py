"""Reading a file of JSON lines while it grows."""

from agents.simulation.tail import Tail


def test_each_line_is_read_once(tmp_path):
    path = tmp_path / "events"
    tail = Tail(path)
    assert tail.new() == []
    path.write_text('{"a": 1}\n')
    assert tail.new() == [{"a": 1}]
    assert tail.new() == []
    with path.open("a") as file:
        file.write('{"a": 2}\n{"a": 3}\n')
    assert tail.new() == [{"a": 2}, {"a": 3}]


def test_a_line_is_read_when_it_is_complete(tmp_path):
    path = tmp_path / "events"
    tail = Tail(path)
    path.write_text('{"a"')
    assert tail.new() == []
    path.write_text('{"a": 1}\n')
    assert tail.new() == [{"a": 1}]


def test_a_line_that_was_cut_off_and_written_over_is_left_out(tmp_path):
    path = tmp_path / "events"
    path.write_text('{"a": 1}\n{"a": {"b\n[1]\n{"a": 2}\n')
    assert Tail(path).new() == [{"a": 1}, {"a": 2}]
