"""What a command logs beside its result: what needs attention, once."""

from agents.bootstrap.terse import TerseLog


class Lines:
    """A log that keeps what it is given."""

    def __init__(self, lines=None, **bound):
        self.lines, self._bound = [] if lines is None else lines, bound

    def bind(self, **fields):
        return Lines(self.lines, **self._bound, **fields)

    def __getattr__(self, level):
        return lambda event, **fields: self.lines.append((level, event, self._bound | fields))


def test_what_went_as_it_should_is_not_said():
    kept = Lines()
    log = TerseLog(kept)
    log.debug("looked")
    log.info("broker link up")
    assert kept.lines == []


def test_the_same_trouble_of_two_links_is_said_once_whenever_it_is_tried_again():
    kept = Lines()
    log = TerseLog(kept)
    for purpose, seconds in (("publish", 0.1), ("consume", 0.2), ("publish", 0.4)):
        log.bind(link=purpose).warning("broker link down", text="nothing listens", next_try_in_seconds=seconds)
    log.error("broker link down", text="the login was refused")
    log.error("pausing", text="the login was refused")
    assert [(level, fields["text"]) for level, _, fields in kept.lines] == [
        ("warning", "nothing listens"),
        ("error", "the login was refused"),
        ("error", "the login was refused"),
    ]
    assert kept.lines[0][2]["link"] == "publish"


def test_a_fault_in_the_program_is_said_each_time():
    kept = Lines()
    log = TerseLog(kept)
    for _ in range(2):
        try:
            int("no number")
        except ValueError:
            log.exception("a round failed", worker="w")
    assert [level for level, _, _ in kept.lines] == ["exception", "exception"]
