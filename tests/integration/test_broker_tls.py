"""A real broker started from what `agent broker certify` makes: who gets in, as whom, and what the others are told."""

import shutil
import socket
import ssl
import time
from dataclasses import replace

import pika
import pytest
from kit.bus import QUICK, silent_log
from kit.pki import Authority

from agents.adapters.amqp import AmqpBus, BrokerAccess, ClientCertificate
from agents.adapters.broker import LocalNode, PrivateBroker, find_broker
from agents.adapters.broker.host import HOST
from agents.adapters.broker.settings import PLUGINS, SETTINGS
from agents.adapters.clock import SystemClock
from agents.bootstrap.broker import Partnership
from agents.bootstrap.certified import Readers, certify_broker
from agents.ports import Outgoing, PublishOutcome
from protocol import topology
from protocol.broker import BrokerAddress
from protocol.names import OrganisationName

B, C, STRANGER = map(OrganisationName, ("client-b", "client-c", "client-x"))
STARTING = 600.0


class CertifiedBroker(PrivateBroker):
    """A private node with the files that `agent broker certify` made, but for the port, which is loopback's."""

    def __init__(self, directory, certified, installation):
        super().__init__(directory, {}, installation)
        self.certified = certified
        settings = (certified / "broker" / SETTINGS).read_text()
        assert settings.count(" = 5671\n") == 1
        configuration = certified / "rabbitmq-on-loopback.conf"
        configuration.write_text(settings.replace(" = 5671\n", f" = {HOST}:{self.port}\n"))
        self._environment |= {
            "RABBITMQ_CONFIG_FILE": str(configuration),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(certified / "broker" / PLUGINS),
        }

    def _wait_until_ready(self, node):
        deadline = time.monotonic() + STARTING
        while not self._listens():
            assert not node.ended, self._complaint("ended at its start")
            assert time.monotonic() < deadline, self._complaint("did not come up")
            time.sleep(0.1)

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0


def certify(directory, requester=B):
    return certify_broker(directory, Partnership((C,), (requester,)), "localhost", Readers()).directory


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """The broker, for all tests here: none of them changes it."""
    choice = find_broker({})
    if not isinstance(choice, LocalNode):
        pytest.skip("needs an installed RabbitMQ: it is started with settings of its own")
    directory = tmp_path_factory.mktemp("certified")
    with CertifiedBroker(directory / "node", certify(directory / "made"), choice.installation) as node:
        yield node


def access(node, user, folder=None, **changes):
    """How `user` reaches the broker with what lies in its folder."""
    login = folder or node.certified / user
    certificate = ClientCertificate(login / "certificate.pem", login / "key.pem")
    named = {"user": user, "login": certificate, "authority": node.certified / user / "ca.pem", **changes}
    return BrokerAccess(BrokerAddress(f"amqps://localhost:{node.port}"), topology.virtual_host(C), **named)


@pytest.fixture
def connect(node):
    """A bus for an organisation; all are closed in the end."""
    opened = []

    def open_bus(user, queue, reach=None):
        bus = AmqpBus(reach or access(node, user), user, queue, SystemClock(), silent_log(), timing=QUICK)
        opened.append(bus)
        return bus

    yield open_bus
    for bus in opened:
        bus.close(2.0)


@pytest.fixture
def trouble(connect, eventually):
    """What health says about a login that fails."""

    def said(user, reach=None, queue=None):
        bus = connect(user, queue or topology.reply_queue(B), reach)
        eventually(lambda: bus.health().last_error)
        assert not bus.health().connected
        return bus.health().last_error

    return said


def plain_context(node, holder=None):
    context = ssl.create_default_context(cafile=node.certified / B / "ca.pem")
    if holder:
        context.load_cert_chain(node.certified / holder / "certificate.pem", node.certified / holder / "key.pem")
    return context


