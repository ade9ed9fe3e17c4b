"""An agreement with a partner: its policy file and an invitation."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from agents.adapters import files
from agents.bootstrap.agent import Agent
from agents.bootstrap.given import named
from agents.config.policy import default_policy_text, parse_policy
from agents.config.reading import duration_option
from agents.errors import AgreementUnusableError, ConfigurationError
from agents.service.inviting import invite
from protocol.invitation import Invitation, encode_invitation
from protocol.names import Fingerprint, InvitationId, OrganisationName
from protocol.transaction import Role

EXPIRY_MAX = timedelta(days=366)
"""Longest that an invitation may be good for: its secret is in somebody's mail for as long."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """The invitation, its text (a secret), those that it replaces, where the agreement is written down, and which root
    is pinned for the partner already."""

    invitation: Invitation
    text: str
    withdrawn: tuple[InvitationId, ...]
    policy_file: Path
    pinned: frozenset[Fingerprint]


def agree(agent: Agent, partner: str, dns: tuple[str, ...], expires: str, *, manual: bool, out: Path | None) -> Agreed:
    """Write the agreement if there is none yet, and make an invitation; into the new file `out` if that is given.

    Raises `ConfigurationError`, also if names are given for a partner whose agreement is written down already.
    """
    name, lifetime = named("partner", partner, OrganisationName), duration_option("--expires", expires)
    if agent.config.channel is None or agent.config.broker is None:
        raise ConfigurationError(
            f"{agent.name} cannot invite anybody: its {agent.home / 'agent.toml'} needs a [broker] and a [channel] "
            "section. Add them; agent init --broker and --endpoint would have written them."
        )
    if lifetime is None or not timedelta(0) < lifetime <= EXPIRY_MAX:
        raise ConfigurationError(f"--expires '{expires}': wanted more than nothing and at most {EXPIRY_MAX.days}d.")
    if out:
        _require_place(out)
    path = _write_agreement(agent, name, dns, manual=manual)
    invited = invite(
        agent.place,
        agent.entropy,
        name,
        root=agent.root,
        broker=agent.config.broker.url,
        lifetime=lifetime,
    )
    text = encode_invitation(invited.invitation)
    if out:
        files.write_file(out, f"{text}\n".encode())
    record = agent.ledger.partner(name)
    pinned = record.pinned_as(Role.REQUESTER) if record else frozenset()
    return Agreed(invited.invitation, text, invited.withdrawn, path, pinned)


def has_agreement(agent: Agent, partner: OrganisationName) -> bool:
    """Whether there is an agreement with `partner`. Raises `AgreementUnusableError` if it cannot be read."""
    try:
        return agent.policies.policy_of(partner) is not None
    except ConfigurationError as error:
        raise AgreementUnusableError(str(error)) from error


class AgreementWatch:
    """Logs which agreements cannot be used, as soon as that is so; the others are kept to all the same."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._said: dict[OrganisationName, str] = {}

    def look(self) -> None:
        """Say what has changed since the last look: all of it at the first one."""
        log, found = self._agent.log, self._agent.policies.unusable()
        for partner, why in found.items() - self._said.items():
            file = self._agent.policies.path(partner)
            fix = f"mend {file}, it is read again at once; until then {partner} is refused, on the channel too"
            log.error("agreement unusable", partner=partner, why=why, fix=fix)
        for partner in self._said.keys() - found.keys():
            log.info("agreement usable again", partner=partner)
        self._said = found


def _require_place(out: Path) -> None:
    """Say before anything is recorded that the invitation could not be written."""
    if out.exists():
        raise ConfigurationError(f"{out} exists; the invitation goes into a new file only.")
    directory = files.given("--out", out.absolute().parent, os.path.isdir)
    if not os.access(directory, os.W_OK | os.X_OK):
        raise ConfigurationError(f"--out {out}: this user may not write into {directory}. Name another place.")


def _write_agreement(agent: Agent, name: OrganisationName, dns: tuple[str, ...], *, manual: bool) -> Path:
    path = agent.policies.path(name)
    if name == agent.name:
        raise ConfigurationError(f"{name} is this organisation itself; an invitation is for a partner.")
    if path.exists():
        agent.policies.policy_of(name)
        if dns or manual:
            raise ConfigurationError(
                f"the agreement with {name} is written down in {path} already: edit that file, "
                "and make the invitation without --dns and --manual."
            )
        return path
    if not dns:
        raise ConfigurationError(
            f"which names may {name} ask for? Give at least one --dns PATTERN, for example '**.{name}.example'."
        )
    text = default_policy_text(name, dns)
    if manual:
        text = text.replace('approval = "automatic"', 'approval = "manual"')
    parse_policy(text, str(path))
    files.make_directory(path.parent)
    files.write_file(path, text.encode())
    return path
