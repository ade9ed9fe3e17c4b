"""The organisation's own keys on disk: made once as `organisation_files`, opened at every start."""

from agents.adapters.keystore.ceremony import organisation_files
from agents.adapters.keystore.opened import (
    CaSigner,
    chain,
    channel_server_credential,
    load_identity,
    open_signer,
    trust_bundle,
    without_key_usage,
)

__all__ = [
    "CaSigner",
    "chain",
    "channel_server_credential",
    "load_identity",
    "open_signer",
    "organisation_files",
    "trust_bundle",
    "without_key_usage",
]
