"""No client of the channel's listener costs another one anything, and none stops it."""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from kit.channel import GENEROUS, HOST, World, visit, visitor
from kit.patience import PATIENCE

from agents.adapters.tls import Limits

SHORT = Limits(handshake=5.0, first_request=5.0, exchange=60.0, linger=0.2)
"""Long enough for an honest client of a busy machine."""


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def raw(endpoint, source="127.0.0.1"):
    return socket.create_connection(("127.0.0.1", endpoint.port), timeout=PATIENCE, source_address=(source, 0))


def ended(sock):
    """Whether the listener has ended the connection, in whichever way; waits for it."""
    with contextlib.suppress(ConnectionError):
        while sock.recv(4096):
            pass
    return True


def drip(sock, stop):
    """One byte of a client hello now and then, for as long as the other end takes it."""
    hello = b"\x16\x03\x01\x02\x00" + b"\x01" * 500
    with contextlib.suppress(OSError):
        for position in range(len(hello)):
            sock.sendall(hello[position : position + 1])
            if stop.wait(0.1):
                return


def test_slow_clients_are_dropped_while_fifty_others_are_served(world):
    with world.listening(limits=SHORT) as endpoint, contextlib.ExitStack() as stack:
        silent = [stack.enter_context(raw(endpoint, "127.0.0.2")) for _ in range(3)]
        context = visitor(world, world.client)
        mute = [stack.enter_context(context.wrap_socket(raw(endpoint), server_hostname=HOST)) for _ in range(3)]
        slow, stop = stack.enter_context(raw(endpoint, "127.0.0.2")), threading.Event()
        dripping = threading.Thread(target=drip, args=(slow, stop))
        dripping.start()
        with ThreadPoolExecutor(4) as pool:
            reports = list(pool.map(lambda _: world.dial(endpoint), range(50)))
        assert len({report.partner_saw.certificate for report in reports}) == 1
        assert all(ended(sock) for sock in (*silent, slow))
        assert all(sock.recv(4096).startswith(b"HTTP/1.1 408 ") for sock in mute)
        stop.set()
        dripping.join()
    assert world.log.reasons("channel client failed").count("not done in time") == 4


def test_a_request_that_comes_byte_by_byte_runs_out_of_time(world):
    context, stop = visitor(world, world.client), threading.Event()
    with world.listening(limits=SHORT) as endpoint, context.wrap_socket(raw(endpoint), server_hostname=HOST) as tls:

        def say():
            with contextlib.suppress(OSError):
                while not stop.wait(0.1):
                    tls.sendall(b"G")

        saying = threading.Thread(target=say)
        saying.start()
        answer = tls.recv(4096)
        stop.set()
        saying.join()
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_one_address_cannot_hold_more_half_open_connections_than_its_share(world):
    with world.listening() as endpoint, contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(raw(endpoint, "127.0.0.2"))
        assert ended(stack.enter_context(raw(endpoint, "127.0.0.2")))
        assert world.dial(endpoint)
    assert world.log.reasons("channel client turned away") == ["8 handshakes are in progress with this address"]


def test_half_open_connections_are_bounded_in_all_and_their_room_comes_back(world):
    limits = replace(SHORT, half_open=20)
    with world.listening(limits=limits) as endpoint, contextlib.ExitStack() as stack:
        held = [stack.enter_context(raw(endpoint, f"127.0.0.{2 + count % 5}")) for count in range(20)]
        assert ended(stack.enter_context(raw(endpoint, "127.0.0.9")))
        assert all(ended(sock) for sock in held)
        assert world.dial(endpoint)
    assert world.log.reasons("channel client turned away") == ["20 handshakes are in progress"]


def test_connections_are_bounded_in_all(world):
    context = visitor(world, world.client)
    with world.listening(limits=replace(GENEROUS, connections=2)) as endpoint, contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(context.wrap_socket(raw(endpoint), server_hostname=HOST))
        assert ended(stack.enter_context(raw(endpoint)))
    assert world.log.reasons("channel client turned away") == ["2 connections are open"]


def test_the_listener_goes_on_after_the_process_ran_out_of_file_descriptors(world, eventually):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with world.listening() as endpoint, contextlib.ExitStack() as stack:
        waiting = stack.enter_context(socket.socket())
        context = visitor(world, world.client)
        spare = [stack.enter_context(socket.socket())]
        resource.setrlimit(resource.RLIMIT_NOFILE, (spare[0].fileno() + 1, hard))
        try:
            with contextlib.suppress(OSError):
                while True:
                    spare.append(stack.enter_context(socket.socket()))
            waiting.settimeout(PATIENCE)
            waiting.connect(("127.0.0.1", endpoint.port))
            eventually(lambda: world.log.reasons("channel cannot accept"))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with context.wrap_socket(waiting, server_hostname=HOST) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert tls.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert world.dial(endpoint)
    assert "Too many open files" in world.log.reasons("channel cannot accept")[0]


def test_a_client_that_resets_its_connection_harms_nobody(world):
    now = b"\1\0\0\0\0\0\0\0"  # struct linger: on, 0 seconds
    with world.listening() as endpoint:
        for _ in range(20):
            with raw(endpoint, "127.0.0.3") as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
                sock.sendall(b"\x16\x03\x01")
        assert world.dial(endpoint)


def test_a_slow_ledger_holds_up_only_those_who_need_it(world):
    gate = threading.Event()
    asked = world.books.admission

    def admission(leaf):
        gate.wait(PATIENCE)
        return asked(leaf)

    world.books.admission = admission
    with world.listening() as endpoint, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(world.dial, endpoint)
        with pytest.raises(OSError, match="CERTIFICATE_REQUIRED"):
            visit(endpoint, visitor(world, None), b"GET / HTTP/1.1\r\n\r\n")
        assert not waiting.done()
        gate.set()
        assert waiting.result(PATIENCE)


def test_an_exchange_that_is_under_way_may_finish_while_the_listener_closes(world):
    inside, gate = threading.Event(), threading.Event()
    asked = world.books.admission

    def admission(leaf):
        inside.set()
        gate.wait(PATIENCE)
        return asked(leaf)

    world.books.admission = admission
    listener = world.listener()
    endpoint = listener.start()
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(world.dial, endpoint)
        inside.wait(PATIENCE)
        closing = pool.submit(listener.close, PATIENCE)
        gate.set()
        assert waiting.result(PATIENCE)
        closing.result(PATIENCE)
    with pytest.raises(ConnectionRefusedError):
        raw(endpoint)


def test_closing_cuts_what_does_not_finish_in_its_grace_and_may_be_repeated(world):
    listener = world.listener()
    endpoint = listener.start()
    with raw(endpoint) as sock:
        listener.close(0.1)
        listener.close(0.1)
        assert ended(sock)


def test_closing_what_never_started_does_nothing(world):
    world.listener().close(1)