def test_each_logs_in_with_its_certificate_and_reaches_the_other(connect):
    requests, replies = topology.request_queue(C), topology.reply_queue(B)
    b, c = connect(B, replies), connect(C, requests)
    b.publish([Outgoing(topology.out_exchange(B), requests, b"asked", "enrollment.request", "one")])
    (delivered,) = c.receive(1, 20.0)
    assert delivered.body == b"asked"
    c.publish([Outgoing(topology.out_exchange(C), replies, b"answered", "enrollment.reply", "one")])
    (delivered,) = b.receive(1, 20.0)
    assert delivered.body == b"answered"


def test_a_certificate_is_its_user_and_nobody_else(trouble):
    assert "403" in trouble(B, queue=topology.request_queue(C))


def test_it_has_one_port_and_no_user_beside_the_organisations(node):
    users = {line.split("\t")[0] for line in node.ctl("list_users", "--no-table-headers").splitlines()}
    assert users == {B, C}
    listeners = node.ctl("eval", "[{P, O} || {listener, _, P, _, _, O, _} <- rabbit_networking:active_listeners()].")
    assert f"{{'amqp/ssl',{node.port}}}" in listeners
    assert "{amqp," not in listeners


def test_it_keeps_room_on_its_disk(node):
    assert int(node.ctl("eval", "rabbit_disk_monitor:get_disk_free_limit().")) == topology.DISK_FREE_MIN


@pytest.mark.parametrize("credentials", [("guest", "guest"), (B, "")])
def test_a_password_is_refused_even_with_a_good_certificate(node, credentials):
    class Insistent(pika.PlainCredentials):
        def response_for(self, start):
            start.mechanisms = "PLAIN"
            return super().response_for(start)

    parameters = pika.ConnectionParameters(
        "localhost",
        node.port,
        topology.virtual_host(C),
        Insistent(*credentials),
        ssl_options=pika.SSLOptions(plain_context(node, B), "localhost"),
    )
    with pytest.raises(pika.exceptions.AMQPConnectionError) as refused:
        pika.BlockingConnection(parameters)
    assert "PLAIN" in repr(refused.value) or "Auth" in repr(refused.value)


def test_who_shows_no_certificate_gets_not_a_word_of_amqp(node):
    with (
        socket.create_connection((HOST, node.port), 10) as connection,
        plain_context(node).wrap_socket(connection, server_hostname="localhost") as secured,
        pytest.raises(ssl.SSLError),  # the alert certificate_required, or the end of the connection
    ):
        secured.sendall(b"AMQP\x00\x00\x09\x01")
        secured.recv(1)


def test_a_certificate_of_another_authority_is_refused_and_health_says_what_to_look_at(trouble, node, tmp_path):
    other = Authority("other").client(B)
    (tmp_path / "certificate.pem").write_bytes(other.pem)
    (tmp_path / "key.pem").write_bytes(other.key_pem)
    assert "our client certificate is in force and from a CA the broker trusts" in trouble(B, access(node, B, tmp_path))


def test_a_certificate_of_an_organisation_that_the_broker_does_not_know_is_no_login(trouble, node, tmp_path):
    shutil.copytree(node.certified / "authority", tmp_path / "authority")
    certify(tmp_path, STRANGER)
    reach = access(node, STRANGER, tmp_path / STRANGER, authority=node.certified / B / "ca.pem")
    told = trouble(STRANGER, reach)
    assert f"refused the login of user '{STRANGER}'. Ask the broker's operator whether the DNS name" in told


def test_who_comes_with_a_password_is_told_that_a_certificate_may_be_wanted(trouble, node):
    assert "whether it demands a client certificate" in trouble(B, access(node, B, login=lambda: "secret"))


def test_a_user_name_that_is_not_that_of_the_certificate_is_said_with_the_right_one(connect, node):
    bus = connect(B, topology.reply_queue(B), replace(access(node, B), user="other"))
    assert bus.wait_connected(20)
    message = Outgoing(topology.out_exchange(B), topology.request_queue(C), b"asked", "enrollment.request", "one")
    assert bus.publish([message]).outcomes() == (PublishOutcome.REFUSED,)
    assert f"authenticated user was '{B}'. Write the user that the broker names" in bus.health().last_error
