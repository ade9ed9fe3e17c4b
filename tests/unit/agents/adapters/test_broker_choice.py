"""Which broker is chosen, from what the environment and the machine offer."""

import stat
from pathlib import Path

import pytest

from agents.adapters.broker import Docker, GivenUrl, Installation, LocalNode, Nothing, find_broker
from agents.adapters.broker.host import last_words


@pytest.fixture
def machine(tmp_path):
    """A root file system to fill, and the search path of its user."""
    programs = {}

    def install(folder="usr/lib/rabbitmq/bin", names=("rabbitmq-server", "rabbitmqctl")):
        (tmp_path / folder).mkdir(parents=True)
        for name in names:
            (tmp_path / folder / name).touch()
        return tmp_path / folder

    def program(name, script):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(stat.S_IRWXU)
        programs[name] = str(path)
        return path

    def find(environ=()):
        return find_broker(dict(environ), programs.get, tmp_path)

    find.install, find.program = install, program
    return find


def test_a_url_comes_first_and_ours_before_the_common_one(machine):
    machine.install()
    machine.program("epmd", "true")
    assert machine({"AMQP_URL": "amqp://b", "APOSTILLE_AMQP_URL": "amqp://a"}) == GivenUrl("amqp://a")
    assert machine({"AMQP_URL": "amqp://b", "APOSTILLE_AMQP_URL": ""}) == GivenUrl("amqp://b")


@pytest.mark.parametrize("folder", ["usr/lib/rabbitmq/bin", "usr/lib/rabbitmq/lib/rabbitmq_server-4.2.1/sbin"])
def test_an_installed_server_comes_before_docker(folder, machine):
    installed = machine.install(folder)
    epmd = machine.program("epmd", "true")
    machine.program("docker", "echo 28.0")
    choice = machine()
    assert choice == LocalNode(Installation(installed, epmd))
    assert str(installed) in str(choice)


@pytest.mark.parametrize("names", [("rabbitmq-server",), ("rabbitmqctl",)])
def test_half_an_installation_is_none(names, machine):
    machine.install(names=names)
    machine.program("epmd", "true")
    assert machine() == Nothing()


def test_a_server_without_erlangs_port_mapper_is_none(machine):
    machine.install()
    assert machine() == Nothing()


def test_docker_counts_if_its_engine_answers(machine):
    docker = machine.program("docker", 'test "$*" = "version --format {{.Server.Version}}"')
    assert machine() == Docker(docker)
    assert str(docker) in str(machine())


def test_docker_without_an_engine_is_nothing(machine):
    machine.program("docker", "exit 1")
    assert machine() == Nothing()


def test_a_docker_that_cannot_run_is_nothing(machine):
    machine.program("docker", "").chmod(stat.S_IRUSR)
    Path(machine.program("docker", "")).write_text("#!/no/such/interpreter\n")
    assert machine() == Nothing()


def test_nothing_says_what_to_install(machine):
    words = str(machine())
    for way in ("apt-get install rabbitmq-server", "brew install rabbitmq", "start Docker", "APOSTILLE_AMQP_URL"):
        assert way in words


def test_the_last_words_of_a_log_are_its_errors():
    assert last_words("one\n[info] two\n[error] three\n\n[info] four\n") == "[error] three"


def test_the_last_words_of_a_log_without_errors_are_its_end():
    log = "\n".join(map(str, range(100)))
    assert last_words(log).splitlines() == [str(number) for number in range(75, 100)]
    assert last_words("\n \n") == "It left no log."
