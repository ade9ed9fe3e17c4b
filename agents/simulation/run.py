"""Runs a simulation from beginning to end: scene, agents, trouble, quiet, facts, verdict. Nothing runs afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from agents.bootstrap.agent import Agent
from agents.bootstrap.broker import OwnBroker, Partnership, RunningBroker, running_broker
from agents.bootstrap.demo import start_daemon
from agents.bootstrap.trial import Network, free_port, system_clock
from agents.errors import AgentError
from agents.simulation.evening import Evening
from agents.simulation.outcome import Happening, Outage, Outcome, Watch
from agents.simulation.parameters import Parameters
from agents.simulation.people import People
from agents.simulation.plan import LINES, WORKERS, Plan, Request, Strike, make_plan
from agents.simulation.processes import Issuer, Requesters
from agents.simulation.reading import read_facts
from agents.simulation.scene import BROKER, DONE, Scene, invite_all, make_issuers
from agents.simulation.strikes import Killable, Striker, Targets
from agents.simulation.tail import Tail
from agents.simulation.verdict import judge
from protocol.names import OrganisationName

POLL_SECONDS = 0.2

STALLED_SECONDS = 300.0
"""After this long without anything happening the requesters are not waited for any more."""


class Simulation:
    """One run in one directory, which is made if it is not there."""

    def __init__(self, parameters: Parameters, directory: Path, watch: Watch) -> None:
        self._plan, self._directory, self._watch = make_plan(parameters), directory.absolute(), watch
        self._clock = system_clock()
        self._started_at = 0.0
        self._happenings: list[Happening] = []
        self._outages: list[Outage] = []
        self._phases: list[tuple[str, float]] = []
        self._faults: list[str] = []

    def run(self) -> Outcome:
        """Everything. Raises `AgentError` if there can be no simulation here."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with ExitStack() as stack:
            with self._phase("starting a broker with a queue for everybody"):
                broker = running_broker(self._directory / BROKER, _partnership(self._plan))
                running = stack.enter_context(broker)
            with self._phase("making issuers, agreements and invitations"):
                network = stack.enter_context(Network(self._targets(running)))
                scene = self._scene(network)
                make_issuers(scene)
                invite_all(scene)
                issuers = [self._issuer(scene, name, stack) for name in self._plan.issuers]
            stack.enter_context(_killed_if_cut_short(running.broker, *issuers))
            with self._phase("onboarding"):
                self._onboard(scene, network, running, issuers)
            with self._phase("waiting for quiet"):
                Evening(scene, running).wait()
            for issuer in issuers:
                issuer.stop()
            with self._phase("reading ledgers and queues"):
                return self._judged(scene, running)

    @contextmanager
    def _phase(self, title: str) -> Iterator[None]:
        self._watch.phase(title)
        begun = time.monotonic()
        yield
        self._phases.append((title, round(time.monotonic() - begun, 2)))

    # --- the scene

    def _targets(self, running: RunningBroker) -> list[int]:
        """What the links lead to: the broker for requesters and for issuers, then each issuer's channel."""
        listen = [free_port() for _ in self._plan.issuers]
        return [running.broker.port] * (LINES + len(self._plan.issuers)) + listen

    def _scene(self, network: Network) -> Scene:
        ports, count = [link.port for link in network.links], len(self._plan.issuers)
        listen = tuple(link.target for link in network.links[LINES + count :])
        lines, issuers, channels = ports[:LINES], ports[LINES : LINES + count], ports[LINES + count :]
        return Scene(self._directory, self._plan, 0.0, tuple(lines), tuple(issuers), tuple(channels), listen)

    def _issuer(self, scene: Scene, name: OrganisationName, stack: ExitStack) -> Issuer:
        issuer = Issuer(name, partial(start_daemon, Agent(scene.home(name))))
        stack.callback(issuer.stop)
        issuer.start()
        return issuer

    # --- the day

    def _onboard(self, scene: Scene, network: Network, running: RunningBroker, issuers: list[Issuer]) -> None:
        self._started_at = self._clock.now().timestamp()
        scene = replace(scene, started_at=self._started_at)
        scene.save()
        workers = [Requesters(scene.directory, number) for number in range(WORKERS)]
        names = [f"link of requesters {number + 1}" for number in range(LINES)]
        names += [f"link of {name}" for name in self._plan.issuers]
        names += [f"channel of {name}" for name in self._plan.issuers]
        targets = Targets(running.broker, issuers, workers, list(zip(names, network.links, strict=True)))
        striker = Striker(targets, self._plan.strikes, self._strike_begun, self._strike_ended)
        with ExitStack() as stack:
            for worker in workers:
                stack.callback(worker.stop)
                worker.start()
            stack.enter_context(People(scene, self._decided))
            stack.callback(striker.stop)
            stack.enter_context(_killed_if_cut_short(running.broker, *issuers, *workers))
            striker.start()
            self._follow(scene, workers, striker)
            striker.join()
        self._faults += striker.faults

    def _follow(self, scene: Scene, workers: list[Requesters], striker: Striker) -> None:
        """Until every requester has done its part, or nothing goes on any more, or what was struck is not mended."""
        tails = [Tail(scene.events(number)) for number in range(WORKERS)]
        ended, latest = False, time.monotonic()
        while not ended and not striker.faults and time.monotonic() - latest < STALLED_SECONDS:
            time.sleep(POLL_SECONDS)
            ended = all(worker.ended for worker in workers)
            for line in (line for tail in tails for line in tail.new()):
                latest = time.monotonic()
                if line["what"] != DONE:
                    self._happened(line["at"] - self._started_at, line["number"], line["what"])
        if not ended and not striker.faults:
            self._faults.append(f"requesters were at work, and nothing happened for {STALLED_SECONDS:.0f} s")

    def _happened(self, at: float, number: int, what: str) -> None:
        happening = Happening(round(at, 3), number, what)
        self._happenings.append(happening)
        self._watch.happening(happening)

    def _decided(self, request: Request, allow: bool) -> None:  # noqa: FBT001 - `people.Decided`
        self._happened(self._now(), request.number, "approved" if allow else "denied")

    def _now(self) -> float:
        return self._clock.now().timestamp() - self._started_at

    def _strike_begun(self, strike: Strike, target: str) -> None:
        self._watch.strike(strike.kind, target, over=False)

    def _strike_ended(self, strike: Strike, target: str, seconds: float) -> None:
        end = self._now()
        self._outages.append(Outage(strike.kind, target, round(end - seconds, 2), round(end, 2)))
        self._watch.strike(strike.kind, target, over=True)

    def _judged(self, scene: Scene, running: RunningBroker) -> Outcome:
        facts = read_facts(scene, running)
        facts = replace(facts, faults_in_program=(*facts.faults_in_program, *self._faults))
        return Outcome(
            self._plan,
            facts,
            judge(self._plan, facts),
            tuple(sorted(self._happenings, key=lambda happening: happening.at)),
            tuple(sorted(self._outages, key=lambda outage: outage.begin)),
            self._started_at,
            tuple(self._phases),
        )


@contextmanager
def _killed_if_cut_short(*things: Killable | OwnBroker) -> Iterator[None]:
    """Kill `things` where the block ends with an exception, such as Ctrl-C: nobody looks at what they leave, so that
    they need not end in order, one after the other."""
    try:
        yield
    except BaseException:
        for thing in things:
            with suppress(AgentError):
                thing.kill()
        raise


def _partnership(plan: Plan) -> Partnership:
    only: dict[OrganisationName, list[OrganisationName]] = {issuer: [] for issuer in plan.issuers}
    for agreement in plan.agreements:
        only[agreement.issuer].append(agreement.requester)
    return Partnership(plan.issuers, plan.requesters, only)
