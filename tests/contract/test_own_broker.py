"""One suite for both kinds of broker of our own: the private node and the container."""

import json
import shutil
from pathlib import Path

import pytest
from kit.broker import ADMIN, channel, definitions, new_realm, password
from kit.engine import require_engine

from agents.adapters.broker import DockerBroker, LocalNode, PrivateBroker, find_broker
from agents.adapters.broker.host import answers_amqp
from agents.errors import UnreachableError
from protocol import topology

REALM = new_realm()


def private(tmp_path):
    match find_broker({}):
        case LocalNode(installation):
            return PrivateBroker(tmp_path / "node", definitions([REALM]), installation)
    pytest.skip("RabbitMQ is not installed here")


def container(_):
    require_engine()
    return DockerBroker(definitions([REALM]), Path(shutil.which("docker")))


@pytest.fixture(params=[private, pytest.param(container, marks=pytest.mark.containers)])
def own(request, tmp_path):
    made = request.param(tmp_path)
    yield made
    made.stop()


def url(own, user):
    return f"amqp://{user}:{password(user)}@127.0.0.1:{own.port}/{REALM.host}"


def send(own, body):
    with channel(url(own, REALM.requester)) as opened:
        opened.basic_publish(topology.out_exchange(REALM.requester), REALM.requests, body, mandatory=True)


def received(own):
    with channel(url(own, REALM.issuer)) as opened:
        return opened.basic_get(REALM.requests, auto_ack=True)[2]


def test_it_lives_through_start_restart_kill_and_stop(own):
    own.start()
    assert "guest" not in own.ctl("list_users")
    assert ADMIN in own.ctl("list_users")

    send(own, b"before a restart")
    own.restart()
    assert received(own) == b"before a restart"

    send(own, b"before a power failure")
    own.kill()
    assert not answers_amqp(own.port)
    own.start()
    assert received(own) == b"before a power failure"

    own.stop()
    own.stop()
    assert not answers_amqp(own.port)


def test_a_command_reads_what_it_is_given_and_fails_in_words(own):
    with own:
        other = new_realm()
        own.ctl("import_definitions", given=json.dumps(definitions([other])))
        assert other.host in own.ctl("list_vhosts")
        with pytest.raises(UnreachableError, match="no-such-command"):
            own.ctl("no-such-command")


def test_definitions_that_the_broker_refuses_end_in_its_own_words_and_leave_nothing_running(own):
    own._definitions = {"vhosts": "not a list"}
    with pytest.raises(UnreachableError, match=r"(?s)last words:.*definitions"):
        own.start()
    assert not answers_amqp(own.port)
