"""Organisations for the end-to-end tests: of one test, or shared by a file whose tests do not disturb each other."""

import pytest
from kit.agents import new_scene


@pytest.fixture
def scene(broker, tmp_path):
    """An issuer and a requester, made and not running."""
    with new_scene(broker, tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def running(session_broker, tmp_path_factory):
    """An issuer and a requester whose daemons run, enrolled, for all tests of a file."""
    with new_scene(session_broker, tmp_path_factory.mktemp("running")) as made:
        made.start(made.issuer, made.requester)
        made.enrolled()
        yield made
