"""From an accepted answer to a verified credential, over the real channel where there is one."""

import contextlib
from pathlib import Path

import pytest
from kit.certificates import forge_ca
from kit.envelopes import B, C, der
from kit.services import validity

from agents.core.effects import RecordPartner, RevokeCertificate, Unit
from agents.core.pem import parse_certificates
from agents.errors import LedgerUnavailableError, StateError
from agents.service import installing
from agents.service.installing import RETRY
from agents.service.retries import JITTER
from protocol.errors import ProblemCode
from protocol.names import Fingerprint
from protocol.transaction import State

PATIENCE = installing.PATIENCE.total_seconds()


@pytest.fixture
def issued(world):
    """B's request, granted; its answer is in the queue, and the channel that it names is closed."""
    key = world.b.begin(world.issuer.invite(B))
    world.b.work(1)
    world.issuer.work()
    return key


@contextlib.contextmanager
def verified_before(world):
    """B has a credential in use; the channel is open meanwhile. Gives its serial number."""
    with world.channel():
        world.b.begin(world.issuer.invite(B))
        world.run()
        assert world.b.current is not None
        yield world.b.current


def work(world, rounds=2):
    for _ in range(rounds):
        world.clock.move(seconds=RETRY.longest)
        world.b.work(1)


def test_a_credential_that_is_not_confirmed_stays_unused(world, issued):
    work(world)
    record = world.b.record(issued)
    assert record.state is State.INSTALLED
    assert world.b.current is None
    assert world.b.store.credential(C, record.serial) is not None
    assert world.issuer.states() == [State.ISSUED]


def test_an_unreachable_channel_is_tried_again_more_and_more_rarely(world, issued):
    world.b.work(2)
    for _ in range(240):
        world.clock.move(seconds=RETRY.first)
        world.b.installing.work()
    tries = world.b.dialer.calls
    assert 120 / RETRY.longest <= tries <= 120 / (RETRY.longest * (1 - JITTER)) + 6
    assert world.b.state(issued) is State.INSTALLED
    assert "localhost:1" in str(world.b.installing.concern())


def test_a_channel_that_stays_unreachable_fails_and_the_certificate_is_withdrawn(world, issued):
    work(world)
    world.clock.move(seconds=PATIENCE)
    work(world)
    record = world.b.record(issued)
    assert (record.state, record.problems[0].field) == (State.FAILED, "channel")
    world.run()
    assert world.issuer.states() == [State.LAPSED]
    certificate = world.issuer.ledger.certificate(C, record.serial)
    assert certificate.revoked_at is not None
    assert world.b.current is None
    assert world.b.installing.concern() is None


def test_a_channel_that_comes_up_in_time_is_verified(world, issued):
    work(world)
    with world.channel() as endpoint:
        relocate(world, endpoint)
        work(world)
    assert world.b.state(issued) is State.VERIFIED
    world.run()
    assert world.issuer.states() == [State.CONFIRMED]


def relocate(world, endpoint):
    """The address that C named is now where its channel is."""
    world.b.ledger.commit([Unit((RecordPartner(C, world.clock.now(), endpoint=endpoint),))])


def test_a_channel_that_does_not_admit_us_fails_at_once_and_the_old_credential_stays(world):
    with verified_before(world) as current:
        key = world.b.begin(None)
        world.b.work(1)
        world.issuer.work()
        revoke_latest(world)
        work(world)
        assert world.b.state(key) is State.FAILED
    assert world.b.current == current
    world.run()
    assert sorted(world.issuer.states()) == [State.CONFIRMED, State.LAPSED]


def revoke_latest(world):
    serial = world.issuer.transactions()[-1].serial
    (done,) = world.issuer.ledger.commit([Unit((RevokeCertificate(serial, C, world.clock.now(), "by hand"),))])
    assert done


def test_a_new_credential_takes_the_place_of_the_old_one_once_it_is_verified(world):
    with verified_before(world) as current:
        key = world.b.begin(None)
        world.run()
        assert world.b.state(key) is State.VERIFIED
    assert world.b.current == world.b.record(key).serial != current


def test_what_the_two_ends_saw_is_recorded(world):
    with verified_before(world):
        session = world.b.ledger.last_session(C)
    own = world.b.ledger.certificates()[0].certificate
    assert Fingerprint.of(own) in session.partner_saw
    assert "localhost" in session.we_saw


