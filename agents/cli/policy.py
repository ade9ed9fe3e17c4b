"""`agent policy check`: what a policy file says to a certification request, without asking any agent."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents.cli.exits import ExitCode
from agents.cli.options import AsJson
from agents.cli.output import Output

if TYPE_CHECKING:
    from protocol.names import OrganisationName


def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The request, PEM or DER; '-' is standard input.")],
    *,
    policy: Annotated[Path, typer.Option(metavar="FILE", help="The agreement to judge it by: partners/NAME.toml.")],
    partner: Annotated[str, typer.Option(metavar="NAME", help="Who asks; default: the policy file's name.")] = "",
    lifetime: Annotated[str, typer.Option(metavar="DURATION", help="The lifetime asked for, for example 30d.")] = "",
    as_json: AsJson = False,
) -> ExitCode:
    """Say what would become of a certification request: the certificate as it would be issued, or every reason why not.

    Needs no agent and changes nothing. The issuer decides with the same rules; it also knows which keys have
    certificates already, when its own CA ends and which name its own channel has, which it issues to nobody. Exit
    status 0: would be issued; 1: refused; 2: the policy file or the command line cannot be used.
    """
    from agents.bootstrap.checking import judge_offered
    from agents.cli.verdicts import result_of, text_of
    from agents.config.policy import load_policy
    from agents.config.reading import duration_option
    from agents.core.policy import Refused

    agreement = load_policy(policy)
    asker, asked = _partner(partner, policy), duration_option("--lifetime", lifetime)
    verdict = judge_offered(_read(file), agreement, asker, asked)
    Output(as_json).show(result_of(verdict), text_of(verdict))
    return ExitCode.NEGATIVE if isinstance(verdict, Refused) else ExitCode.DONE


def _read(file: str) -> bytes:
    """At most one byte more than a request file may have, so that the reader of requests can refuse it."""
    from agents.errors import ConfigurationError
    from protocol.csr.file import FILE_MAX

    if file == "-":
        return sys.stdin.buffer.read(FILE_MAX + 1)
    try:
        with Path(file).open("rb") as stream:
            return stream.read(FILE_MAX + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"the request {file} cannot be read: {why}. Name a file, or '-'.") from None


def _partner(name: str, policy: Path) -> OrganisationName:
    from agents.errors import ConfigurationError
    from protocol.errors import NameSyntaxError
    from protocol.names import OrganisationName

    try:
        return OrganisationName(name or policy.stem)
    except NameSyntaxError as error:
        if name:
            raise ConfigurationError(f"--partner: {error.problems[0]}") from None
        return OrganisationName("partner")
