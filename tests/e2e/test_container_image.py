"""The one image of all agents: what it holds, what it does not, and what it says of itself."""

import tomllib

import pytest
from kit.engine import AGENT_IMAGE, BASE_IMAGES, ROOT, build_image, docker, inspect, require_engine

ADDED_MAX = 120_000_000
"""Bytes that the image may add to its base."""

INSTALLED = "import importlib.metadata as m; print(*(d.name.lower().replace('_', '-') for d in m.distributions()))"


def pins(name):
    """The lines of a lock file that name a package and its version."""
    return [line.removesuffix(" \\") for line in (ROOT / name).read_text().splitlines() if "==" in line]


@pytest.fixture(scope="module")
def image():
    require_engine()
    build_image()
    return AGENT_IMAGE


def run(image, program, *arguments):
    return docker("run", "--rm", "--network", "none", "--entrypoint", program, image, *arguments)


@pytest.mark.containers
def test_it_runs_the_agent_under_a_user_of_its_own_and_says_its_version(image):
    config = inspect("image", image)["Config"]
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert image.endswith(f":{version}")
    assert config["Labels"]["org.opencontainers.image.version"] == version
    assert docker("run", "--rm", "--network", "none", image, "--version").strip() == f"agent {version}"
    assert config["Entrypoint"] == ["agent"]
    assert config["User"] == "10001:10001"
    assert config["Healthcheck"]["Test"] == ["CMD", "agent", "status", "--health"]


@pytest.mark.containers
def test_it_adds_little_to_its_base(image):
    assert inspect("image", image)["Size"] - inspect("image", BASE_IMAGES[0])["Size"] < ADDED_MAX


@pytest.mark.containers
def test_it_holds_what_is_pinned_to_run_and_nothing_to_build_or_test_with(image):
    held = set(run(image, "/opt/agent/bin/python", "-c", INSTALLED).split())
    assert held == {pin.split("==")[0] for pin in pins("requirements-runtime.lock")} | {"apostille"}
    assert run(image, "sh", "-c", "command -v gcc cc make git || true") == ""
    assert run(image, "find", "/opt/agent", "-name", "pip", "-o", "-name", "setuptools", "-o", "-name", "tests") == ""
    assert run(image, "sh", "-c", "ls -A /build /tests ~/.cache 2>/dev/null || true") == ""


@pytest.mark.containers
def test_no_layer_and_no_variable_of_it_holds_a_secret(image):
    said = str(inspect("image", image)["Config"]) + docker("history", "--no-trunc", image)
    assert not [word for word in ("PASSWORD", "PASSPHRASE", "PRIVATE KEY", "://") if word in said.upper()]


@pytest.mark.parametrize("lock", ["requirements-runtime.lock", "requirements-build.lock"])
def test_what_it_is_made_of_is_pinned_as_for_development(lock):
    developed = (ROOT / "requirements.lock").read_text()
    assert pins(lock)
    assert [pin for pin in pins(lock) if f"\n{pin} \\\n" not in f"\n{developed}"] == []
