"""RabbitMQ in a container of Testcontainers, with the verbs of `agents.adapters.broker.PrivateBroker`."""

import base64
import time
import warnings

from docker.errors import APIError
from kit.engine import has_image
from kit.ports import KeptPort

from agents.adapters.broker.host import answers_amqp
from agents.errors import UnreachableError
from protocol.topology import MESSAGE_BYTES_MAX

with warnings.catch_warnings():  # of a decorator of its own, which it uses itself
    warnings.simplefilter("ignore", DeprecationWarning)
    from testcontainers.community.rabbitmq import RabbitMqContainer
    from testcontainers.core.config import testcontainers_config

IMAGE = "rabbitmq:4-management"

START_SECONDS = 600

CTL = 'printf %s "$0" | base64 -d | exec rabbitmqctl --quiet "$@"'
"""An exec has no standard input here: what a command is given goes along as its first argument, in base64."""


class LoopbackContainer(RabbitMqContainer):
    """Published to this machine alone, on a port that stays the same, and ready when it greets a client there."""

    def __init__(self, port):
        super().__init__(IMAGE)
        self.ports["5672"] = ("127.0.0.1", port)  # with_bind_ports would open it to the network

    def readiness_probe(self):
        """Wait until the broker greets a client."""
        port = self.ports["5672"][1]
        deadline = time.monotonic() + START_SECONDS
        while not answers_amqp(port):
            if time.monotonic() > deadline:
                raise UnreachableError(f"no broker in the container after {START_SECONDS} s")
            time.sleep(0.1)
        return True


class ContainerNode:
    """One container on a fixed loopback port; it keeps its messages until `stop`."""

    def __init__(self):
        self._kept_port = KeptPort()
        self.port = self._kept_port.number
        if not has_image(testcontainers_config.ryuk_image):  # removes what a killed session leaves; we do without
            testcontainers_config.ryuk_disabled = True
        self._container = LoopbackContainer(self.port)
        self._created = False

    def start(self):
        """Start the container and wait until the broker greets a client."""
        if self._created:
            self._container.get_wrapped_container().start()
            self._container.readiness_probe()
        else:
            self._container.start()
            self._created = True
            self.ctl("delete_user", "guest")
        self.ctl("eval", f"application:set_env(rabbit, max_message_size, {MESSAGE_BYTES_MAX}).")

    def stop(self):
        """Remove the container."""
        self._container.stop()
        self._kept_port.close()

    def restart(self):
        """End the broker in order and start it again."""
        self._container.get_wrapped_container().stop()
        self.start()

    def kill(self):
        """End the broker as a power failure would."""
        self._container.get_wrapped_container().kill()

    def ctl(self, *arguments, given=""):
        """Run `rabbitmqctl` and return what it printed; raises `UnreachableError` with what it said if it fails."""
        command = ["sh", "-c", CTL, base64.b64encode(given.encode()).decode(), *arguments]
        try:
            code, said = self._container.exec(command)
        except APIError as error:  # the container does not run
            raise UnreachableError(f"rabbitmqctl {' '.join(arguments)} cannot run: {error.explanation}") from error
        if code:
            raise UnreachableError(f"rabbitmqctl {' '.join(arguments)} failed ({code}): {said.decode()}")
        return said.decode()
