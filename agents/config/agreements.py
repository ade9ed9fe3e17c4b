"""The agreements with partners, one policy file each, read again when a file changes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agents.config.policy import load_policy
from agents.errors import ConfigurationError
from protocol.errors import NameSyntaxError
from protocol.names import OrganisationName

if TYPE_CHECKING:
    from agents.core.policy import Policy
    from agents.ports import Clock


LOOK_SECONDS = 1.0
"""How soon a changed file is noticed."""


class PolicyFiles:
    """Policies by partner."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._directory, self._clock = directory, clock
        self._known: dict[OrganisationName, tuple[tuple[int, int], Policy]] = {}
        self._fresh: dict[OrganisationName, float] = {}
        """Until when (monotonic) a policy is used without a look at its file."""

    def path(self, partner: OrganisationName) -> Path:
        """Where the agreement with `partner` is written down."""
        return self._directory / f"{partner}.toml"

    def unusable(self) -> dict[OrganisationName, str]:
        """Why agreements cannot be used, by partner: those whose files are written wrongly, or cannot be read."""
        found = {}
        for path in sorted(self._directory.glob("*.toml")):
            try:
                self.policy_of(OrganisationName(path.stem))
            except NameSyntaxError:  # a file that no partner's name leads to
                continue
            except ConfigurationError as error:
                found[OrganisationName(path.stem)] = str(error)
        return found

    def policy_of(self, partner: OrganisationName) -> Policy | None:
        """The agreement with `partner`, None without one. Raises `ConfigurationError` if its file cannot be used."""
        if self._clock.monotonic() < self._fresh.get(partner, 0.0):
            return self._known[partner][1]
        path = self.path(partner)
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from None
        version = (found.st_mtime_ns, found.st_size)
        known = self._known.get(partner)
        if known is None or known[0] != version:
            known = (version, load_policy(path))
            self._known[partner] = known
        self._fresh[partner] = self._clock.monotonic() + LOOK_SECONDS
        return known[1]
