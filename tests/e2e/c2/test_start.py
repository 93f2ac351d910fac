"""How `e4 c2 init`, `serve` and `config` begin: whole, or not at all with one line that says why."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from e4.c2 import folder
from e4.c2.settings import load
from e4.cli import main
from tests._broker import until
from tests.e2e._c2_server import (
    E4,
    FREE,
    PASSPHRASE,
    PATIENCE,
    C2Server,
    children,
    clean_environment,
    run_c2,
    tls,
)
from tests.e2e._cli import Cli


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> C2Server:
    """A data folder whose server does not run."""
    return C2Server(tmp_path_factory.mktemp("idle") / "c2").make()


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock.getsockname()[1]


IN_USE = "cannot listen on 127.0.0.1:TAKEN: address already in use"
LOOPBACK = "no authentication is for loopback addresses only, and"
# What is given, what is in the environment, what is said.
REFUSALS: dict[str, tuple[tuple[str, ...], dict[str, str], str]] = {
    "http in use": (("--http", "127.0.0.1:TAKEN"), {}, f"HTTP {IN_USE}"),
    "grpc in use": (("--grpc", "127.0.0.1:TAKEN"), {}, f"gRPC {IN_USE}"),
    "no such host": (("--http", "c2.invalid:0"), {}, "c2.invalid is not an address of this machine"),
    "anybody over http": (("--auth", "none", "--http", "0.0.0.0:0"), {}, f"{LOOPBACK} 0.0.0.0:0 is none"),
    "anybody over grpc": (("--auth", "none", "--grpc", "[::]:0"), {}, f"{LOOPBACK} [::]:0 is none"),
    "anybody, by a setting": (("--http", "0.0.0.0:0"), {"E4_C2_AUTH_REQUIRED": "false"}, LOOPBACK),
    "wrong passphrase": (
        (),
        {"E4_C2_PASSPHRASE": "not the passphrase"},
        "the passphrase does not open this database",
    ),
    "no database": ((), {"E4_C2_DATABASE_URL": "sqlite:///none.db"}, "there is no database at"),
    "database away": (
        (),
        {"E4_C2_DATABASE_URL": "postgresql://e4:a-secret@127.0.0.1:TAKEN/none"},
        "the database cannot be used",
    ),
    "no certificate": ((), {"E4_C2_TLS_CERTIFICATE": "none.pem"}, "none.pem: No such file or directory"),
    "not its key": ((), {"E4_C2_TLS_KEY": "server.pem"}, "are not a certificate and its key"),
    "no authorities": ((), {"E4_C2_TLS_CLIENT_CA": "config.toml"}, "tls.client_ca"),
    "no broker password": (
        (),
        {"E4_C2_BROKER_USERNAME": "me", "E4_C2_BROKER_PASSWORD_FILE": "none"},
        "the broker's settings: cannot read",
    ),
    "bad setting": ((), {"E4_C2_BROKER_WINDOW": "0"}, "broker.window should be greater than or equal to 1"),
    "unknown setting": ((), {"E4_C2_BROKER_WINDOWS": "1"}, "there is no setting E4_C2_BROKER_WINDOWS"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_failed_start_is_one_line(name: str, idle: C2Server, taken: int) -> None:
    options, variables, text = REFUSALS[name]
    words = [word.replace("TAKEN", str(taken)) for word in (*FREE, *options)]
    env = {k: v.replace("TAKEN", "1") for k, v in ({"E4_C2_PASSPHRASE": PASSPHRASE} | variables).items()}
    ended = run_c2("serve", "--data", idle.data, *words, **env)
    assert ended.returncode == 1
    assert ended.stderr.startswith("e4: ")
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert text.replace("TAKEN", str(taken)) in ended.stderr
    assert "a-secret" not in ended.stderr + ended.stdout
    assert all(json.loads(line)["event"] == "not started" for line in ended.stdout.splitlines())


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("serve", "--data", "nowhere"), "is not a key server's data folder: make it with 'e4 c2 init"),
        (("serve", "--data", "IDLE"), "no passphrase: give --passphrase-file, or set E4_C2_PASSPHRASE"),
        (("serve", "--data", "IDLE", "--auth", "tokens"), "--auth can only be none"),
        (("serve", "--data", "IDLE", "--broker", "a:b:c"), "--broker is HOST or HOST:PORT"),
        (("serve", "--data", "IDLE", "--dev", "--broker", "localhost"), "--dev brings its own broker"),
        (("init", "--data", "new", "--mode", "both"), "--mode is symkey or pubkey"),
        (("init", "--data", "new", "--key", "k.pem"), "--certificate and --key go together"),
    ],
)
def test_wrong_arguments(words: tuple[str, ...], text: str, idle: C2Server) -> None:
    ended = run_c2(*(word.replace("IDLE", str(idle.data)) for word in words))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert text in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_init_asks_for_the_passphrase_twice(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    try:
        for again, last, code in (
            ("another passphrase", "the two passphrases differ", 1),
            (PASSPHRASE, "login", 0),
        ):
            person = cli.typist("c2", "init", "--data", "c2", columns=120, rows=30)
            person.until(lambda lines: "Passphrase for the new key server:" in "".join(lines[-1:]), "it asks")
            person.press(f"{PASSPHRASE}\r")
            person.until(lambda lines: "The same again:" in "".join(lines[-1:]), "it asks again")
            person.press(f"{again}\r")
            person.until(lambda lines, last=last: any(last in line for line in lines), last)
            person.exits(code)
            assert PASSPHRASE not in person.raw
    finally:
        cli.end()
    folder.open_database(load(tmp_path / "c2"), PASSPHRASE)[0].close()


def test_init_makes_no_second_one(idle: C2Server) -> None:
    before = {file.name: file.read_bytes() for file in idle.data.iterdir()}
    ended = run_c2("init", "--data", idle.data, E4_C2_PASSPHRASE=PASSPHRASE)
    assert ended.returncode == 1
    assert "exists and is not an empty folder" in ended.stderr
    assert {file.name: file.read_bytes() for file in idle.data.iterdir()} == before


def test_dev_needs_nothing_and_leaves_no_process(tmp_path: Path) -> None:
    data = tmp_path / "try"
    process = subprocess.Popen(
        [*E4, "c2", "serve", "--data", str(data), "--dev", *FREE],
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = ""
        for line in process.stdout:
            if json.loads(line)["event"] == "listening":
                address = json.loads(line)["http"]
                break
        token = (data / "admin.token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        context = tls(data / "server.pem")
        with httpx.Client(base_url=address, verify=context, headers=headers) as client:
            until(lambda: client.get("/readyz").json()["status"] == "ready", PATIENCE, "it is ready")
            assert client.post("/e4/topic/room").status_code == 200
        brokers = children(process.pid)
        assert len(brokers) == 1
    finally:
        process.kill()
        _, complaints = process.communicate(timeout=PATIENCE)
    until(lambda: not alive(brokers[0]), PATIENCE, "its broker has ended too")
    assert "This folder is for trying out" in complaints
    assert {file.name for file in data.iterdir()} > {"passphrase", "admin.token", "config.toml"}


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_config_says_what_is_in_force_and_from_where(idle: C2Server) -> None:
    variables = {
        "E4_C2_BROKER_HOST": "broker.example",
        "E4_C2_DATABASE_URL": "postgresql://me:a-secret@db.example/c2",
    }
    printed = run_c2("config", "--data", idle.data, **variables)
    assert printed.returncode == 0
    assert "a-secret" not in printed.stdout
    lines = {line.split()[0]: line.split()[1:] for line in printed.stdout.splitlines()}
    assert lines["broker.host"] == ["broker.example", "E4_C2_BROKER_HOST"]
    assert lines["broker.port"] == ["-", "default"]
    assert lines["database.url"] == ["postgresql://me:***@db.example/c2", "E4_C2_DATABASE_URL"]
    values = json.loads(run_c2("config", "--data", idle.data, "--json", **variables).stdout)
    assert values["broker.host"] == {"value": "broker.example", "from": "E4_C2_BROKER_HOST"}
    assert values["auth.required"] == {"value": True, "from": "default"}
    assert len(values) == len(lines)


def page_commands() -> list[list[str]]:
    page = Path(__file__).parents[3] / "docs" / "c2.md"
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    lines = "\n".join(blocks).splitlines()
    words = [shlex.split(line) for line in lines]
    return [line[line.index("e4") + 1 :] for line in words if "e4" in line]


@pytest.mark.parametrize("words", page_commands(), ids=" ".join)
def test_the_commands_of_the_page_exist(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    options = [word for word in words if word.startswith("--")]
    names: list[str] = []
    for length in range(1, len(words) + 1):  # the longest group or command that there is
        if main([*words[:length], "--help"]) != 0:
            break
        names = words[:length]
        shown = capfd.readouterr().out
        if "COMMAND [ARGS]" not in shown:
            break
    assert names
    assert set(options) <= set(re.findall(r"--[a-z0-9-]+", shown)), shown
