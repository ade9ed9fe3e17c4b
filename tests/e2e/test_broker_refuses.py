"""A broker that is not reached, does not let us in or takes nothing: it is said which, and the enrollment is kept."""

import pytest
from kit.agents import eventually
from kit.broker import channel, password
from kit.ports import KeptPort

from protocol.topology import request_queue, virtual_host


def another_broker(scene, **settings):
    """Give the requester a section of its own for this issuer's broker; returns what puts it right again."""
    file = scene.requester.home / "agent.toml"
    before = file.read_text()
    login = scene.login(scene.requester.name)
    right = {"url": login.url, "user": login.user, "password_file": str(login.password_file)}
    lines = [f'{key} = "{value}"' for key, value in (right | settings).items()]
    file.write_text("\n".join([before, f"[brokers.{scene.issuer.name}]", *lines, ""]))
    return lambda: file.write_text(before)


def write_password(scene, text):
    file = scene.directory / "other.password"
    file.touch(mode=0o600)
    file.write_text(text)
    return str(file)


def dead_port(scene):
    return {"url": f"amqp://127.0.0.1:{scene.nobody.number}"}


def wrong_password(scene):
    return {"password_file": write_password(scene, "not this one")}


def unknown_host(scene):
    return {"virtual_host": "enroll.nobody"}


def stranger(scene):
    other = scene.broker.fresh().requester
    return {"user": other, "password_file": write_password(scene, password(other))}


def neighbour(scene):
    """A user who may enter the virtual host, but neither write to our exchange nor read our replies."""
    other = scene.realm.requesters[1]
    return {"user": other, "password_file": write_password(scene, password(other))}


FAULTS = [
    pytest.param(dead_port, ("Nothing listens at amqp://127.0.0.1:", "whether the broker runs"), id="refused"),
    pytest.param(wrong_password, ("refused the login of user", "Check the password"), id="wrong password"),
    pytest.param(unknown_host, ("virtual host 'enroll.nobody'", "exists"), id="unknown virtual host"),
    pytest.param(stranger, ("refused access to virtual host", "has permissions in it"), id="no permission at all"),
    pytest.param(neighbour, ("replies.", "permission"), id="no permission for the queue"),
]


@pytest.fixture
def scene(scene):
    """With a port on which nobody listens."""
    with KeptPort() as scene.nobody:
        yield scene


@pytest.mark.parametrize(("fault", "words"), FAULTS)
def test_enroll_says_what_keeps_it_from_the_broker_and_goes_on_later(breakable_broker, scene, fault, words):
    scene.issuer.start()
    put_right = another_broker(scene, **fault(scene))
    asked = ["--invitation", scene.invitation(), "--dns", scene.name()]
    said = (*words, "s the enrollment is created", "nothing is lost", "agent run")
    scene.requester.enroll_in_vain(*asked, code=3, words=said)

    (kept,) = scene.requester.transactions()
    put_right()
    scene.requester.start()
    scene.requester.reaches(kept["id"], "verified")


def test_the_status_of_a_running_agent_tells_what_keeps_it_from_the_broker(breakable_broker, scene):
    put_right = another_broker(scene, **wrong_password(scene))
    scene.requester.start()
    asked = ["--invitation", scene.invitation(), "--dns", scene.name()]
    scene.requester.enroll_in_vain(*asked, code=3, words=["refused the login of user"])
    health = scene.requester.run("status", "--health").expect(1)
    health.says("running", "not connected", "refused the login of user")
    scene.requester.run("status").expect(0).says("refused the login of user", "1 messages to leave")
    put_right()


def begun(scene, *words):
    """A first enrollment for which somebody waits in vain, and is told so."""
    asked = ["--invitation", scene.invitation(), "--dns", scene.name()]
    scene.requester.enroll_in_vain(*asked, code=4, words=[*words, "nothing is lost"])


def verified(scene):
    """The one enrollment that was begun."""
    (kept,) = scene.requester.transactions()
    scene.requester.reaches(kept["id"], "verified")


def test_a_broker_that_blocks_is_not_well_and_is_named_to_whoever_waits(breakable_broker, scene):
    scene.requester.start()
    with breakable_broker.memory_alarm():
        begun(scene, "The broker blocks publishing (low on memory)")
        scene.requester.run("status", "--health").expect(1).says("blocked by the broker: low on memory")
    scene.issuer.start()
    verified(scene)
    eventually(lambda: not scene.requester.run("status", "--health").code, "the agent is well again")


def test_a_queue_that_is_full_is_named_to_whoever_waits(breakable_broker, scene):
    scene.requester.start()
    queue, place = request_queue(scene.issuer.name), ("--vhost", virtual_host(scene.issuer.name))
    limit = '{"max-length-bytes": 1, "overflow": "reject-publish"}'
    which = ("--priority", "9", "--apply-to", "queues", "full", f"^{queue}$")
    breakable_broker.node.ctl("set_policy", *place, *which, limit)
    with channel(breakable_broker.admin_url(scene.issuer.name)) as opened:
        opened.basic_publish("", queue, b"the last that fits")
    begun(scene, f"A message to {scene.issuer.name} waits: its queue did not take it")
    scene.requester.run("status").expect(0).says("its queue did not take it")
    breakable_broker.node.ctl("clear_policy", *place, "full")
    scene.issuer.start()
    verified(scene)
    eventually(lambda: scene.requester.seen()["links"][0]["concern"] is None)


def test_an_absent_issuer_costs_time_and_nothing_else(scene):
    scene.requester.start()
    begun(scene, "s the enrollment is", "agent status")
    (waiting,) = scene.requester.transactions()
    scene.issuer.start()
    scene.requester.reaches(waiting["id"], "verified")
    scene.issuer.reaches(waiting["id"], "confirmed")
    eventually(lambda: scene.requester.seen()["waiting_to_leave"] == 0)
