"""Organisations for end-to-end tests: homes in a temporary directory, daemons as processes, commands as subprocesses.

What is tested goes through the command line. What a test only needs to be there (a home, an agreement) is made in this
process, and what it waits for is read from the ledger: a command takes a second on a busy machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kit.broker import Broker, Realm
from kit.patience import PATIENCE
from kit.ports import KeptPort

from agents.adapters.broker import GivenUrl
from agents.adapters.home import HomeLock
from agents.bootstrap.agent import Agent
from agents.bootstrap.agreement import agree
from agents.bootstrap.overview import overview
from agents.bootstrap.setup import BrokerAnswers, Setup, set_up
from protocol.names import OrganisationName

AGENT = Path(sys.executable).with_name("agent")
ANOTHER_TIME = Path(__file__).with_name("another_time.py")

IN_VAIN = (3.0, 15.0, 75.0)
"""Seconds for which an enrollment that cannot end is waited for: longer where that was too short to see why."""


@dataclass(frozen=True)
class Result:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The result, with `--json`."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The error, with `--json`: the last line, after what was logged meanwhile."""
        return json.loads(self.err.strip().splitlines()[-1])["error"]

    def expect(self, code: int) -> Result:
        """Itself, if the command exited with `code`."""
        assert self.code == code, f"exit {self.code}, wanted {code}\nstdout: {self.out}\nstderr: {self.err}"
        return self

    def says(self, *words: str) -> None:
        """The essential words stand in what the operator sees, wherever the lines are broken."""
        missing = self.missing(*words)
        assert not missing, f"{missing} not in: {self._seen}"

    def missing(self, *words: str) -> list[str]:
        """Those that the operator does not see."""
        return [word for word in words if word not in self._seen]

    @property
    def _seen(self) -> str:
        return " ".join(f"{self.out} {self.err}".split())


def agent(
    *arguments: object,
    given: str | None = None,
    seconds: float = 2 * PATIENCE,
    prefix: tuple[str, ...] = (),
    clock_off: timedelta | None = None,
    **environment: str,
) -> Result:
    """Run one command of the program; `prefix` is a command that runs it, `clock_off` how wrong its clock is."""
    program = [AGENT] if clock_off is None else [sys.executable, "-P", ANOTHER_TIME, str(clock_off.total_seconds())]
    done = subprocess.run(
        [*prefix, *program, *map(str, arguments)],
        input=given,
        stdin=None if given is not None else subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env={**os.environ, "COLUMNS": "200", **environment},
    )
    return Result(done.returncode, done.stdout, done.stderr)


