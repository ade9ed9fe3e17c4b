"""The settings of a broker that organisations reach over TLS and log in to with certificates, and in no other way."""

from __future__ import annotations

from pathlib import Path

from agents.adapters.broker.certification import CA_CERTIFICATE, CERTIFICATE, KEY
from protocol import topology

SETTINGS, PLUGINS, DEFINITIONS = "rabbitmq.conf", "enabled_plugins", "definitions.json"

PORT = 5671

ENABLED_PLUGINS = "[rabbitmq_auth_mechanism_ssl].\n"
"""No management: the broker opens one port. A plugin that is not named here is off, whatever the image comes with."""


def certificate_settings(directory: Path, listen: str = str(PORT)) -> str:
    """The text of rabbitmq.conf (3.10 to 4.x) for a broker that finds all its files in `directory`.

    EXTERNAL is the only way in: with PLAIN beside it, any certificate would do to try passwords with.
    """
    settings = {
        "listeners.tcp": "none",
        "listeners.ssl.organisations": listen,
        "ssl_options.cacertfile": directory / CA_CERTIFICATE,
        "ssl_options.certfile": directory / CERTIFICATE,
        "ssl_options.keyfile": directory / KEY,
        "ssl_options.verify": "verify_peer",
        "ssl_options.fail_if_no_peer_cert": "true",
        "ssl_options.versions.1": "tlsv1.3",
        "ssl_options.versions.2": "tlsv1.2",
        "auth_mechanisms.1": "EXTERNAL",
        "ssl_cert_login_from": "subject_alternative_name",
        "ssl_cert_login_san_type": "dns",
        "load_definitions": directory / DEFINITIONS,
        **topology.BROKER_SETTINGS,
    }
    return "".join(f"{key} = {value}\n" for key, value in settings.items())
