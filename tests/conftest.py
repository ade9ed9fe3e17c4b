"""Fixtures for the whole tree. What they are made of lies in `tests/kit`."""

import time

import pytest
from hypothesis import settings
from kit import broker as kit_broker

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
"""No example has a deadline: how long one takes says how busy the machine is."""


def pytest_report_header():
    return kit_broker.describe()


@pytest.fixture(scope="session")
def session_broker():
    """One broker for the session; with pytest-xdist each worker has its own."""
    with kit_broker.running_broker(kit_broker.choose()) as broker:
        yield broker


@pytest.fixture
def broker(session_broker):
    """A broker that works: if the test breaks it, it is mended before the next one."""
    return session_broker


@pytest.fixture
def breakable_broker(session_broker):
    """A broker of our own that the test may stop, kill, block or change; mended afterwards. Skips on a given one."""
    session_broker.require_own()
    yield session_broker
    session_broker.heal()


@pytest.fixture
def realm(broker):
    """An issuer and three requesters in a virtual host that no other test uses."""
    return broker.fresh()


@pytest.fixture
def eventually():
    """Wait until something becomes true, and fail if it does not within half a minute."""

    def wait(holds, seconds=30.0):
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                pytest.fail(f"not true within {seconds:.0f} s")
            time.sleep(0.02)

    return wait
