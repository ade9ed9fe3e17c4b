import pytest
from kit.services import new_world


@pytest.fixture
def world(tmp_path):
    with new_world(tmp_path) as made:
        yield made
