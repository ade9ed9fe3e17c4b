"""The guard around pika's connection, fed with bytes as a broker sends them."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import ConnectionParameters, SelectConnection, spec
from pika.exceptions import InvalidFrameError
from pika.frame import Body, Header, Heartbeat, ProtocolHeader

from agents.adapters.amqp.connection import BODY_BYTES_MAX, GuardedConnection


@pytest.fixture(scope="module")
def connection():
    """A connection that never connects."""
    connection = GuardedConnection(ConnectionParameters(), internal_connection_workflow=False)
    yield connection
    connection.ioloop.close()


def frame(kind, payload, end=b"\xce"):
    return struct.pack(">BHL", kind, 1, len(payload)) + payload + end


def header(properties, body_size=10):
    return frame(spec.FRAME_HEADER, struct.pack(">HHQ", 60, 0, body_size) + properties)


def read(connection, data):
    connection._frame_buffer = data
    return connection._read_frame()


DATE = b"\x01kT" + b"\xff" * 8
HOSTILE = struct.pack(">HI", spec.BasicProperties.FLAG_HEADERS, len(DATE)) + DATE


def test_pika_alone_raises_on_a_date_beyond_the_year_9999(connection):
    connection._frame_buffer = header(HOSTILE)
    with pytest.raises((OverflowError, ValueError, OSError)):
        SelectConnection._read_frame(connection)


@given(st.binary(max_size=200))
def test_no_properties_whatever_raise(connection, properties):
    data = header(properties)
    taken, found = read(connection, data + b"rest")
    assert taken == len(data)
    assert isinstance(found, Header)
    assert found.body_size == 10
    assert found.properties.headers is None


def test_an_incomplete_frame_waits_for_the_rest(connection):
    data = header(HOSTILE)
    assert all(read(connection, data[:length]) == (0, None) for length in range(len(data)))


def test_a_body_is_read_as_it_is(connection):
    taken, found = read(connection, frame(spec.FRAME_BODY, b"\xce body") + b"rest")
    assert taken == 7 + 6 + 1
    assert isinstance(found, Body)
    assert found.fragment == b"\xce body"


def test_other_frames_are_read_by_pika(connection):
    assert isinstance(read(connection, frame(spec.FRAME_HEARTBEAT, b""))[1], Heartbeat)
    assert isinstance(read(connection, b"AMQP\x00\x00\x09\x01")[1], ProtocolHeader)


@pytest.mark.parametrize(
    "data",
    [
        frame(spec.FRAME_BODY, b"body", end=b"x"),
        frame(spec.FRAME_HEADER, b"short"),
        header(b"\x00\x00", body_size=BODY_BYTES_MAX + 1),
        struct.pack(">BHL", spec.FRAME_BODY, 1, 2**32 - 1),
        struct.pack(">BHL", spec.FRAME_METHOD, 1, 2**20),
    ],
)
def test_frames_that_no_broker_may_send_are_refused(connection, data):
    with pytest.raises(InvalidFrameError):
        read(connection, data)
