"""How long `agent --help` takes longer than an interpreter that does nothing."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import Any

RUNS = 21


def measure() -> dict[str, Any]:
    """Medians over runs taken in turn, in milliseconds."""
    agent = [
        sys.executable,
        "-c",
        "import sys; sys.argv = ['agent', '--help']; from agents.cli.main import main; main()",
    ]
    bare = [sys.executable, "-c", "pass"]
    taken = [(_milliseconds(agent), _milliseconds(bare)) for _ in range(RUNS)]
    help_ms, pass_ms = (statistics.median(column) for column in zip(*taken, strict=True))
    return {"help_ms": help_ms, "pass_ms": pass_ms, "difference_ms": help_ms - pass_ms}


def describe(result: dict[str, Any]) -> str:
    """The figures in words."""
    return f"agent --help: {result['difference_ms']:.0f} ms over python -c pass ({result['pass_ms']:.0f} ms)"


def _milliseconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - started) * 1e3
