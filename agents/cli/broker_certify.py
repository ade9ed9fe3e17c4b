"""`agent broker certify`: what a broker over TLS is started from, and what organisations log in to it with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agents.cli.broker import Issuers, Requesters
from agents.cli.options import AsJson
from agents.cli.output import Output, fields


def certify(
    directory: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Where all is made, and the broker will find its part."),
    ],
    *,
    issuer: Issuers,
    requester: Requesters,
    host: Annotated[str, typer.Option(metavar="NAME", help="The name under which the broker is reached.")],
    broker_group: Annotated[
        str, typer.Option(metavar="GROUP", help="Who may read what the broker needs; default: only you.")
    ] = "",
    login_group: Annotated[
        str, typer.Option(metavar="GROUP", help="Who may read what organisations log in with; default: only you.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Make a CA for a RabbitMQ, and with it the broker's certificate and one login for each organisation.

    DIR/broker has all that the broker is started from: its settings, which let nobody in without such a certificate,
    its plugins and its definitions. DIR/NAME has ca.pem, certificate.pem and key.pem for the operator of NAME.
    DIR/authority is for you alone: who has its key makes logins, and it is not encrypted. What is there
    already and good for long enough stays as it is.
    """
    from agents.bootstrap.broker import Partnership
    from agents.bootstrap.certified import AUTHORITY, Readers, certify_broker, parse_group

    readers = Readers(parse_group(broker_group), parse_group(login_group))
    done = certify_broker(directory, Partnership.parse(issuer, requester), host, readers)
    rows = [(holder, f"{done.directory / holder}{' (new)' if holder in done.made else ''}") for holder in done.holders]
    keep = "keep it off the broker's machine, its key.pem makes logins and is not encrypted"
    steps = [
        ("next", f"start the broker with RABBITMQ_CONFIG_FILE={done.settings}"),
        ("", f"and RABBITMQ_ENABLED_PLUGINS_FILE={done.plugins}"),
        ("", "give each operator the folder of that name, for"),
        ("", f"agent init --broker {done.url} --broker-ca-file ca.pem"),
        ("", "           --broker-certificate-file certificate.pem --broker-key-file key.pem"),
    ]
    Output(as_json).show(done, fields([*rows, (AUTHORITY, f"{done.directory / AUTHORITY}: {keep}"), *steps]))
