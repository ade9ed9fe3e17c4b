"""Network links for simulations: they pass, freeze, reset and refuse."""

import socket
import threading

import pytest
from kit.patience import PATIENCE
from kit.ports import KeptPort

from agents.adapters.network import Network


@pytest.fixture
def echo():
    """A port that sends back what it gets."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=reply, args=(connection,), daemon=True).start()

    def reply(connection):
        with connection:
            try:
                while data := connection.recv(4096):
                    connection.sendall(data)
            except OSError:
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.fixture
def link(echo):
    with Network([echo]) as network:
        yield network.links[0]


@pytest.fixture
def connection(link):
    with socket.create_connection(("127.0.0.1", link.port), PATIENCE) as opened:
        opened.sendall(b"hello")
        assert opened.recv(100) == b"hello"
        yield opened


def is_refused(link):
    try:
        with socket.create_connection(("127.0.0.1", link.port), PATIENCE) as opened:
            opened.sendall(b"hello")
            return opened.recv(100) == b""
    except ConnectionError:
        return True


def test_octets_pass_in_both_directions(connection):
    connection.sendall(b"again")
    assert connection.recv(100) == b"again"


def test_nothing_passes_a_frozen_link_until_it_thaws(link, connection):
    link.freeze()
    connection.sendall(b"held back")
    connection.settimeout(0.3)
    with pytest.raises(TimeoutError):
        connection.recv(100)
    link.thaw()
    connection.settimeout(PATIENCE)
    assert connection.recv(100) == b"held back"


def test_reset_connections_end_with_an_error(link, connection):
    link.reset()
    with pytest.raises(ConnectionResetError):
        connection.recv(100)


def test_after_a_reset_new_connections_are_made(link, connection):
    link.reset()
    assert not is_refused(link)


def test_a_refusing_link_lets_nobody_in_until_it_admits(link, connection):
    link.refuse()
    assert is_refused(link)
    link.admit()
    assert not is_refused(link)


def test_a_link_to_nobody_refuses():
    with KeptPort() as nobody, Network([nobody.number]) as network:
        assert is_refused(network.links[0])


def test_links_are_struck_one_by_one(echo):
    with Network([echo, echo]) as network:
        network.links[0].refuse()
        assert is_refused(network.links[0])
        assert not is_refused(network.links[1])
