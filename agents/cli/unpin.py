"""`agent unpin`: remove the root that is pinned for a partner in one role."""

from __future__ import annotations

from typing import Annotated

import typer

from agents.cli.options import DEFAULT_HOME, AsJson, Home
from agents.cli.output import Output, fields
from protocol.transaction import Role


def unpin(
    partner: Annotated[str, typer.Argument(metavar="PARTNER", help="Short name of the partner, as in `agent status`.")],
    *,
    acts_as: Annotated[
        Role,
        typer.Option("--as", metavar="ROLE", help="'requester' if it enrolls with us, 'issuer' if we enroll with it."),
    ],
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Remove the root that is pinned for a partner in one role, so that a new invitation can pin another.

    For a partner that replaced its root on purpose, or whose name was claimed by somebody else: ask its operator, on a
    number that you know, before you remove the root. Certificates that are in force stay so. A running
    agent heeds it within a second.
    """
    from agents.bootstrap.agent import Agent
    from agents.bootstrap.partner import unpin as perform

    agent = Agent(home)
    name, removed = perform(agent, partner, acts_as)
    next_step, stays = _what_follows(acts_as, name, agent.name)
    text = fields(
        [
            ("removed", f"the root of {name} as {acts_as}"),
            *[("root SHA-256", root) for root in removed],
            ("next", next_step),
            ("stays", stays),
        ]
    )
    result = {"partner": name, "acts_as": acts_as, "removed": removed, "next": next_step, "stays": stays}
    Output(as_json).show(result, text)


def _what_follows(acts_as: Role, partner: str, us: str) -> tuple[str, str]:
    """From whom to whom a new invitation has to go, and what the removal leaves as it was."""
    if acts_as is Role.REQUESTER:
        return (
            f"make a new invitation for {partner} here, by `agent invite {partner}`; it enrolls with that",
            f"its certificates that are in force; to shut it out, remove its agreement, partners/{partner}.toml",
        )
    return (
        f"get a new invitation from {partner}, made there by `agent invite {us}`, and enroll with it here",
        "your credentials from it, each with the removed root in its trust.pem",
    )
