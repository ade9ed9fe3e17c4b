"""The agents as users run them in containers: the Compose file, and the README's section on it.

The tests share one project, in the order in which they stand here: what was enrolled once survives all that follows.
"""

import re
import socket

import pytest
from kit.agents import eventually
from kit.engine import ROOT, Compose, build_image, compose_command, inspect, require_engine
from kit.readme import Terminal, sections

pytestmark = pytest.mark.containers

AGENTS = ("client-b", "client-c")
SETUPS = ("setup", "setup-b", "setup-c")
CHANNEL = "channel.client-c.example"

STARTING = 600.0
"""Seconds for a service to become healthy on a busy machine; health is asked every five to fifteen seconds."""

REACHES = """
import socket, sys
for place in sys.argv[1:]:
    host, port = place.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 3).close()
        print(place)
    except OSError:
        pass
"""

(SECTION,) = (blocks for name, blocks in sections((ROOT / "README.md").read_text()).items() if "containers" in name)


@pytest.fixture(scope="module")
def compose(tmp_path_factory):
    """The project after every command of the README's section was pasted; nothing of it is left in the end."""
    require_engine()
    build_image()
    project = Compose()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in project.environment.items():
                patch.setenv(name, value)
            paste(SECTION, tmp_path_factory.mktemp("readme"))
        yield project
    finally:
        project("down", "--volumes", "--remove-orphans", "--timeout", "10")


def paste(section, directory):
    """Every command, and each shows what the README says it does."""
    terminal = Terminal("Terminal 6", directory)
    try:
        terminal.paste(f"cd {ROOT}")
        for block in section:
            if block.language == "sh":
                terminal.paste(block.text.replace("docker compose", compose_command()))
            else:
                terminal.wait(block)
        terminal.wait(None)
    finally:
        terminal.close()


def healthy(compose):
    """Wait until all are; agents are asked as their health check asks them, only sooner."""
    eventually(lambda: compose.health("broker") == "healthy", "the broker is healthy", STARTING)
    for service in AGENTS:
        asked = ("exec", "-T", service, "agent", "status", "--health")
        eventually(lambda words=asked: not compose.attempt(*words).returncode, f"{service} is healthy", STARTING)


def works(compose, label):
    """Both agents are well and know of each other, a new enrollment ends verified, and the channel opens."""
    healthy(compose)
    name = f"{label}.client-b.example"
    done = compose.agent("client-b", "enroll", "--dns", name)
    assert (done["state"], done["issuer_state"]) == ("verified", "confirmed")
    for service, partner, opened_now in (("client-b", "client-c", True), ("client-c", "client-b", False)):
        seen = compose.agent(service, "status")
        assert seen["healthy"]
        assert seen["transactions"][0]["names"] == [f"dns:{name}"]
        checked = compose.agent(service, "channel", "check", partner)
        assert (checked["partner"], checked["opened_now"]) == (partner, opened_now)


def roots(compose):
    return [compose.agent(service, "status")["root"] for service in AGENTS]


def addresses(compose, service):
    """The address of a service in each of its networks, by the network's name in the Compose file."""
    networks = compose.container(service)["NetworkSettings"]["Networks"]
    return {name.removeprefix(f"{compose.name}_"): one["IPAddress"] for name, one in networks.items()}


def reached(compose, *places):
    """Which of these places client-b can connect to."""
    return compose.exec("client-b", "python", "-c", REACHES, *places).split()


def test_what_the_readme_does_is_on_record_at_both_ends_and_can_be_done_again(compose):
    for service, state in (("client-b", "verified"), ("client-c", "confirmed")):
        (transaction,) = compose.agent(service, "status")["transactions"]
        assert (transaction["state"], transaction["names"]) == (state, ["dns:api.client-b.example"])
    works(compose, "again")


def test_the_engine_sees_that_everybody_is_well(compose):
    for service in ("broker", *AGENTS):
        eventually(lambda name=service: compose.health(name) == "healthy", f"{service} is healthy", STARTING)


