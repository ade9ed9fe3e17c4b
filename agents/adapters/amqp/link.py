"""One connection to the broker, kept up by a thread of its own for as long as it is wanted.

What the connection is for is the business of the subclasses: publishing and consuming are two links, because the broker
stops reading from a publishing connection while it is short of memory or disk, acknowledgements included.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from pika.adapters.select_connection import IOLoop
from pika.channel import Channel
from pika.exceptions import ConnectionClosedByClient, ConnectionOpenAborted

from agents.adapters.amqp.access import BrokerAccess, Timing
from agents.adapters.amqp.backoff import Backoff
from agents.adapters.amqp.connection import GuardedConnection
from agents.adapters.amqp.trouble import Trouble, describe
from agents.errors import AgentError
from agents.ports import Clock, LinkHealth

if TYPE_CHECKING:
    from agents.ports import Log

STEADY_SECONDS = 5.0
"""A link that was up for this long was a good one: after its loss the delays begin small again."""

ABORT_SECONDS = 1.0
"""How long the thread may take to end once the socket is dropped; it has nothing to wait for then."""


@dataclass(frozen=True, slots=True)
class LinkSetting:
    """What both links of a bus share."""

    access: BrokerAccess
    name: str
    timing: Timing
    clock: Clock
    log: Log


class Link(ABC):
    """Connects, and connects again. Methods named `_on_…` run on the thread of the link, which must never wait."""

    def __init__(self, setting: LinkSetting, purpose: str) -> None:
        self._access, self._timing, self._clock = setting.access, setting.timing, setting.clock
        self._name = f"{setting.name} {purpose}"
        self._log = setting.log.bind(link=purpose, broker=setting.access.address)
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._health = LinkHealth(connected=False, blocked=None, last_error=None, since=setting.clock.now())
        self._loop: IOLoop | None = None
        self._connection: GuardedConnection | None = None
        self._failure: BaseException | None = None
        self._up_since: float | None = None
        self._reported: Trouble | None = None
        self._thread = threading.Thread(target=self._run, name=f"amqp {purpose}", daemon=True)

    # --- for other threads

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._thread.start()

    def health(self) -> LinkHealth:
        """The state of this link now."""
        return self._health

    def wait_connected(self, timeout: float) -> bool:
        """Whether the link is up, waiting for it up to `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._health.connected, timeout)

    def begin_close(self) -> None:
        """Ask the broker to end the connection, and connect no more; returns at once."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self.post(self._say_goodbye)

    def finish_close(self, grace: float) -> None:
        """Wait up to `grace` seconds for the end of the connection, then drop it: the broker may never answer."""
        self._thread.join(grace)
        if self._thread.is_alive():
            self.post(self._abort)
            self._thread.join(ABORT_SECONDS)

    def post(self, work: Callable[[], None]) -> None:
        """Run `work` on the thread of the link, soon and in the order of posting. Lost if there is no connection."""
        loop = self._loop
        if loop is not None:
            loop.add_callback_threadsafe(partial(self._guarded, work))

    # --- for subclasses, on the thread of the link

    @abstractmethod
    def _on_channel(self, channel: Channel) -> None:
        """The channel is open: set it up, then call `_ready`."""

    @abstractmethod
    def _on_lost(self) -> None:
        """The connection is gone, with all that was under way on it. Also called if it never came up."""

    def _on_open(self, _: GuardedConnection) -> None:
        """The connection is open."""
        self._open_channel()

    def _open_channel(self) -> None:
        if self._connection is not None and self._connection.is_open:
            self._connection.channel(on_open_callback=self._on_channel)

    def _ready(self) -> None:
        if self._up_since is None:
            self._up_since = self._clock.monotonic()
            self._reported = None
            self._log.info("broker link up")
        self._show(connected=True, blocked=self._health.blocked)

    def _fail(self, error: BaseException) -> None:
        """Give the connection up because of `error`, politely if the broker still answers."""
        self._failure = self._failure or error
        self._later(ABORT_SECONDS, self._abort)
        self._say_goodbye()

    def _later(self, seconds: float, work: Callable[[], None]) -> None:
        """Run `work` after `seconds`, if the connection is still this one."""
        if self._loop is not None:
            self._loop.call_later(seconds, partial(self._guarded, work))

    def _note(self, text: str) -> None:
        """Something went wrong that does not end the connection."""
        self._log.warning("broker trouble", text=text)
        self._remember(text)

    def _remember(self, text: str) -> None:
        self._health = replace(self._health, last_error=text, last_error_at=self._clock.now())

    def _show(self, *, connected: bool, blocked: str | None) -> None:
        """Publish a new state; the time tells since when it is so."""
        with self._changed:
            if (connected, blocked) != (self._health.connected, self._health.blocked):
                since = self._clock.now()
                self._health = replace(self._health, connected=connected, blocked=blocked, since=since)
            self._changed.notify_all()

    # --- the life of the thread

    def _run(self) -> None:
        backoff = Backoff(self._timing.first_retry, self._timing.longest_retry)
        while not self._closing.is_set():
            trouble, steady = self._session()
            if steady:
                backoff.reset()
            wait = backoff.longest() if trouble.needs_operator else backoff.next()
            self._report(trouble, wait)
            self._closing.wait(wait)

    def _report(self, trouble: Trouble, wait: float) -> None:
        """Say why the link is down and when it is tried again; the same trouble once more is no news."""
        if trouble == self._reported or self._closing.is_set():
            return
        self._reported = trouble
        say = self._log.error if trouble.needs_operator else self._log.warning
        say(
            "broker link down",
            text=trouble.text,
            next_try_in_seconds=round(wait, 1),
            then_every_seconds_at_most=self._timing.longest_retry,
        )

    def _session(self) -> tuple[Trouble, bool]:
        """One connection from attempt to end: why it ended, and whether it had been a good one."""
        self._failure, self._up_since = None, None
        try:
            self._connect_and_serve()
        except (AgentError, OSError, ValueError) as error:
            self._failure = self._failure or error
        except Exception as error:  # noqa: BLE001 - a bug must not end the thread: the link is made anew
            self._log.exception("broker link failed unexpectedly")
            self._failure = error
        steady = self._up_since is not None and self._clock.monotonic() - self._up_since >= STEADY_SECONDS
        return self._went_down(), steady

    def _connect_and_serve(self) -> None:
        parameters = self._access.parameters(self._name, self._timing)
        with closing(IOLoop()) as loop:
            self._connection = GuardedConnection(
                parameters, self._on_open, self._on_end, self._on_end, custom_ioloop=loop
            )
            self._loop = loop
            if self._closing.is_set():
                self.post(self._abort)
            try:
                loop.start()
            finally:
                self._loop = None

    def _went_down(self) -> Trouble:
        trouble = describe(self._failure or ConnectionOpenAborted("closed"), self._access)
        self._connection = None
        if not self._closing.is_set():
            self._remember(trouble.text)
        self._show(connected=False, blocked=None)
        self._on_lost()
        return trouble

    def _on_end(self, connection: GuardedConnection, error: BaseException) -> None:
        self._failure = self._failure or error
        connection.ioloop.stop()

    def _say_goodbye(self) -> None:
        if self._connection is not None and self._connection.is_open:
            self._connection.close()
        else:
            self._abort()

    def _abort(self) -> None:
        if self._connection is not None:
            self._connection.abort(ConnectionClosedByClient(200, "aborted"))

    def _guarded(self, work: Callable[[], None]) -> None:
        """Whatever goes wrong in `work` is the end of this connection, not of the thread."""
        try:
            work()
        except Exception as error:  # noqa: BLE001
            self._log.exception("broker link failed unexpectedly")
            self._failure = self._failure or error
            self._abort()
