"""An issuer and its requesters as services: real ledgers, keys and channels, a broker in memory, a clock to move."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from kit.certificates import Forged, forge_ca, forge_server
from kit.channel import RecordingLog
from kit.clocks import HandClock
from kit.envelopes import B, C, D, Organisation, agent_of, der
from kit.fake_bus import FakeBroker, Held
from kit.pki import Holder
from kit.policies import dns_patterns, make_policy

from agents.adapters.clock import SystemClock
from agents.adapters.credentials import CredentialFiles
from agents.adapters.entropy import SystemEntropy
from agents.adapters.keystore.opened import CaSigner
from agents.adapters.ledger import open_ledger
from agents.adapters.tls import TlsChannelDialer, TlsChannelListener
from agents.core.admission import IssuedFacts, admit
from agents.core.effects import TransactionKey
from agents.core.issuer import unit_for_session
from agents.core.policy import Policy
from agents.core.requester import Enrollment
from agents.errors import ConfigurationError, LedgerUnavailableError
from agents.ports import ChannelCredential, TransactionRecord
from agents.service import roles
from agents.service.authority import Authority
from agents.service.enrolling import begin, take_in
from agents.service.inviting import invite
from agents.service.workplace import Workplace
from protocol import topology
from protocol.broker import BrokerAddress
from protocol.certificate import serial_number
from protocol.csr import NameKind, SubjectName, build_csr
from protocol.envelope import reread
from protocol.invitation import Invitation
from protocol.messages import ChannelStatement, Endpoint, Message, PeerView
from protocol.names import Fingerprint, OrganisationName
from protocol.path import load_certificate
from protocol.transaction import State

CONFIRM_WITHIN = timedelta(minutes=30)
NOWHERE = Endpoint(host="localhost", port=1)
"""Nobody listens here."""


class TestLog(RecordingLog):
    """Keeps what is said, faults in the program too."""

    __test__ = False

    def exception(self, event: str, **fields: object) -> None:
        self.lines.append(("exception", event, fields))

    def bind(self, **fields: object) -> TestLog:
        return self

    def faults(self) -> list[dict[str, object]]:
        return [fields for level, _, fields in self.lines if level == "exception"]


class BreakableLedger:
    """A real ledger that is out of order when a test wants it: at the n-th call of a method from now."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger
        self._breaks: dict[str, tuple[int, Exception]] = {}

    def break_at(self, method: str, call: int = 1, error: Exception | None = None) -> None:
        self._breaks[method] = (call, error or LedgerUnavailableError("the disk is full; make room"))

    def __getattr__(self, name: str) -> Any:
        if name in self._breaks:
            left, error = self._breaks[name]
            if left == 1:
                del self._breaks[name]
                raise error
            self._breaks[name] = (left - 1, error)
        return getattr(self._ledger, name)