# --- restarts


@pytest.mark.parametrize("method", ["next_transactions", "certificate", "message", "partner", "commit"])
@pytest.mark.parametrize("call", [1, 2])
def test_while_the_ledger_is_down_the_round_ends_and_the_next_goes_on(world, method, call):
    with world.channel():
        key = world.b.begin(world.issuer.invite(B))
        world.b.work(1)
        world.issuer.work()
        world.b.ledger.break_at(method, call)
        with contextlib.suppress(LedgerUnavailableError):
            world.b.work(3)
        world.b.bus.suspend(0.0)
        world.b.build()
        world.b.work(3)
        assert world.b.state(key) is State.VERIFIED
    assert world.b.current == world.b.record(key).serial
    assert not world.b.log.faults()


def test_the_ledger_going_down_while_installing_is_not_taken_for_an_unreachable_channel(world, issued):
    world.b.ledger.break_at("commit", 2)
    with pytest.raises(LedgerUnavailableError):
        world.b.services.work(0.0)
    assert not world.b.log.reasons("will try again")


def test_a_crash_between_the_swap_and_the_record_ends_with_the_credential_in_use(world):
    with world.channel():
        key = world.b.begin(world.issuer.invite(B))
        world.b.work(1)
        world.issuer.work()
        world.b.work(1)
        record = world.b.record(key)
        assert record.state is State.INSTALLED
        world.b.store.activate(C, record.serial)
        world.b.build()
        world.b.work(1)
    assert (world.b.state(key), world.b.current) == (State.VERIFIED, record.serial)


@contextlib.contextmanager
def swapped_and_not_recorded(world, *, first):
    """B's process ended after it made its credential current, and before it recorded that. Gives the transaction."""
    before = None
    with world.channel():
        if not first:
            world.b.begin(world.issuer.invite(B))
            world.run()
            before = world.b.current
        key = world.b.begin(world.issuer.invite(B) if first else None)
        world.b.work(1)
        world.issuer.work()
        world.b.work(1)
        world.b.ledger.break_at("commit")
        with pytest.raises(LedgerUnavailableError):
            world.b.work(1)
        assert (world.b.state(key), world.b.current) == (State.INSTALLED, world.b.record(key).serial)
        world.b.build()
        yield key, before


@pytest.mark.parametrize("first", [True, False])
def test_a_swap_that_was_never_recorded_is_taken_back_when_the_channel_stays_away(world, first):
    with swapped_and_not_recorded(world, first=first) as (key, before):
        pass
    work(world)
    assert world.b.current == world.b.record(key).serial
    world.clock.move(seconds=PATIENCE)
    work(world)
    assert (world.b.state(key), world.b.current) == (State.FAILED, before)
    world.run()
    assert world.issuer.states()[-1] is State.LAPSED


def test_a_swap_that_was_never_recorded_is_taken_back_when_the_channel_does_not_admit_us(world):
    with swapped_and_not_recorded(world, first=False) as (key, before):
        revoke_latest(world)
        work(world)
    assert (world.b.state(key), world.b.current) == (State.FAILED, before)


def test_a_swap_that_was_never_recorded_is_taken_back_when_the_program_fails_on_it(world, monkeypatch):
    with swapped_and_not_recorded(world, first=False) as (key, before):
        monkeypatch.setattr(world.b.ledger, "partner", lambda _: None, raising=False)
        work(world, 1)
    assert (world.b.state(key), world.b.current) == (State.FAILED, before)


def test_a_credential_is_not_rejected_before_it_is_out_of_use(world, monkeypatch):
    def full(*_):
        raise StateError("no space left on the device; make room")

    with swapped_and_not_recorded(world, first=False) as (key, before):
        pass
    world.clock.move(seconds=PATIENCE)
    monkeypatch.setattr(world.b.store, "withdraw", full)
    work(world)
    assert world.b.state(key) is State.INSTALLED
    assert "no space left" in str(world.b.installing.concern())
    monkeypatch.undo()
    work(world)
    assert (world.b.state(key), world.b.current) == (State.FAILED, before)


# --- faults of our own


