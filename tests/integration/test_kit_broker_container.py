"""The broker for tests out of Testcontainers, for machines with an engine and no RabbitMQ: tests see no difference."""

import shutil
from pathlib import Path

import pika
import pytest
from kit.broker import channel, running_broker, take
from kit.engine import require_engine

from agents.adapters.broker import Docker
from protocol import topology


@pytest.fixture(scope="module")
def contained(tmp_path_factory):
    require_engine()
    with running_broker(Docker(Path(shutil.which("docker")))) as broker:
        yield broker


def publish(broker, realm, body):
    with channel(broker.organisation_url(realm.issuer, realm.requester)) as opened:
        properties = pika.BasicProperties(delivery_mode=2)
        opened.basic_publish(topology.out_exchange(realm.requester), realm.requests, body, properties, mandatory=True)


@pytest.mark.containers
def test_it_keeps_its_messages_through_a_restart_and_a_power_failure(contained):
    realm = contained.fresh()
    for end in (contained.require_own().restart, contained.require_own().kill):
        publish(contained, realm, b"x")
        end()
        contained.heal()
        assert take(contained, realm, realm.requests) == [b"x"]


@pytest.mark.containers
def test_its_permissions_are_those_of_the_definitions(contained):
    realm, other = contained.fresh(), contained.fresh()
    refused = pytest.raises(pika.exceptions.ChannelClosedByBroker, match="ACCESS_REFUSED")
    with channel(contained.organisation_url(realm.issuer, realm.requester)) as opened, refused:
        opened.basic_get(realm.requests)
    stranger = contained.url(realm.issuer, other.requester, f"password-of-{other.requester}")
    with pytest.raises(pika.exceptions.ProbableAccessDeniedError), channel(stranger):
        pass
