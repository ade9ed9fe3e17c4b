"""The channel: mutual TLS 1.3 with one HTTP/1.1 exchange inside, as listener and as dialer."""

from agents.adapters.tls.dialer import TlsChannelDialer
from agents.adapters.tls.limits import Limits, Timeouts
from agents.adapters.tls.listener import TlsChannelListener

__all__ = ["Limits", "Timeouts", "TlsChannelDialer", "TlsChannelListener"]
