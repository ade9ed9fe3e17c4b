"""Whatever is killed in the middle of an enrollment, it completes, with one certificate that both ledgers hold."""

import os
import signal

from kit.agents import eventually


def sent(scene):
    """Ask while the issuer does not answer; the transaction, sent."""
    asked = ["--invitation", scene.invitation(), "--dns", scene.name()]
    scene.requester.enroll(*asked, wait=0).expect(4)
    (transaction,) = eventually(lambda: scene.requester.transactions(state="sent"), "the request is sent")
    return transaction["id"]


def completes(scene, transaction):
    scene.requester.reaches(transaction, "verified")
    scene.issuer.reaches(transaction, "confirmed")
    (ours,), (theirs,) = scene.requester.seen()["certificates"], scene.issuer.seen()["certificates"]
    assert ours["serial"] == theirs["serial"] == scene.requester.credential(scene.issuer).readlink().name
    eventually(lambda: [one.seen()["waiting_to_leave"] for one in (scene.issuer, scene.requester)] == [0, 0])


def test_the_broker_restarts_under_both_daemons(breakable_broker, scene):
    scene.start(scene.issuer, scene.requester)
    os.kill(scene.issuer.pid, signal.SIGSTOP)
    transaction = sent(scene)
    breakable_broker.node.restart()
    os.kill(scene.issuer.pid, signal.SIGCONT)
    completes(scene, transaction)


def test_the_issuer_is_killed_with_the_request_in_hand(scene):
    scene.start(scene.issuer, scene.requester)
    os.kill(scene.issuer.pid, signal.SIGSTOP)
    transaction = sent(scene)
    scene.issuer.kill()
    scene.issuer.start()
    completes(scene, transaction)


def test_the_issuer_is_killed_as_soon_as_it_has_recorded_the_certificate(scene):
    scene.requester.start()
    transaction = sent(scene)
    scene.issuer.launch()
    eventually(lambda: scene.issuer.state(transaction))
    scene.issuer.kill()
    scene.issuer.start()
    completes(scene, transaction)


def test_the_requester_is_killed_after_sending(scene):
    scene.requester.start()
    transaction = sent(scene)
    scene.requester.kill()
    scene.start(scene.issuer, scene.requester)
    completes(scene, transaction)


def test_the_requester_is_killed_as_soon_as_it_has_recorded_the_answer(scene):
    scene.requester.start()
    transaction = sent(scene)
    scene.issuer.launch()
    eventually(lambda: scene.requester.state(transaction) != "sent")
    scene.requester.kill()
    scene.requester.start()
    completes(scene, transaction)