@cache
def empty_ledger() -> bytes:
    """The file of a ledger without records: to make its tables takes longer than most tests."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "ledger.sqlite"
        open_ledger(str(path), create=True).close()
        return path.read_bytes()


class Party:
    """What both roles have: an organisation with keys valid now, a ledger, a log, a link to the broker."""

    def __init__(self, world: World, name: OrganisationName, queue: str) -> None:
        self.world, self.name, self.clock = world, name, world.clock
        self.home = world.directory / name
        self.home.mkdir(mode=0o700)
        self.organisation = organisation_now(name, world.clock)
        self.sealer = self.organisation.sealer
        self.root = Fingerprint.of(der(self.organisation.root.certificate))
        ledger = self.home / "ledger.sqlite"
        ledger.touch(mode=0o600)
        ledger.write_bytes(empty_ledger())
        self.ledger = BreakableLedger(open_ledger(str(ledger)))
        self.log = TestLog()
        self.bus = world.broker.bus(queue)
        self.place = Workplace(name, self.ledger, self.clock, self.log)
        self.build()

    def build(self) -> None:
        """Make the services anew, as a restart does: nothing is left but the ledger and the files."""
        raise NotImplementedError

    def transactions(self) -> tuple[TransactionRecord, ...]:
        """In order of creation, oldest first."""
        return self.ledger.list_transactions()[::-1]

    def states(self) -> list[State]:
        return [record.state for record in self.transactions()]

    def quarantined(self) -> int:
        return self.ledger.quarantine_count()


class Issuer(Party):
    """C: issues to whoever `policies` names."""

    def build(self) -> None:
        self.policies: dict[OrganisationName, Policy | ConfigurationError] = getattr(self, "policies", {})
        issuing = self.organisation.issuing
        self.signer = CaSigner(issuing.key, issuing.certificate, self.organisation.root.certificate)
        identity = [der(one) for one in self.organisation.chain]
        authority = Authority(self.signer, identity, self.world.endpoint, SystemEntropy())
        services = roles.issuer(self.place, self.bus, self.sealer, authority, self.policy_of, CONFIRM_WITHIN)
        self.issuing, self.upkeep, self.relay = services.issuing, services.upkeep, services.relay

    def policy_of(self, partner: OrganisationName) -> Policy | None:
        found = self.policies.get(partner)
        if isinstance(found, ConfigurationError):
            raise found
        return found

    def invite(self, partner: OrganisationName, lifetime: timedelta = timedelta(hours=1), **policy: Any) -> Invitation:
        self.policies[partner] = make_policy(names=dns_patterns(f"**.{partner}.example"), **policy)
        made = invite(
            self.place,
            SystemEntropy(),
            partner,
            root=self.root,
            broker=BrokerAddress("amqp://broker.example"),
            lifetime=lifetime,
        )
        return made.invitation

    def work(self, rounds: int = 4) -> None:
        """Deal with what is there, the confirms included."""
        for _ in range(rounds):
            self.issuing.work(0.0)

    def tend(self, seconds: float = 6.0) -> None:
        """Let upkeep run twice, with time between."""
        self.upkeep.work()
        self.clock.move(seconds=seconds)
        self.upkeep.work()

    def certificates(self) -> int:
        return len(self.ledger.certificates())

    def note_session(self, statement: ChannelStatement | None, seen: PeerView, partner: OrganisationName) -> None:
        """As the listener records it."""
        self.ledger.commit([unit_for_session(statement, seen, partner, self.name, self.clock.now())])

    def admits(self, certificate: bytes) -> OrganisationName:
        """As the listener asks. Raises `ProtocolError`."""
        record = self.ledger.certificate(self.name, serial_number(load_certificate(certificate)))
        facts = record and IssuedFacts(
            record.issuer, record.subject, record.certificate, record.not_before, record.not_after, record.revoked_at
        )
        agreed = record is not None and self.policy_of(record.subject) is not None
        return admit(self.name, facts, certificate, self.clock.now(), agreed=agreed)


class Requester(Party):
    """B or D: enrolls with C."""

    def build(self) -> None:
        self.store = CredentialFiles(self.home)
        self.dialer = CountingDialer()
        self.services = roles.requester(self.place, C, self.bus, self.sealer, self.store, self.dialer)
        self.requesting, self.installing = self.services.requesting, self.services.installing

    def begin(
        self, invitation: Invitation | None, *names: str, own_key: bool = True, given: Any = None, **changes: Any
    ) -> TransactionKey:
        """Record a request, as `agent enroll` does."""
        self.clock.move(seconds=1)  # so that transactions have an order
        if invitation:
            take_in(invitation, self.name, self.ledger, self.clock)
        now = self.clock.now()
        id = SystemEntropy().transaction_id(now)
        key, path = self.store.new_key(C, id) if own_key else (generate_private_key(SECP256R1()), None)
        key = given or key
        wanted = tuple(SubjectName(NameKind.DNS, name) for name in names or (f"api.{self.name}.example",))
        csr = build_csr(key, wanted, None)
        enrollment = Enrollment(id, self.name, C, csr, timedelta(days=20), now, now + timedelta(days=7), path)
        return begin(replace(enrollment, **changes), self.root, invitation, self.sealer, self.ledger)

    def sealed(self, key: TransactionKey, type: str = "enrollment.request") -> bytes:
        """The exact bytes of a message of ours."""
        return self.ledger.message(key, type).body

    def work(self, rounds: int = 3) -> None:
        for _ in range(rounds):
            self.services.work(0.0)

    def state(self, key: TransactionKey) -> State:
        return self.ledger.transactions([key])[key].state

    def record(self, key: TransactionKey) -> TransactionRecord:
        return self.ledger.transactions([key])[key]

    @property
    def current(self) -> str | None:
        """Serial number of the credential in use."""
        link = self.home / "credentials" / C / "current"
        return str(link.readlink()) if link.is_symlink() else None


class CountingDialer:
    """The real dialler, with the real clock."""

    def __init__(self) -> None:
        self.calls = 0

    def dial(self, *arguments: Any) -> Any:
        self.calls += 1
        return TlsChannelDialer(SystemClock()).dial(*arguments)


class World:
    """C, and B and D that enroll with it. The channel is closed until a test opens it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = HandClock()
        self.endpoint = NOWHERE
        self.broker = FakeBroker(topology.declarations(C, [B, D]), confirm=0.2)
        self.issuer = Issuer(self, C, topology.request_queue(C))
        self.b = Requester(self, B, topology.reply_queue(B))
        self.d = Requester(self, D, topology.reply_queue(D))

    def run(self, requester: Requester | None = None) -> None:
        """Let both sides work until nothing moves any more."""
        for _ in range(4):
            (requester or self.b).work(2)
            self.issuer.work(3)

    def send(self, *bodies: bytes) -> None:
        """Put bytes into the issuer's queue."""
        for body in bodies:
            self._publish(topology.request_queue(C), body)

    def answer(self, body: bytes, to: OrganisationName = B) -> None:
        """Put bytes into a requester's queue."""
        self._publish(topology.reply_queue(to), body)

    def _publish(self, queue: str, body: bytes) -> None:
        with self.broker.changed:
            self.broker.queues[queue].append(Held(body))

    def depth(self, queue: str) -> int:
        """Messages that wait in a queue."""
        return self.broker.depth(queue)

    def dead(self, queue: str) -> list[bytes]:
        """What was dead-lettered out of a queue."""
        return [held.body for held in self.broker.queues[topology.dead_letter_queue(queue)]]

    def said(self, to: OrganisationName = B) -> list[Message]:
        """What C said to a requester that has not read it yet."""
        return [reread(held.body) for held in self.broker.queues[topology.reply_queue(to)]]

    @contextlib.contextmanager
    def channel(self) -> Iterator[Endpoint]:
        """C's real channel, open for a while; what is issued meanwhile names it."""
        issuing = self.issuer.organisation.issuing
        server = forge_server(issuing, "localhost", **validity(self.clock))
        chain, key = holder(server, issuing).write(self.directory, "server")
        listener = TlsChannelListener(
            organisation=C,
            credential=ChannelCredential(chain, key),
            client_anchors=(der(self.issuer.organisation.root.certificate),),
            intermediates=(der(issuing.certificate),),
            listen=("127.0.0.1", 0),
            admission=self.issuer.admits,
            sink=self.issuer.note_session,
            clock=SystemClock(),
            log=self.issuer.log,
        )
        self.endpoint = listener.start()
        self.issuer.build()
        try:
            yield self.endpoint
        finally:
            listener.close(grace=0.2)


def holder(leaf: Forged, issuing: Forged) -> Holder:
    return Holder(leaf.certificate, leaf.key, (issuing.certificate,))


def validity(clock: HandClock) -> dict[str, Any]:
    now = clock.start.replace(microsecond=0)
    return {"start": now - timedelta(days=1), "end": now + timedelta(days=60)}


def organisation_now(name: OrganisationName, clock: HandClock) -> Organisation:
    """An organisation whose certificates are valid now."""
    valid = validity(clock)
    root = forge_ca(f"{name} root", **valid)
    issuing = forge_ca(f"{name} issuing", root, path_length=0, **valid)
    return Organisation(name, root, issuing, agent_of(name, issuing, **valid))


@contextlib.contextmanager
def new_world(directory: Path) -> Iterator[World]:
    world = World(directory)
    try:
        yield world
    finally:
        for party in (world.issuer, world.b, world.d):
            party.ledger.close()