def eventually(holds: Callable[[], Any], what: str = "it", seconds: float = PATIENCE) -> Any:
    """The first true value of `holds()`; fails if there is none within `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := holds()):
        if time.monotonic() > deadline:
            pytest.fail(f"not true within {seconds:.0f} s: {what}")
        time.sleep(0.05)
    return value


class Organisation:
    """One organisation: its home, its commands, its daemon."""

    def __init__(self, name: str, home: Path) -> None:
        self.name, self.home = name, home
        self.prefix: tuple[str, ...] = ()
        """What runs the daemon and every command, for example in a mount namespace."""
        self.view = home
        """The home as this process sees it."""
        self._daemon: subprocess.Popen[bytes] | None = None

    # --- commands

    def run(self, *arguments: object, **options: Any) -> Result:
        """One command on this home."""
        return agent(*arguments, "--home", self.home, prefix=self.prefix, **options)

    def ask(self, *arguments: object, **options: Any) -> Any:
        """The result of a command that succeeds."""
        return self.run(*arguments, "--json", **options).expect(0).json

    def begin(self, *arguments: object) -> subprocess.Popen[str]:
        """Start a command and leave it to itself; `communicate` waits for its end."""
        command = [*self.prefix, AGENT, *map(str, arguments), "--home", self.home]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)

    def enroll(self, *arguments: object, wait: float = PATIENCE, **options: Any) -> Result:
        """`agent enroll --json`."""
        return self.run("enroll", *arguments, "--wait", wait, "--json", **options)

    def enroll_in_vain(self, *arguments: object, code: int, words: Sequence[str], **options: Any) -> Result:
        """`agent enroll` that is given up before the enrollment ends, with a code and these words.

        The same command goes on with what it began, so it may be given more time to see what it should.
        """
        for wait in IN_VAIN:
            done = self.run("enroll", *arguments, "--wait", wait, **options)
            if done.code == code and not done.missing(*words):
                break
        done.expect(code).says(*words)
        return done

    # --- the daemon

    @property
    def log(self) -> Path:
        """The daemon's log, over all its lives."""
        return self.home.with_suffix(".log")

    @property
    def _health(self) -> Path:
        return self.view / "run" / "health.json"

    @property
    def pid(self) -> int:
        """The daemon's process."""
        assert self._daemon is not None
        return self._daemon.pid

    def launch(self) -> None:
        """Start the daemon; `started` waits for it."""
        self._health.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self._daemon = subprocess.Popen(
                [*self.prefix, AGENT, "run", "--home", self.home, "--log", "json", "--debug"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def started(self) -> None:
        """Wait until the daemon holds the lock and has said how it fares, in this life."""
        assert self._daemon is not None
        process = self._daemon
        up = lambda: process.poll() is not None or (self._health.exists() and self.busy())  # noqa: E731
        eventually(up, f"the daemon of {self.name} is up")
        assert process.poll() is None, f"the daemon of {self.name} ended:\n{self.log.read_text()[-3000:]}"

    def start(self) -> None:
        """Start the daemon and wait until it is up."""
        self.launch()
        self.started()

    def busy(self) -> bool:
        """Whether some process works on the home."""
        return HomeLock(self.view).is_held()

    def stop(self) -> int:
        """SIGTERM. Its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> int:
        assert self._daemon is not None
        self._daemon.send_signal(number)
        code = self._daemon.wait(PATIENCE)
        self._daemon = None
        return code

    def clean_up(self) -> None:
        """End the daemon if one runs."""
        if self._daemon is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop()
                return
            self.kill()

    # --- what is on record

    @contextlib.contextmanager
    def opened(self) -> Iterator[Agent]:
        """The agent, opened in this process."""
        agent = Agent(self.view)
        try:
            yield agent
        finally:
            if "ledger" in vars(agent):
                agent.ledger.close()

    def seen(self) -> dict[str, Any]:
        """What `agent status --json` shows."""
        if self.prefix:  # SQLite would follow the way into another namespace back to where it began
            shown: dict[str, Any] = self.ask("status", "--limit", 1000)
            return shown
        with self.opened() as agent:
            return json.loads(json.dumps(overview(agent, 1000), default=str))

    def transactions(self, **like: str) -> list[dict[str, Any]]:
        """Transactions on record, newest first, with these values."""
        return [one for one in self.seen()["transactions"] if all(one[name] == value for name, value in like.items())]

    def state(self, transaction: str) -> str | None:
        """The state of one transaction."""
        return next((one["state"] for one in self.transactions(id=transaction)), None)

    def reaches(self, transaction: str, state: str) -> None:
        """Wait for a state."""
        eventually(lambda: self.state(transaction) == state, f"{transaction} is {state} at {self.name}")

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The lines of the daemon's log with this event."""
        written, _, _ = self.log.read_text().rpartition("\n")  # the last line may be half written
        lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == event]

    def credential(self, issuer: Organisation | str) -> Path:
        """Where the current credential from an issuer is."""
        return self.view / "credentials" / (issuer if isinstance(issuer, str) else issuer.name) / "current"


class Scene:
    """An issuer and its requesters, with names and a virtual host of their own, each with a home.

    Nobody runs at first. `issuer` has a channel at `port`.
    """

    def __init__(self, broker: Broker, directory: Path) -> None:
        self.broker, self.directory = broker, directory
        self.realm: Realm = broker.fresh()
        self._kept_port = KeptPort()
        self.port = self._kept_port.number
        self.organisations: list[Organisation] = []
        self.issuer = self.organisation(self.realm.issuer, endpoint=f"localhost:{self.port}")
        self.requester = self.organisation(self.realm.requester)

    def organisation(self, name: str, folder: str = "", **answers: Any) -> Organisation:
        """An organisation with a new home, made as `agent init` makes it. The same name twice has another root."""
        home = self.directory / (folder or name)
        set_up(Setup(**{"home": home, "name": name, "title": name, "broker": self.login(name), **answers}))
        return self.known(name, home)

    def known(self, name: str, home: Path) -> Organisation:
        """An organisation whose home the test makes by itself; its daemon ends with the scene."""
        organisation = Organisation(name, home)
        self.organisations.append(organisation)
        return organisation

    def other(self, number: int) -> Organisation:
        """A further requester: 1 or 2."""
        return self.organisation(self.realm.requesters[number])

    def login(self, name: str) -> BrokerAnswers:
        """How an organisation reaches the broker."""
        given = GivenUrl(self.broker.organisation_url(self.realm.issuer, name))
        file = self.directory / f"{name}.password"
        if not file.exists():
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "w") as opened:
                opened.write(given.password)
        only = "" if given.virtual_host == self.realm.host else given.virtual_host
        return BrokerAnswers(given.address, given.user, file, virtual_host=only)

    def login_options(self, name: str) -> list[str]:
        """The same as options of `agent init`."""
        login = self.login(name)
        options = [
            "--broker",
            login.url,
            "--broker-user",
            login.user,
            "--broker-password-file",
            str(login.password_file),
        ]
        return options + (["--broker-virtual-host", login.virtual_host] if login.virtual_host else [])

    def invitation(
        self,
        requester: Organisation | None = None,
        dns: tuple[str, ...] | None = None,
        *,
        issuer: Organisation | None = None,
        expires: str = "1h",
        manual: bool = False,
    ) -> Path:
        """The issuer's invitation, in a file, as `agent invite` makes it. Patterns are given once per requester."""
        requester, issuer = requester or self.requester, issuer or self.issuer
        with issuer.opened() as agent:
            agreed_before = agent.policies.path(OrganisationName(requester.name)).exists()
            patterns = dns or (() if agreed_before else (f"**.{requester.name}.example",))
            out = self.directory / f"invitation-{len(list(self.directory.glob('invitation-*')))}"
            agree(agent, requester.name, patterns, expires, manual=manual, out=out)
        return out

    def name(self, label: str = "api", requester: Organisation | None = None) -> str:
        """A DNS name that the agreement allows."""
        return f"{label}.{(requester or self.requester).name}.example"

    def start(self, *organisations: Organisation) -> None:
        """Start daemons side by side."""
        for one in organisations:
            one.launch()
        for one in organisations:
            one.started()

    def enrolled(self, requester: Organisation | None = None) -> Organisation:
        """The requester, with a first verified credential; daemons must run as the test wants them."""
        requester = requester or self.requester
        invitation = self.invitation(requester)
        requester.enroll("--invitation", invitation, "--dns", self.name(requester=requester)).expect(0)
        return requester

    def clean_up(self) -> None:
        """End every daemon."""
        for one in self.organisations:
            one.clean_up()
        self._kept_port.close()


@contextlib.contextmanager
def new_scene(broker: Broker, directory: Path) -> Iterator[Scene]:
    """A scene whose daemons end with it."""
    scene = Scene(broker, directory)
    try:
        yield scene
    finally:
        scene.clean_up()
