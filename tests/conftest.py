"""Fixtures for the whole tree. What they are made of lies in `tests/kit`."""

import signal
import time

import pytest
from hypothesis import HealthCheck, settings
from kit import broker as kit_broker
from kit.patience import PATIENCE

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
"""Nothing is judged by the time that it takes: that says how busy the machine is."""

signal.signal(signal.SIGINT, signal.default_int_handler)
"""What tests start takes Ctrl-C, also where the session was begun in the background, for which shells ignore it."""


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
    """Wait until something becomes true, and fail if it does not in time."""

    def wait(holds, seconds=PATIENCE):
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                pytest.fail(f"not true within {seconds:.0f} s")
            time.sleep(0.02)

    return wait
