"""A document whose commands run: its fenced blocks, and terminals that they are pasted into.

The conventions, which a reader of the document sees too: a block `sh` begins with a comment that names its terminal; a
block `text` after it is what that terminal shows, where `…` stands for anything. Such a block can name another terminal
in its own first line. What still runs when another terminal's turn comes, stays in the foreground.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 900.0
"""Seconds for a block to show what it should; generous, because a broker may start meanwhile."""

CLOSING = 60.0
"""Seconds for everything in a terminal to end in order before it is ended less kindly."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_TERMINAL = re.compile(r"# (Terminal \d|Every terminal)\n")
_ELLIPSIS = "…"


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, where it begins in the document, the terminal it names, and the rest."""

    language: str
    line: int
    terminal: str | None
    text: str

    @property
    def expected(self) -> re.Pattern[str]:
        """What must be shown, line by line; a line that is only `…` stands for any lines, none included."""
        lines = self.text.strip().splitlines()
        return re.compile(
            "^" + "".join("(?:.*\\n)*?" if line == _ELLIPSIS else _line(line) for line in lines), re.MULTILINE
        )


def _line(text: str) -> str:
    return re.escape(text).replace(_ELLIPSIS, ".*") + "\\n"


def sections(text: str) -> dict[str, list[Block]]:
    """The blocks under each heading of the second level; those before the first one under an empty heading."""
    starts = [(0, "")] + [(match.start(), match[1]) for match in _HEADING.finditer(text)]
    ends = [start for start, _ in starts[1:]] + [len(text)]
    return {
        heading: [_block(match, text) for match in _FENCE.finditer(text) if start <= match.start() < end]
        for (start, heading), end in zip(starts, ends, strict=True)
    }


def _block(match: re.Match[str], text: str) -> Block:
    named = _TERMINAL.match(match[2])
    content = match[2][named.end() :] if named else match[2]
    return Block(match[1], text.count("\n", 0, match.start()) + 1, named[1] if named else None, content)


def commands(script: str) -> list[str]:
    """The commands of a block, one each, with their continuation lines."""
    return re.findall(r"(?:.*\\\n)*.+", script)


class Terminal:
    """A shell in a directory, and everything that it has shown."""

    def __init__(self, name: str, directory: Path) -> None:
        self._screen = directory / f"{name.replace(' ', '-').lower()}.screen"
        self._seen = 0
        self._count = 0
        self.name, self.directory = name, directory
        with self._screen.open("wb") as screen:
            self._shell = subprocess.Popen(
                ["bash", "--noprofile", "--norc"],
                cwd=directory,
                stdin=subprocess.PIPE,
                stdout=screen,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                text=True,
                env={**os.environ, "COLUMNS": "200"},
            )

    def paste(self, script: str) -> None:
        """Enter a block as it stands, once the one before is done."""
        if self._count:
            self.wait(None)
        self._seen = len(self.screen())
        self._count += 1
        for number, command in enumerate(commands(script)):
            file = self.directory / f".{self._screen.stem}.{self._count}.{number}"
            file.write_text(command + "\n")
            self._enter(f". {file} < /dev/null || echo FAILED: $?: {shlex.quote(command)}\n")
        self._enter(f"echo '{self._prompt}'\n")

    def show(self, text: str) -> None:
        """Have the terminal show what was printed elsewhere for it."""
        file = self._screen.with_suffix(".elsewhere")
        file.write_text(text)
        self.paste(f"cat {file}")

    def _enter(self, line: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(line)
        self._shell.stdin.flush()

    @property
    def _prompt(self) -> str:
        return f"<prompt {self._count}>"

    def screen(self) -> str:
        """All that was shown."""
        return self._screen.read_text(errors="replace")

    def since(self) -> str:
        """What was shown since the last block was pasted."""
        return self.screen()[self._seen :]

    def is_idle(self) -> bool:
        """Whether the last block is done."""
        return self._prompt in self.since()

    def wait(self, block: Block | None) -> None:
        """Wait for what `block` says is shown, or without one until the commands are done."""
        deadline = time.monotonic() + PATIENCE
        while not self._shows(block):
            self._require_well()
            if time.monotonic() > deadline or (self.is_idle() and not self._shows(block)):
                wanted = f"what stands in line {block.line}:\n{block.text}" if block else "its prompt"
                raise AssertionError(f"{self.name} does not show {wanted}\nbut:\n{self.since()}")
            time.sleep(0.05)
        self._require_well()

    def _shows(self, block: Block | None) -> bool:
        return bool(block.expected.search(self.since())) if block else self.is_idle()

    def _require_well(self) -> None:
        assert not re.search("^FAILED: ", self.since(), re.MULTILINE), f"{self.name}:\n{self.since()}"
        assert self._shell.poll() is None, f"{self.name} has ended\n{self.since()}"

    def close(self) -> None:
        """End the shell and all that it started: Ctrl-C first. Does nothing the second time."""
        assert self._shell.stdin is not None
        if self._shell.stdin.closed:
            return
        self._shell.stdin.close()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if not _group_lives(self._shell.pid, number):
                break
            deadline = time.monotonic() + CLOSING
            while _group_lives(self._shell.pid, 0) and time.monotonic() < deadline:
                self._shell.poll()
                time.sleep(0.05)
        self._shell.wait(CLOSING)


def _group_lives(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True
