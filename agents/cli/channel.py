"""`agent channel check`: open the channel to a partner and show what each end saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from agents.cli.options import DEFAULT_HOME, AsJson, Home
from agents.cli.output import Output, at, fields

if TYPE_CHECKING:
    from protocol.messages import PeerView


def check(
    partner: Annotated[str, typer.Argument(metavar="PARTNER", help="Short name of the partner.")],
    *,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Open the channel to a partner that has issued to us, and show what each end saw of the other.

    For a partner that we issued to, shows its last session: only the holder of a credential can open the channel.
    """
    from agents.bootstrap.agent import Agent
    from agents.bootstrap.channel import check_channel

    checked = check_channel(Agent(home), partner)
    result = {
        "partner": checked.partner,
        "opened_now": checked.opened_now,
        "at": checked.at,
        "handshake_seconds": checked.handshake_seconds,
        "we_saw": checked.we_saw,
        "partner_saw": checked.partner_saw,
    }
    how = "opened now" if checked.opened_now else f"opened by {checked.partner} at {at(checked.at)}"
    parts = [f"channel with {checked.partner}: {how}"]
    parts += ["we saw", fields(_view(checked.we_saw))] if checked.we_saw else []
    parts += [f"{checked.partner} saw", fields(_view(checked.partner_saw))] if checked.partner_saw else []
    Output(as_json).show(result, "\n".join(parts))


def _view(view: PeerView) -> list[tuple[str, Any]]:
    from protocol.errors import printable

    return [
        ("  subject", printable(view.subject) or "(empty)"),
        ("  names", printable(", ".join(view.names))),
        ("  serial", view.serial),
        ("  SHA-256", view.certificate),
        ("  TLS", f"{printable(view.tls_version)}, {printable(view.cipher)}"),
    ]