def test_a_key_that_is_gone_is_tried_again_and_touches_nothing(world, issued):
    (world.b.home / world.b.record(issued).key_path).unlink()
    work(world, 3)
    assert (world.b.state(issued), world.b.current) == (State.ISSUED, None)
    assert world.b.installing.concern() is not None


def test_a_key_that_stays_away_fails_and_the_certificate_is_withdrawn(world, issued):
    key = world.b.home / world.b.record(issued).key_path
    key.unlink()
    work(world)
    world.clock.move(seconds=PATIENCE)
    work(world)
    (reason,) = world.b.record(issued).problems
    assert (world.b.state(issued), reason.field, reason.code) == (
        State.FAILED,
        "credential",
        ProblemCode.SYSTEM_FAILURE,
    )
    assert "private key is missing" in reason.got
    assert "enroll again" in reason.fix
    assert world.b.installing.concern() is None
    world.run()
    assert world.issuer.states() == [State.LAPSED]
    (theirs,) = world.issuer.transactions()
    assert str(world.b.home) not in str(theirs.problems)


def test_a_credential_that_cannot_be_installed_keeps_none_behind_it_waiting(world, issued, monkeypatch):
    monkeypatch.setattr(installing, "PAGE", 1)
    world.b.build()
    (world.b.home / world.b.record(issued).key_path).unlink()
    other = world.b.begin(None)
    world.b.bus.suspend(0.0)
    world.run()
    assert (world.b.state(issued), world.b.state(other)) == (State.ISSUED, State.INSTALLED)


def test_a_transaction_on_which_the_program_fails_ends_and_the_others_go_on(world, issued, monkeypatch):
    other = world.b.begin(None)
    world.b.bus.suspend(0.0)
    real = world.b.store.stage

    def faulty(issuer, serial, *arguments):
        if world.b.ledger.certificate(C, serial).transaction == issued.id:
            raise TypeError("a fault")
        real(issuer, serial, *arguments)

    monkeypatch.setattr(world.b.store, "stage", faulty)
    world.run()
    assert (world.b.state(issued), world.b.state(other)) == (State.FAILED, State.INSTALLED)
    assert world.b.record(issued).problems[0].code is ProblemCode.SYSTEM_FAILURE
    assert len(world.b.log.faults()) == 1


def test_a_transaction_whose_certificate_is_not_on_record_ends_alone(world, issued, monkeypatch):
    monkeypatch.setattr(world.b.ledger, "certificate", lambda *_: None, raising=False)
    world.b.work(2)
    assert world.b.state(issued) is State.FAILED


def test_a_disk_that_is_full_is_tried_again(world, issued, monkeypatch):
    def full(*_):
        raise StateError("no space left on the device; make room")

    monkeypatch.setattr(world.b.store, "stage", full)
    work(world)
    assert world.b.state(issued) is State.ISSUED
    monkeypatch.undo()
    work(world)
    assert world.b.state(issued) is State.INSTALLED


def test_a_transaction_whose_answer_is_lost_ends_alone(world, issued, monkeypatch):
    message = world.b.ledger.message

    def lose(key, kind):
        return None if kind == "enrollment.reply" else message(key, kind)

    monkeypatch.setattr(world.b.ledger, "message", lose, raising=False)
    world.b.work(1)
    assert (world.b.state(issued), world.b.current) == (State.FAILED, None)


def test_a_transaction_whose_issuer_is_no_longer_known_ends_alone(world, issued, monkeypatch):
    world.b.work(1)
    assert world.b.state(issued) is State.INSTALLED
    monkeypatch.setattr(world.b.ledger, "partner", lambda _: None, raising=False)
    work(world, 1)
    assert (world.b.state(issued), world.b.current) == (State.FAILED, None)


def test_what_an_issuer_sends_beside_the_path_is_not_installed(world, monkeypatch):
    stray = der(forge_ca("stray", **validity(world.clock)).certificate)
    above = world.issuer.signer.chain()
    sent = (world.issuer.signer.trust_bundle()[0], stray, *above)
    monkeypatch.setattr(type(world.issuer.signer), "chain", lambda _: sent)
    key = world.b.begin(world.issuer.invite(B))
    world.run()
    fullchain = Path(world.b.store.credential(C, world.b.record(key).serial).chain_path)
    installed = parse_certificates((fullchain.parent / "chain.pem").read_bytes(), "chain.pem")
    assert [der(one) for one in installed] == [*above]
