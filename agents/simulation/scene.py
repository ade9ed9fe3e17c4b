"""The directory of a simulation: who lives where, how they reach each other, and what every process of it must know.

Organisations are real homes. Issuers are made before the start; a requester's home is made when its first request is
due, as a partner's would be.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path

from agents.bootstrap.agent import Agent
from agents.bootstrap.agreement import agree
from agents.bootstrap.broker import PASSWORDS
from agents.bootstrap.setup import BrokerAnswers, Setup, set_up
from agents.bootstrap.trial import write_private
from agents.core.effects import RecordInvitation, Unit
from agents.simulation.parameters import Faults, Parameters
from agents.simulation.plan import Agreement, Kind, Plan, Request, make_plan
from protocol.invitation import Invitation, Secret, encode_invitation
from protocol.names import OrganisationName

BROKER = "broker"
FILE = "scene.json"

DONE = "done"
"""What is told of a request whose requester has nothing more to do for it."""

INVITATION_LIFETIME, EXPIRED_LIFETIME = timedelta(days=1), timedelta(seconds=1)

INVITED_BY_ITSELF = frozenset({Kind.EXPIRED_INVITATION, Kind.DENIED})
"""Requests with an invitation of their own: a denied one uses it up without making its sender known."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is where. Ports are those of the network links, through which every connection goes."""

    directory: Path
    plan: Plan
    started_at: float
    """Seconds since 1970; the plan counts from here."""
    line_ports: tuple[int, ...]
    """To the broker, for requesters; by `Plan.line`."""
    issuer_ports: tuple[int, ...]
    """To the broker, for each issuer."""
    channel_ports: tuple[int, ...]
    """To the channel of each issuer."""
    listen_ports: tuple[int, ...]
    """Where each issuer's channel really listens."""

    def home(self, organisation: OrganisationName) -> Path:
        """The home of an organisation."""
        return self.directory / organisation

    def invitation(self, request: Request) -> Path:
        """The invitation that comes with a request, where one does."""
        special = f"-{request.number}" if request.kind in INVITED_BY_ITSELF else ""
        return self.directory / "invitations" / f"{request.requester}-{request.issuer}{special}"

    def sealed(self, request: Request) -> Path:
        """Where the octets of a poisonous message lie before they are sent."""
        return self.directory / "poison" / str(request.number)

    def events(self, worker: int) -> Path:
        """Where a process of requesters tells what happens, one JSON object a line."""
        return self.directory / f"requesters-{worker}.events"

    def broker_of(self, organisation: OrganisationName) -> BrokerAnswers:
        """How an organisation reaches the broker."""
        if organisation in self.plan.issuers:
            port = self.issuer_ports[self.plan.issuers.index(organisation)]
        else:
            port = self.line_ports[self.plan.line(organisation)]
        password = self.directory / BROKER / PASSWORDS / f"{organisation}.password"
        return BrokerAnswers(f"amqp://127.0.0.1:{port}", organisation, password)

    def save(self) -> None:
        """Write it down for the other processes."""
        known = asdict(self) | {"directory": str(self.directory), "plan": asdict(self.plan.parameters)}
        write_private(self.directory / FILE, json.dumps(known).encode())


def load_scene(directory: Path) -> Scene:
    """The scene that is written down in `directory`; the plan is made again from its parameters."""
    known = json.loads((directory / FILE).read_text())
    told = known.pop("plan")
    plan = make_plan(Parameters(**{**told, "faults": Faults(told["faults"])}))
    ports = {name: tuple(value) for name, value in known.items() if name.endswith("_ports")}
    return Scene(directory, plan, known["started_at"], **ports)


def make_issuers(scene: Scene) -> None:
    """The home of each issuer, with a channel."""
    for number, issuer in enumerate(scene.plan.issuers):
        endpoint, listen = f"localhost:{scene.channel_ports[number]}", f"127.0.0.1:{scene.listen_ports[number]}"
        broker = scene.broker_of(issuer)
        set_up(Setup(scene.home(issuer), issuer, f"Issuer {number + 1}", broker, endpoint, listen))


def make_requester(scene: Scene, requester: OrganisationName) -> None:
    """The home of a requester."""
    broker = scene.broker_of(requester)
    set_up(Setup(home=scene.home(requester), name=requester, title=requester, broker=broker))


def invite_all(scene: Scene) -> None:
    """Every agreement, written down, and the invitations that go with it, in files.

    They name the requester's own way to the broker, not the issuer's.
    """
    (scene.directory / "invitations").mkdir(mode=0o700)
    for issuer in scene.plan.issuers:
        agent = Agent(scene.home(issuer))
        try:
            for agreement in scene.plan.agreements:
                if agreement.issuer == issuer:
                    _invite(scene, agent, agreement)
        finally:
            agent.ledger.close()


def _invite(scene: Scene, agent: Agent, agreement: Agreement) -> None:
    broker = agent.config.broker
    if broker is not None:
        reached = broker.model_validate({**dict(broker), "url": scene.broker_of(agreement.requester).url})
        agent.config = agent.config.model_copy(update={"broker": reached})
    patterns: tuple[str, ...] = (f"**.{agreement.requester}.example",)
    first = next(request for request in scene.plan.of(agreement.requester) if request.issuer == agreement.issuer)
    usual = scene.directory / "invitations" / f"{first.requester}-{first.issuer}"
    agreed = agree(agent, agreement.requester, patterns, "1d", manual=agreement.manual, out=usual)
    for request in scene.plan.of(agreement.requester):
        if request.issuer == agreement.issuer and request.kind in INVITED_BY_ITSELF:
            lifetime = EXPIRED_LIFETIME if request.kind is Kind.EXPIRED_INVITATION else INVITATION_LIFETIME
            further = _further(agent, agreed.invitation, lifetime)
            write_private(scene.invitation(request), encode_invitation(further).encode())


def _further(agent: Agent, usual: Invitation, lifetime: timedelta) -> Invitation:
    """An invitation beside the usual one. An operator would make it when the one before is used up; here all are made
    before the start, and `agent invite` would withdraw those before it."""
    now, secret = agent.clock.now(), agent.entropy.secret()
    made = replace(usual, id=agent.entropy.invitation_id(), secret=Secret(secret), expires_at=now + lifetime)
    agent.ledger.commit([Unit((RecordInvitation(made.id, made.requester, secret, now, made.expires_at),))])
    return made
