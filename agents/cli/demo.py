"""`agent demo`: two organisations enroll and open a verified channel, on this machine, from nothing."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agents.cli.exits import ExitCode
from agents.cli.options import AsJson
from agents.cli.output import Output, at, fields
from agents.cli.steps import Step, Steps
from agents.errors import ConfigurationError

if TYPE_CHECKING:
    from agents.bootstrap.agent import Agent
    from agents.bootstrap.demo import Process
    from agents.core.effects import TransactionKey

WAIT_SECONDS = 30.0
NAME = "api.client-b.example"

Directory = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Work in this new directory and leave everything running there."),
]


def demo(*, keep: Directory = None, as_json: AsJson = False) -> ExitCode:
    """Show the whole story on this machine: a broker, two organisations, an enrollment, a verified channel.

    Exits with 0 only if both organisations confirm the channel. Without --keep nothing is left, running or on disk.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    shown = Steps(None if as_json else sys.stdout)
    processes: list[Process] = []
    with _directory(keep) as directory:
        finished = False
        try:
            result = _tell(directory, shown, processes)
            finished = True
        finally:
            if not (keep and finished):
                _stop(shown, processes)
        result["steps"] = shown.taken
        result["running"] = [process.pid for process in processes] if keep else []
        Output(as_json).show(result, _text(result) + (_next_commands(directory, processes) if keep else ""))
    return ExitCode.DONE if result["confirmed_by_both"] else ExitCode.NEGATIVE


@contextmanager
def _directory(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="agent-demo-") as directory:
            yield Path(directory)
        return
    try:
        keep.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise _no_new_directory(keep, error) from None
    yield keep.absolute()


def _no_new_directory(path: Path, error: OSError) -> ConfigurationError:
    got = f"none can be made ({error.strerror})"
    if os.path.lexists(path):
        got = "a directory is there" if path.is_dir() else "a file is there"
    return ConfigurationError(
        f"--keep {path}: got a path where {got}, wanted a new directory. "
        "Name a path where nothing is yet, below a directory that this user may write to."
    )


def _tell(directory: Path, shown: Steps, processes: list[Process]) -> dict[str, Any]:
    from agents.bootstrap import demo as parts

    with shown.step("A message broker that both can reach, and neither has to trust") as step:
        kind, broker, logins = parts.start_broker(directory / "broker")
        processes += [broker] if broker else []
        step.saw("broker", kind)
        step.saw("users", "one for each organisation" if broker else "the one in the given URL")
    with shown.step("Two organisations, each with its own CA and agent identity") as step:
        issuer, requester = parts.make_agents(directory, logins)
        step.saw(issuer.name, f"root SHA-256 {issuer.root}")
        step.saw(requester.name, f"root SHA-256 {requester.root}")
    for agent in (issuer, requester):
        with shown.step(f"The agent of {agent.name} runs as a process of its own") as step:
            processes.append(parts.start_daemon(agent))
            step.saw("pid", processes[-1].pid)
            step.saw("channel", (agent.health() or {}).get("channel") or "does not listen")
    key = _enroll(issuer, requester, directory, shown)
    says = _follow(requester, key, shown)
    with shown.step("What each end saw of the other on the channel") as step:
        result = parts.summary(issuer, requester, key, says)
        _note_views(step, result)
    return result


def _enroll(issuer: Agent, requester: Agent, directory: Path, shown: Steps) -> TransactionKey:
    from agents.bootstrap.agreement import agree
    from agents.bootstrap.enrollment import Ask, read_invitation, start
    from protocol.csr import NameKind, SubjectName

    with shown.step(f"{issuer.name} agrees to certify names of {requester.name}, and invites it") as step:
        path = directory / "invitation"
        agreed = agree(issuer, requester.name, (f"**.{requester.name}.example",), "1h", manual=False, out=path)
        step.saw("agreement", agreed.policy_file)
        good_until = at(agreed.invitation.expires_at)
        step.saw("invitation", f"{agreed.invitation.id}, single use, good until {good_until}")
    with shown.step(f"{requester.name} makes a key and seals a certification request for {NAME}") as step:
        ask = Ask(issuer=None, names=(SubjectName(NameKind.DNS, NAME),))
        key = start(requester, ask, read_invitation(path, None))
        step.saw("transaction", key.id)
    return key


def _follow(requester: Agent, key: TransactionKey, shown: Steps) -> str | None:
    from agents.bootstrap.following import acknowledged, follow

    with shown.step(
        f"{key.partner} checks, signs and answers; {requester.name} installs and opens the channel"
    ) as step:
        started = requester.clock.monotonic()

        def note(record: Any) -> None:
            step.saw(record.state, f"after {requester.clock.monotonic() - started:.2f} s")

        follow(requester, key, WAIT_SECONDS, note)
        says = acknowledged(requester, key)
        step.saw(f"{key.partner} recorded", says or "nothing yet")
    return says


def _note_views(step: Step, result: dict[str, Any]) -> None:
    for who in ("requester_saw", "issuer_saw"):
        view = result[who]
        if view:
            step.saw(who.replace("_", " "), f"{', '.join(view['names'])}, serial {view['serial']}")
            step.saw("over", f"{view['tls_version']}, {view['cipher']}")


def _stop(shown: Steps, processes: list[Process]) -> None:
    from agents.bootstrap.demo import stop_all

    if processes:
        with shown.step("Everything is stopped") as step:
            step.saw("exit codes", ", ".join(map(str, stop_all(processes))))


def _text(result: dict[str, Any]) -> str:
    certificate = result["certificate"]
    states = ", ".join(f"{name}: {state}" for name, state in result["states"].items())
    view = result["requester_saw"] or {}
    verdict = "Verified on both sides." if result["confirmed_by_both"] else "NOT verified on both sides."
    return "\n".join(
        [
            f"\n{verdict}",
            fields(
                [
                    ("  transaction", f"{result['transaction']} ({states})"),
                    ("  names", ", ".join(certificate["names"])),
                    ("  subject", certificate["subject"] or "(empty: names say it all)"),
                    ("  serial", certificate["serial"]),
                    ("  lifetime", f"{certificate['lifetime_days']} days, until {at(certificate['not_after'])}"),
                    ("  requester's chain", "  <-  ".join(result["client_chain"])),
                    ("  issuer's chain", "  <-  ".join(result["server_chain"])),
                    ("  channel", f"{view.get('tls_version')}, {view.get('cipher')}"),
                ]
            ),
        ]
    )


def _next_commands(directory: Path, processes: list[Process]) -> str:
    home = {name: shlex.quote(str(directory / name)) for name in ("client-b", "client-c")}
    pids = " ".join(str(process.pid) for process in reversed(processes))
    return "\n".join(
        [
            "\n\nEverything goes on running. To look around:",
            f"  agent status --home {home['client-b']}",
            f"  agent channel check client-c --home {home['client-b']}",
            f"  agent channel check client-b --home {home['client-c']}",
            f"  agent enroll --home {home['client-b']} --dns www.client-b.example",
            f"To stop it:\n  kill {pids}",
        ]
    )
