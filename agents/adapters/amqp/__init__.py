"""The message bus over AMQP 0-9-1 (RabbitMQ). The only place that knows pika."""

from agents.adapters.amqp.access import BrokerAccess, ClientCertificate, PasswordFile, Timing
from agents.adapters.amqp.bus import AmqpBus

__all__ = ["AmqpBus", "BrokerAccess", "ClientCertificate", "PasswordFile", "Timing"]
