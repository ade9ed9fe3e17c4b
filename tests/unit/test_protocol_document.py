import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from kit.patience import PATIENCE

from protocol import messages
from protocol.errors import ProblemCode

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "PROTOCOL.md").read_text(encoding="utf-8")
MODELS = [
    name
    for name, found in inspect.getmembers(messages, inspect.isclass)
    if issubclass(found, messages.Model) and found is not messages.Model
]


def test_the_generated_sections_say_what_the_code_does():
    script = ROOT / "scripts" / "generate_docs.py"
    answer = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (answer.returncode, answer.stderr) == (0, "")


@pytest.mark.parametrize("name", MODELS)
def test_every_message_has_its_table_of_fields(name):
    assert f"\n### {name}\n" in TEXT


@pytest.mark.parametrize("code", ProblemCode)
def test_every_problem_code_is_explained(code):
    assert f"| `{code}` |" in TEXT


def test_every_link_within_the_document_leads_somewhere():
    headings = {line.lstrip("#").strip() for line in TEXT.splitlines() if line.startswith("#")}
    anchors = {heading.lower().replace(" ", "-").replace(",", "") for heading in headings}
    links = {part.split(")")[0] for part in TEXT.split("](#")[1:]}
    assert links <= anchors
