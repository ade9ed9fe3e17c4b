"""RabbitMQ for demonstrations and tests: which one this machine can use, and two kinds of one's own.

In production an operator runs the broker, from the definitions file that `protocol.topology` describes.
"""

from agents.adapters.broker.choice import BrokerChoice, Docker, LocalNode, Nothing, find_broker
from agents.adapters.broker.container import DockerBroker
from agents.adapters.broker.given import GivenUrl
from agents.adapters.broker.node import Installation, PrivateBroker
from agents.adapters.broker.passwords import hash_passwords, make_passwords, password_file

__all__ = [
    "BrokerChoice",
    "Docker",
    "DockerBroker",
    "GivenUrl",
    "Installation",
    "LocalNode",
    "Nothing",
    "PrivateBroker",
    "find_broker",
    "hash_passwords",
    "make_passwords",
    "password_file",
]
