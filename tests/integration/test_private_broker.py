"""A private node shows nothing to other users and leaves nothing running, however its owner ends.

What runs is read from /proc: every process of a node has the node's directory in its environment.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from kit.broker import channel, definitions, new_realm
from kit.patience import PATIENCE

from agents.adapters.broker import Installation, LocalNode, PrivateBroker, find_broker
from agents.adapters.broker.host import answers_amqp
from agents.errors import ConfigurationError, HomeBusyError, StateError, UnreachableError

pytestmark = pytest.mark.skipif(not isinstance(find_broker({}), LocalNode), reason="RabbitMQ is not installed here")

ROOT = Path(__file__).parents[2]

OWNER = """
import json, sys, time
from pathlib import Path
from agents.adapters.broker import PrivateBroker, find_broker
with PrivateBroker(Path(sys.argv[1]), json.loads(sys.argv[2]), find_broker({}).installation):
    print("up", flush=True)
    time.sleep(600)
"""


def pids(directory):
    """The processes of nodes under `directory`."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"HOME={directory}/".encode() in (process / "environ").read_bytes():
                yield process


def processes(directory):
    """Their command lines."""
    return [(process / "cmdline").read_bytes().replace(b"\0", b" ").decode() for process in pids(directory)]


def sockets(process):
    """What it holds open. What closes or ends between the listing and the look is not a listener."""
    with contextlib.suppress(OSError):
        for file in (process / "fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                yield str(file.readlink())


@pytest.fixture
def make(tmp_path):
    made = []

    def broker(directory=tmp_path / "node", contents=None):
        made.append(PrivateBroker(directory, contents or definitions([new_realm()]), find_broker({}).installation))
        return made[-1]

    yield broker
    for one in made:
        one.stop()


@pytest.fixture
def start(tmp_path):
    started = []

    def process(*arguments, **options):
        command = [sys.executable, *arguments]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, **options))
        return started[-1]

    yield process
    for one in started:
        one.kill()
        one.communicate()


def test_it_is_private_while_it_runs_and_gone_after_an_error(make, tmp_path, eventually):
    with pytest.raises(ZeroDivisionError), make() as node:
        running = processes(tmp_path)
        assert any("beam" in command for command in running)
        assert any("epmd" in command for command in running)
        assert [path for path in (tmp_path / "node").rglob("*") if path.stat().st_mode & 0o077] == []
        with pytest.raises(HomeBusyError, match="another node runs in"):
            make().start()
        assert answers_amqp(node.port)
        raise ZeroDivisionError
    eventually(lambda: not processes(tmp_path))  # helpers of the node end by themselves when it has ended


def test_it_listens_on_the_loopback_interface_only(make, tmp_path):
    with make():
        inodes = {name for process in pids(tmp_path) for name in sockets(process)}
        lines = [
            line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()
        ]
        listening = [line[1].split(":")[0] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in inodes]
        assert len(listening) >= 3
        assert set(listening) <= {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}


def test_nothing_is_left_when_its_owner_is_killed(start, tmp_path, eventually):
    owner = start("-c", OWNER, str(tmp_path / "node"), json.dumps(definitions([new_realm()])))
    assert owner.stdout.readline() == "up\n"
    assert processes(tmp_path)
    owner.kill()
    eventually(lambda: not processes(tmp_path))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_in_order_and_leaves_nothing_running(how, start, tmp_path, eventually):
    names = ["--issuer", "client-c", "--requester", "client-b", "--requester", "client-d"]
    command = start(
        "-c", "from agents.cli.main import main; main()", "broker", "run", str(tmp_path / "try"), *names, "--json"
    )
    shown = json.loads(read_object(command.stdout))
    assert shown["url"].startswith("amqp://localhost:")  # as operators write it, and invitations quote it
    logins = {login["organisation"]: login for login in shown["logins"]}
    assert set(logins) == {"client-b", "client-c", "client-d"}
    for name, login in logins.items():
        secret = Path(login["password_file"]).read_text()
        with channel(f"{shown['url'].replace('://', f'://{name}:{secret}@')}/{login['virtual_host']}"):
            pass
    command.send_signal(how)
    assert command.wait(PATIENCE) == 0
    eventually(lambda: not processes(tmp_path))


def read_object(stream):
    """The lines of one indented JSON object."""
    lines = []
    while not lines or lines[-1] != "}\n":
        lines.append(stream.readline())
        assert lines[-1], "the command ended"
    return "".join(lines)


def test_a_directory_that_others_can_look_into_is_refused(make, tmp_path):
    (tmp_path / "node").mkdir(mode=0o755)
    with pytest.raises(StateError, match="other users can use it"):
        make().start()
    assert processes(tmp_path) == []


def test_programs_that_are_not_there_are_named(tmp_path):
    nowhere = Installation(tmp_path / "none", Path("/usr/bin/epmd"))
    with pytest.raises(ConfigurationError, match="none/rabbitmq-server"):
        PrivateBroker(tmp_path / "node", {}, nowhere).start()
    assert processes(tmp_path) == []


def test_a_port_that_is_taken_is_refused_so_that_no_other_broker_is_mistaken_for_ours(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        node = PrivateBroker(tmp_path / "node", {}, find_broker({}).installation, port=other.getsockname()[1])
        with pytest.raises(ConfigurationError, match="is in use: choose another one"):
            node.start()
    assert processes(tmp_path) == []


def test_a_node_that_ends_by_itself_is_noticed(make):
    with make() as node:
        os.kill(int((node._directory.path / "pid").read_text()), signal.SIGKILL)
        with pytest.raises(UnreachableError, match="has ended"):
            node.wait()
