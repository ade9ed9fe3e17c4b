"""`agent init --import-ca`: what an operator is told about a CA that is taken over."""

import json
import subprocess
import sys

import pytest
from kit.workshop import Workbench

from agents.cli import exits
from agents.cli.group import make_group
from agents.cli.main import TABLE, agent


@pytest.fixture
def bench(tmp_path):
    return Workbench(tmp_path / "workshop").root("/CN=Root of D", 2048)


@pytest.fixture
def init(capsys, tmp_path, bench):
    """Import the CA: exit code, standard output, standard error."""

    def run(*arguments):
        words = ["--import-ca", bench.path, "--import-passphrase-file", bench.passphrase_file, *arguments]
        home = ["init", "--home", tmp_path / "home", "--name", "client-d"]
        code = exits.run(make_group("agent", TABLE, agent), list(map(str, [*home, *words])))
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def test_a_root_without_key_usage_is_taken_with_one_line_that_says_who_will_refuse_it(init):
    code, out, err = init()
    assert code == 0
    assert "client-d" in out
    assert err.startswith("warning: the CA certificate CN=Root of D has no key usage.")
    assert "`openssl verify -x509_strict`, will refuse every certificate under it" in err
    assert err.count("\n") == 1


def test_machines_are_told_too(init):
    _, out, _ = init("--json")
    (warning,) = json.loads(out)["warnings"]
    assert "keyUsage=critical,keyCertSign,cRLSign" in warning


def test_an_imported_intermediate_that_says_its_usage_is_not_named_beside_its_root(init, bench):
    bench.intermediate("/CN=Issuing CA of D", 2048)
    assert "the CA certificate CN=Root of D has no key usage" in init()[2]


def test_a_ca_of_our_own_making_says_its_usage(init, tmp_path, capsys):
    words = ["init", "--home", str(tmp_path / "own"), "--name", "client-d"]
    assert exits.run(make_group("agent", TABLE, agent), words) == 0
    assert capsys.readouterr().err == ""


def test_a_ca_whose_name_has_fewer_characters_than_octets_is_taken_without_a_word_of_a_library(tmp_path):
    name = "Ж" * 40
    folder = Workbench(tmp_path / "own")
    usage = "keyUsage=critical,keyCertSign,cRLSign"
    folder.openssl(
        "req", "-x509", "-new", "-newkey", "rsa:2048", "-nodes", "-utf8", "-keyout", "rootCA.key", "-out", "rootCA.crt",
        "-subj", f"/CN={name}", "-addext", usage,
    )  # fmt: skip
    command = [sys.executable, "-m", "agents.cli.main", "init", "--home", tmp_path / "home", "--name", "client-d"]
    done = subprocess.run([*command, "--import-ca", folder.path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
