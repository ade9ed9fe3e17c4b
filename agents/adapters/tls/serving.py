"""Accepts connections and holds the deadlines, so that no client costs another anything and none stops the listener.

What a client is told is `reception`'s business, how much it may cost is `limits`'.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from agents.adapters.tls.alerts import in_words
from agents.adapters.tls.http import Exchange, HttpMessage, server_exchange
from agents.adapters.tls.limits import Limits, Occupancy
from agents.adapters.tls.reception import Answer, Reception, refusal
from agents.adapters.tls.stream import TlsStream
from agents.errors import AgentError
from agents.ports import Log
from protocol.errors import PROBLEM_TEXT_MAX, ProtocolError, printable

ACCEPT_PAUSE = 0.1
"""Seconds before the next attempt after accepting failed, for example for want of file descriptors."""

LEDGER_THREADS = 4
"""Admissions at a time: they wait for the ledger, and must not hold up the handshakes of others."""

T = TypeVar("T")


class Serving:
    """Serves one listening socket until stopped. Everything but the constructor runs on one event loop."""

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        reception: Reception,
        log: Log,
        limits: Limits,
    ) -> None:
        self._socket, self._context, self._reception = sock, context, reception
        self._log, self._limits = log, limits
        self._occupancy = Occupancy(limits)
        self._connections: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(LEDGER_THREADS, "channel-ledger")
        self._stopped, self._grace = asyncio.Event(), 0.0

    async def serve(self) -> None:
        """Serve until `stop`, then for as long as it allows. The runner of this coroutine cancels what is left."""
        with self._socket:
            self._listen()
            await self._stopped.wait()
            asyncio.get_running_loop().remove_reader(self._socket)
        if self._connections:
            await asyncio.wait(self._connections, timeout=self._grace)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def stop(self, grace: float) -> None:
        """Accept nothing more; open exchanges get `grace` seconds."""
        self._grace = grace
        self._stopped.set()

    def _listen(self) -> None:
        if not self._stopped.is_set():
            asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        """Take one connection. Where that fails (no file descriptors, no memory), pause: the backlog keeps it."""
        try:
            sock, address = self._socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # it went away
        except OSError as error:
            self._log.warning("channel cannot accept", why=in_words(error))
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._socket)
            loop.call_later(ACCEPT_PAUSE, self._listen)
        else:
            self._enter(sock, address[0])

    def _enter(self, sock: socket.socket, address: str) -> None:
        full = self._occupancy.enter(address)
        if full is not None:
            self._log.info("channel client turned away", address=address, why=full)
            sock.close()
            return
        sock.setblocking(False)  # noqa: FBT003
        connection = asyncio.create_task(self._hold(sock, address))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _hold(self, sock: socket.socket, address: str) -> None:
        """One connection from beginning to end. Raises nothing."""
        try:
            with sock:
                async with asyncio.timeout(self._limits.exchange):
                    await self._converse(sock, address)
        except OSError as error:  # also ssl.SSLError and TimeoutError
            self._log.info("channel client failed", address=address, why=in_words(error))
        except Exception as error:  # noqa: BLE001  # a bug that one client meets must not reach the next
            self._report_bug(error, address)
        finally:
            self._occupancy.leave()

    async def _converse(self, sock: socket.socket, address: str) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = TlsStream(sock, self._context)
        try:
            await self._handshake(stream, address)
            exchange = server_exchange()
            answer = await self._answer(stream, exchange, address)
            await stream.write(exchange.response(answer.status, answer.body, self._reception.clock.now()))
        finally:
            await stream.close(self._limits.linger)

    async def _handshake(self, stream: TlsStream, address: str) -> None:
        try:
            async with asyncio.timeout(self._limits.handshake):
                await stream.handshake()
        finally:
            self._occupancy.handshake_over(address)

    async def _answer(self, stream: TlsStream, exchange: Exchange, address: str) -> Answer:
        """Nothing that the client says is read before the client is admitted."""
        try:
            guest = await self._off_loop(lambda: self._reception.admit(stream.tls))
            async with asyncio.timeout(self._limits.first_request):
                request = await _request(stream, exchange)
            answer = await self._off_loop(lambda: self._reception.answer(guest, request))
        except (ProtocolError, TimeoutError) as error:
            self._log.info("channel client refused", address=address, why=printable(error, PROBLEM_TEXT_MAX))
            return refusal(error)
        except AgentError as error:
            self._log.warning("channel client not served", address=address, why=str(error))
            return refusal(error)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001  # the client is told that it is not to blame
            self._report_bug(error, address)
            return refusal(error)
        self._log.info("channel served", address=address, partner=guest.partner, certificate=guest.view.certificate)
        return answer

    def _report_bug(self, error: Exception, address: str) -> None:
        self._log.error("channel failed", address=address, why=repr(error), fix="Report this as a bug.")

    async def _off_loop(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


async def _request(stream: TlsStream, exchange: Exchange) -> HttpMessage:
    while (request := exchange.receive(await stream.read())) is None:
        pass
    return request
