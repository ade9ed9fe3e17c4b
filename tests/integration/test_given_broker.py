"""A broker given by URL belongs to somebody: the demonstration makes its queues there, and harms no others."""

import uuid

import pika
import pytest

from agents.adapters.amqp.once import declare
from agents.errors import ConfigurationError
from protocol.names import OrganisationName

B, C = OrganisationName("client-b"), OrganisationName("client-c")


@pytest.fixture
def url(broker):
    node, host = broker.require_own(), f"given-{uuid.uuid4().hex}"
    admin = broker.admin_url(C)
    user = admin.split("//")[1].split(":")[0]
    node.ctl("add_vhost", host)
    node.ctl("set_permissions", "-p", host, user, ".*", ".*", ".*")
    yield f"{admin.rsplit('/', 1)[0]}/{host}"
    node.ctl("delete_vhost", host)


def test_what_is_there_already_stays_and_is_used_again(url):
    declare(url, C, [B])
    declare(url, C, [B])


def test_a_queue_with_somebodys_messages_is_left_alone(url):
    declare(url, C, [B])
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish("", "replies.client-b", b"kept", mandatory=True)
    with pytest.raises(ConfigurationError, match=r"replies\.client-b .*1 messages.*virtual host of its own"):
        declare(url, C, [B])
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        assert connection.channel().basic_get("replies.client-b", auto_ack=True)[2] == b"kept"
