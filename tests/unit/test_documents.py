"""What the documents name is there: files, sections, and the modules and functions that they send a reader to."""

import importlib
import re
from functools import reduce
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
LINK = re.compile(r"\]\(([^)#:\s]*)(?:#([^)]+))?\)")
NAME = re.compile(r"`((?:protocol|agents|core|service|adapters)(?:\.\w+)+)`")
PATH = re.compile(r"`((?:protocol|agents|tests|docs|scripts)/[\w/.]+)`")

pytestmark = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())


def anchors(document):
    """Anchors of headings, as the sites make them that show documents."""
    titles = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def resolves(name):
    """Whether a dotted name is a module, or something in one."""
    parts = (name if name.startswith(("protocol.", "agents.")) else f"agents.{name}").split(".")
    for length in range(len(parts), 0, -1):
        try:
            module = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        try:
            reduce(getattr, parts[length:], module)
        except AttributeError:
            return False
        return True
    return False


def test_links_lead_somewhere(document):
    for place, anchor in LINK.findall(document.read_text()):
        target = document.parent / place if place else document
        assert target.exists(), place
        assert not anchor or anchor in anchors(target), f"{place}#{anchor}"


def test_names_of_the_program_are_there(document):
    assert [name for name in NAME.findall(document.read_text()) if not resolves(name)] == []


def test_paths_in_the_tree_are_there(document):
    assert [path for path in PATH.findall(document.read_text()) if not (ROOT / path).exists()] == []
