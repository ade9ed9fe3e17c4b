"""The organisation's own keys on disk: made once by `create_organisation`, opened at every start."""

from agents.adapters.keystore.ceremony import create_organisation
from agents.adapters.keystore.opened import (
    CaSigner,
    channel_server_credential,
    load_identity,
    open_signer,
    trust_bundle,
)

__all__ = [
    "CaSigner",
    "channel_server_credential",
    "create_organisation",
    "load_identity",
    "open_signer",
    "trust_bundle",
]
