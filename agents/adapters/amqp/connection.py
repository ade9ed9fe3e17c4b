"""pika's connection, hardened: what a stranger put into a message cannot break it, and a batch leaves in one write.

Overrides four methods that pika keeps for its adapters. They are the same in all of 1.x, on which we depend.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pika import SelectConnection, spec
from pika.exceptions import AMQPError, InvalidFrameError
from pika.frame import Body, Header

logging.getLogger("pika").setLevel(logging.CRITICAL)  # `trouble` says it for people, and without tracebacks

BODY_BYTES_MAX = 128 * 1024 * 1024
"""Largest body announced to us that we collect at all: the most that any RabbitMQ lets through."""

_CORK_BYTES = 65_536
"""How much is joined into one write: a send of more would be cut by the socket's buffer and the rest copied again."""

_PROTOCOL_HEADER = ord("A")
"""First octet of `AMQP`, which a broker of another protocol version answers with instead of a frame."""

_CONTENT_FRAMES = (spec.FRAME_HEADER, spec.FRAME_BODY)
_FRAME = struct.Struct(">BHL")
_HEADER = struct.Struct(">HHQ")
_NO_PROPERTIES = spec.BasicProperties()


class GuardedConnection(SelectConnection):  # type: ignore[misc]  # pika has no types
    """Never decodes message properties.

    They are the sender's word and nothing here needs them, and pika's decoder raises on some (a date beyond the year
    9999, a table nested a thousand deep), which costs the connection.
    """

    _corked: list[bytes] | None = None
    _corked_bytes = 0

    @contextmanager
    def corked(self) -> Iterator[None]:
        """What is sent inside leaves together; one system call per frame is a third of the cost of a message."""
        self._corked, self._corked_bytes = [], 0
        try:
            yield
        finally:
            self._flush()
            self._corked = None

    def abort(self, error: AMQPError) -> None:
        """Drop the socket without waiting for the broker. The callbacks for a lost connection follow."""
        if not self.is_closed and not (self._opened and self._transport is None):
            self._terminate_stream(error)

    def _read_frame(self) -> tuple[int, Any]:
        """The next frame (AMQP 0-9-1 section 4.2.3) and the number of octets it took; 0 and None until it is complete.

        Content frames are read here, all others by pika.
        """
        buffer = self._frame_buffer
        if len(buffer) < _FRAME.size:
            return 0, None
        kind, channel, size = _FRAME.unpack_from(buffer)
        if size > self.params.frame_max and kind != _PROTOCOL_HEADER:
            raise InvalidFrameError(f"a frame of {size} bytes, {self.params.frame_max} agreed")
        if kind not in _CONTENT_FRAMES:
            return super()._read_frame()  # type: ignore[no-any-return]
        end = _FRAME.size + size
        if len(buffer) <= end:
            return 0, None
        if buffer[end] != spec.FRAME_END:
            raise InvalidFrameError("a content frame without its end")
        payload = buffer[_FRAME.size : end]
        return end + 1, Body(channel, payload) if kind == spec.FRAME_BODY else _header(channel, payload)

    def _output_marshaled_frames(self, marshaled_frames: Sequence[bytes]) -> None:
        if self._corked is None:
            super()._output_marshaled_frames(marshaled_frames)
            return
        self._corked += marshaled_frames
        self._corked_bytes += sum(map(len, marshaled_frames))
        if self._corked_bytes >= _CORK_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._corked:
            super()._output_marshaled_frames([b"".join(self._corked)])
        self._corked, self._corked_bytes = [], 0


def _header(channel: int, payload: bytes) -> Header:
    """A content header (section 4.2.6.1) without its properties."""
    if len(payload) < _HEADER.size:
        raise InvalidFrameError(f"a content header of {len(payload)} bytes")
    _, _, body_size = _HEADER.unpack_from(payload)
    if body_size > BODY_BYTES_MAX:
        raise InvalidFrameError(f"a body of {body_size} bytes announced")
    return Header(channel, body_size, _NO_PROPERTIES)
