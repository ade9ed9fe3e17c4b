"""The version of the program stands in several files, and is the same in all."""

import re
import tomllib
from pathlib import Path

import pytest
from kit.engine import AGENT_IMAGE

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("Dockerfile", r"^ARG VERSION=(.+)$"),
        ("docker-compose.yml", r"^ +image: apostille-agent:(.+)$"),
        ("CHANGELOG.md", r"\A(?:.*\n)*?## (\S+)"),
    ],
)
def test_every_file_names_the_version_of_the_project(file, pattern):
    assert set(re.findall(pattern, (ROOT / file).read_text(), re.MULTILINE)) == {VERSION}


def test_the_tests_use_the_image_of_this_version():
    assert f"apostille-agent:{VERSION}" == AGENT_IMAGE
