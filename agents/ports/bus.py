"""The message bus: what is published, what arrives, and how well the link is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One persistent message: published as mandatory to `exchange` with `routing_key`. Properties are hints only."""

    exchange: str
    routing_key: str
    body: bytes
    type: str
    message_id: str
    correlation_id: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message that arrived. `token` is the adapter's; it goes stale when the link is lost."""

    body: bytes
    redelivered: bool
    token: object


class PublishOutcome(StrEnum):
    """What the broker said. `returned`: no queue is bound for it. `nacked`: its queue cannot take it now. `refused`:
    not as it is, or not from us. `unknown` is no failure: it may be in the queue (publish again, deduplicate)."""

    CONFIRMED = "confirmed"
    RETURNED = "returned"
    NACKED = "nacked"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Publication(Protocol):
    """Messages on their way to the broker."""

    def done(self) -> bool:
        """Whether every outcome is known."""

    def outcomes(self) -> tuple[PublishOutcome, ...]:
        """One outcome per message, in order; waits until each is known or its confirm deadline passed (`unknown`)."""


@dataclass(frozen=True, slots=True)
class LinkHealth:
    """The state of one link to the broker, for people: connected or not, blocked by an alarm, what went wrong last and
    when, over or not."""

    connected: bool
    blocked: str | None
    last_error: str | None
    since: datetime
    last_error_at: datetime | None = None


class Bus(Protocol):
    """One link: consumes one queue and publishes, in one virtual host. Safe to call from several threads.

    It connects, and connects again, by itself for as long as it is open.
    """

    def publish(self, messages: Sequence[Outgoing]) -> Publication:
        """Hand messages over; returns at once. While there is no connection, or the broker is blocked, they wait until
        their confirm deadline."""

    def receive(self, limit: int, timeout: float) -> tuple[Delivery, ...]:
        """What has arrived, at most `limit`; waits up to `timeout` seconds for the first, never for more."""

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Remove messages from the queue. Stale ones are skipped: the broker delivers them again."""

    def dead_letter(self, delivery: Delivery) -> None:
        """Reject without requeueing: the broker moves the message to the dead-letter queue."""

    def suspend(self, seconds: float) -> None:
        """Stop consuming for a while and give back what was delivered (a local fault: ledger down, disk full)."""

    def wait_connected(self, timeout: float) -> bool:
        """Whether the link is up, waiting for it up to `timeout` seconds."""

    def health(self) -> LinkHealth:
        """The state of the link now."""

    def close(self, grace: float) -> None:
        """Close within `grace` seconds, or abort. Unacknowledged messages go back to the queue."""