@pytest.mark.parametrize("service", AGENTS)
def test_an_agent_has_no_privilege_and_writes_to_its_volume_only(compose, service):
    lines = compose.exec(service, "cat", "/proc/1/status").splitlines()
    process = dict(line.split(":\t", 1) for line in lines)
    assert set(process["Uid"].split()) == set(process["Gid"].split()) == {"10001"}
    assert {process[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert process["NoNewPrivs"] == "1"
    for place in ("/opt/agent/x", "/etc/x", "/run/login/x"):
        tried = compose.attempt("exec", "-T", "--user", "0", service, "touch", place)
        assert "Read-only file system" in tried.stdout + tried.stderr


def test_the_broker_runs_without_privileges_and_with_nothing_but_external_logins(compose):
    assert set(compose.exec("broker", "rabbitmqctl", "--quiet", "list_users").split()) == {
        "user",
        "tags",
        "[]",
        *AGENTS,
    }
    permissions = compose.exec("broker", "rabbitmqctl", "--quiet", "list_permissions", "--vhost", "enroll.client-c")
    assert re.search(r"client-b\t\^\$\t\^out\\+\.client-b\$\t\^replies\\+\.client-b\$", permissions)
    asked = "application:get_env(rabbit, auth_mechanisms)."
    assert compose.exec("broker", "rabbitmqctl", "eval", asked).strip() == "{ok,['EXTERNAL']}"
    status = dict(line.split(":\t", 1) for line in compose.exec("broker", "cat", "/proc/1/status").splitlines())
    assert "0" not in status["Uid"].split()
    assert status["CapBnd"] == "0" * 16


def test_client_b_reaches_the_broker_and_the_channel_and_nothing_else(compose):
    assert addresses(compose, "client-b").keys() == {"broker-b", "channel"}
    assert addresses(compose, "broker").keys() == {"broker-b", "broker-c"}
    places = [f"broker:{port}" for port in (4369, 5671, 5672, 15671, 15672, 25672)]
    places += [f"{CHANNEL}:{port}" for port in (22, 80, 443, 8080, 8443)]
    places += [
        f"{addresses(compose, service)['broker-c']}:{port}"
        for service in ("broker", "client-c")
        for port in (5671, 8443)
    ]
    assert reached(compose, *places) == ["broker:5671", f"{CHANNEL}:8443"]


@pytest.mark.parametrize("network", ["broker-b", "broker-c", "channel"])
def test_no_network_leads_out_of_the_project_not_even_to_the_host(compose, network):
    made = inspect("network", f"{compose.name}_{network}")
    assert made["Internal"]
    gateway = made["IPAM"]["Config"][0]["Gateway"]
    with pytest.raises(OSError, match="assign requested address"):  # the host has no such address to listen at
        socket.create_server((gateway, 0))


def test_the_channel_is_open_in_its_own_network_only(compose):
    """The broker carries tools for AMQP only, so client-c asks itself: what it does not reach, nobody does."""
    own = addresses(compose, "client-c")
    places = [f"{own[network]}:8443" for network in ("broker-c", "channel")]
    assert compose.exec("client-c", "python", "-c", REACHES, *places).split() == [f"{own['channel']}:8443"]


def test_secrets_are_files_that_only_those_see_who_need_them(compose):
    mounts = {
        service: {mount["Name"].removeprefix(f"{compose.name}_") for mount in compose.container(service)["Mounts"]}
        for service in ("broker", *AGENTS)
    }
    assert mounts == {
        "broker": {"broker-settings", "broker-data"},
        "client-b": {"client-b", "login-b"},
        "client-c": {"client-c", "login-c"},
    }
    for service, folder in (("broker", "/certified/broker"), ("client-b", "/run/login"), ("client-c", "/run/login")):
        modes = compose.exec(service, "sh", "-c", f"stat -c '%a %u' {folder} {folder}/*").splitlines()
        assert (modes[0], set(modes[1:])) == ("750 0", {"640 0"})
    for service in AGENTS:
        assert "KEY" not in "".join(compose.container(service)["Config"]["Env"])


@pytest.mark.parametrize("service", ["broker", *AGENTS, *SETUPS])
def test_everything_works_again_after_a_restart_of_one_service(compose, service):
    before = roots(compose)
    compose("restart", service)
    works(compose, f"after-{service}")
    assert roots(compose) == before


def test_everything_works_again_after_down_and_up_with_the_volumes_kept(compose):
    before, enrolled = roots(compose), len(compose.agent("client-c", "status")["transactions"])
    compose("down", "--timeout", "20")
    compose("up", "--detach", "--no-build")
    healthy(compose)
    assert roots(compose) == before
    assert len(compose.agent("client-c", "status")["transactions"]) == enrolled
    assert "(new)" not in compose("logs", "--no-color", "setup")
    works(compose, "after-all")
