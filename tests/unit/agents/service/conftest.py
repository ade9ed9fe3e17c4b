import pytest
from kit.envelopes import B
from kit.services import new_world

from protocol.transaction import State


@pytest.fixture
def world(tmp_path):
    with new_world(tmp_path) as made:
        yield made


@pytest.fixture
def created(world):
    """A request that is recorded and not sent."""
    return world.b.begin(world.issuer.invite(B))


@pytest.fixture
def sent(world, created):
    world.b.work(1)
    assert world.b.state(created) is State.SENT
    return created
