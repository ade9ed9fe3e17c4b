"""`agent invite`: agree with a partner on names, and make the invitation for its operator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agents.cli.options import DEFAULT_HOME, AsJson, Home
from agents.cli.output import Output, at

_FIX = "nothing needs to be done; hand over the new one"


def invite(
    partner: Annotated[
        str, typer.Argument(metavar="PARTNER", help="Short name of the partner, as in its `agent init --name`.")
    ],
    *,
    dns: Annotated[
        list[str],
        typer.Option(
            metavar="PATTERN",
            help="Names it may ask for: a.example itself, '*.a.example' one label more, '**.a.example' one or more "
            "labels more. May be repeated; only the first time, later the agreement says it.",
        ),
    ] = [],
    expires: Annotated[str, typer.Option(metavar="DURATION", help="How long the invitation is good: 12h, 7d.")] = "7d",
    manual: Annotated[bool, typer.Option("--manual", help="Have a person approve each request.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the invitation to a new file that only you can read.")
    ] = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Agree with a partner on what we issue to it, and print its invitation: single use, secret, for its operator only.

    Earlier invitations for the same partner that were not used are withdrawn.

    The agreement is the file partners/PARTNER.toml in the home; it is written once, and yours to edit from then on.
    """
    from agents.bootstrap.agent import Agent
    from agents.bootstrap.agreement import agree

    agent = Agent(home)
    agreed = agree(agent, partner, tuple(dns), expires, manual=manual, out=out)
    invitation = agreed.invitation
    result = {
        "partner": invitation.requester,
        "invitation_id": invitation.id,
        "expires_at": invitation.expires_at,
        "agreement": str(agreed.policy_file),
        "file": str(out) if out else None,
        "invitation": None if out else agreed.text,
        "withdrawn": agreed.withdrawn,
    }
    written = f"The invitation for {invitation.requester} is in {out}, good until {at(invitation.expires_at)}."
    Output(as_json).show(result, written if out else agreed.text)
    if agreed.withdrawn:
        agent.log.warning("earlier invitations withdrawn", partner=invitation.requester, ids=agreed.withdrawn, fix=_FIX)
    if agreed.pinned:
        fix = f"nothing, unless the partner's root was replaced: agent unpin {invitation.requester} --as requester"
        roots = sorted(agreed.pinned)
        agent.log.warning("good only under the root that is pinned", partner=invitation.requester, roots=roots, fix=fix)
