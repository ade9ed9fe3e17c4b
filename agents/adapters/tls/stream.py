"""TLS over a socket without blocking the event loop, and without leaving the other end in the dark.

asyncio's own TLS closes the connection when a handshake fails and drops the alert, so that the other end sees only an
end of file. Here OpenSSL works in memory and every byte that it wants sent is sent, alerts included.
Deadlines are the caller's.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import TypeVar

from agents.adapters.tls.limits import READ_SIZE, RECORD_SIZE

DISCARDED_MAX = 65_536
"""Most bytes read and thrown away at the end of a connection, so that what we said arrives."""

T = TypeVar("T")


class TlsStream:
    """The server's end of one connection. `tls` tells what was negotiated."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def handshake(self) -> None:
        """Complete the handshake. Raises `ssl.SSLError` after its alert was sent, or `OSError`."""
        await self._drive(self.tls.do_handshake)

    async def read(self) -> bytes:
        """What has arrived, some bytes; none if the other end has closed. Raises `ssl.SSLError` or `OSError`."""
        return await self._drive(lambda: self.tls.read(READ_SIZE))

    async def write(self, data: bytes) -> None:
        """Send. Raises `ssl.SSLError` or `OSError`."""
        await self._drive(lambda: self.tls.write(data))

    async def close(self, linger: float) -> None:
        """Say goodbye (RFC 8446 section 6.1), then read on for up to `linger` seconds. Raises nothing.

        Closing a socket with unread bytes resets the connection, and the other end would lose our last words.
        """
        with contextlib.suppress(OSError, TimeoutError):  # ssl.SSLError is an OSError
            async with asyncio.timeout(linger):
                with contextlib.suppress(ssl.SSLError):
                    self.tls.unwrap()
                await self._flush()
                self._socket.shutdown(socket.SHUT_WR)
                await self._discard()

    async def _drive(self, step: Callable[[], T]) -> T:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            finally:
                await self._flush()

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._loop.sock_sendall(self._socket, self._outgoing.read())

    async def _fill(self) -> None:
        data = await self._loop.sock_recv(self._socket, RECORD_SIZE)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _discard(self) -> None:
        discarded = 0
        while discarded < DISCARDED_MAX:
            data = await self._loop.sock_recv(self._socket, RECORD_SIZE)
            if not data:
                return
            discarded += len(data)
