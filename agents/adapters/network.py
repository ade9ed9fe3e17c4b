"""Network links that can be made to fail: TCP forwarders on this machine's loopback, for simulations.

A link forwards octets between whoever connects to its port and one port of this machine. It can be frozen, as when a
cable is pulled; reset; and made to refuse. All links share one thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, Self

_HOST = "127.0.0.1"
_CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER without time: closing sends RST (RFC 9293 section 3.6.1)."""

_START_SECONDS = 10.0


class NetworkLink:
    """One link. Its methods may be called from any thread; they are carried out soon."""

    def __init__(self, loop: asyncio.AbstractEventLoop, target: int) -> None:
        self.port = 0
        """Where it listens, once its network runs."""
        self.target = target
        self._loop = loop
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refusing = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    def freeze(self) -> None:
        """Nothing passes any more, in either direction; connections stay open."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def thaw(self) -> None:
        """What was held back passes, and everything after it."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def reset(self) -> None:
        """Reset every connection."""
        self._loop.call_soon_threadsafe(self._reset_all)

    def refuse(self) -> None:
        """Reset every connection, and each new one as soon as it is made, until `admit`."""
        self._refusing = True
        self.reset()

    def admit(self) -> None:
        """Let connections be made again."""
        self._refusing = False

    async def open(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, _HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and drop what is open."""
        if self._server:
            self._server.close()
        self._flowing.set()
        self._reset_all()

    async def _serve(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        """One connection. The end of the network cancels it, which asyncio of Python 3.11 would report as an error."""
        with contextlib.suppress(asyncio.CancelledError):
            await self._join(near_reader, near)

    async def _join(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        if self._refusing:
            _reset(near)
            return
        try:
            far_reader, far = await asyncio.open_connection(_HOST, self.target)
        except OSError:
            _reset(near)
            return
        self._writers |= {near, far}
        await asyncio.gather(self._pump(near_reader, far), self._pump(far_reader, near))
        self._writers -= {near, far}

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(_CHUNK):
                await self._flowing.wait()
                sink.write(data)
                await sink.drain()
        await self._flowing.wait()
        sink.close()

    def _reset_all(self) -> None:
        for writer in self._writers:
            _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    end = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


class Network:
    """Links to ports of this machine, in the order of `targets`; they work while it is entered."""

    def __init__(self, targets: Sequence[int]) -> None:
        self._loop = asyncio.new_event_loop()
        self.links = tuple(NetworkLink(self._loop, target) for target in targets)
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._carry_out(asyncio.wait_for(_all(link.open() for link in self.links), _START_SECONDS))
        return self

    def __exit__(self, *_: object) -> None:
        self._carry_out(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        await _all(link.close() for link in self.links)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _carry_out(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def _all(works: Any) -> None:
    await asyncio.gather(*works)
