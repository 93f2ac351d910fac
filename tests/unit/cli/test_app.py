"""The command as a whole: help, examples, the page about it, version, exit codes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from e4.cli._app import app, main
from e4.cli._shell import COMMANDS
from e4.cli.client import state_path
from tests.unit.cli._run import Run

PAGE = Path(__file__).parents[3] / "docs" / "command-line.md"


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that lead to it."""
    if not hasattr(command, "list_commands"):
        yield path, command
        return
    for name in command.list_commands(None):
        yield from leaves(command.get_command(None, name), (*path, name))


ROOT = get_command(app)
LEAVES = dict(leaves(ROOT))
NAMES = [" ".join(path) for path in LEAVES]
GROUPS = sorted({" ".join(path[:i]) for path in LEAVES for i in range(1, len(path))})


def examples(text: str) -> list[str]:
    """The command lines in a text: what follows ``e4`` in lines that begin with it, or in a pipe."""
    joined = re.sub(r"\\\n\s+", "", text)
    return re.findall(r"^(?:\s*|.*\| )(e4 [a-z].*)$", joined, re.M)


def parsed(line: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Parse a command line without carrying it out; the words of the command that would have run."""
    seen: list[tuple[str, ...]] = []
    for path, leaf in LEAVES.items():
        monkeypatch.setattr(leaf, "callback", lambda *, path=path, **_: seen.append(path))
    ROOT.main(shlex.split(line)[1:], prog_name="e4", standalone_mode=False)
    assert len(seen) == 1
    return seen[0]


def test_the_commands_there_are() -> None:
    assert NAMES[:3] == ["demo", "keygen", "client"]
    assert [name for name in NAMES[3:] if not name.startswith("c2 ")] == [
        f"command {name}"
        for name in (
            "set-topic-key", "remove-topic", "reset-topics", "set-id-key",
            "set-pub-key", "remove-pub-key", "reset-pub-keys", "set-c2-key",
        )
    ]  # fmt: skip
    assert GROUPS == ["c2", "c2 audit", "c2 client", "c2 import", "c2 token", "c2 topic", "command"]


@pytest.mark.parametrize("name", ["", *GROUPS, *NAMES])
def test_every_help_has_examples_that_parse(run: Run, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    result = run(*name.split(), "--help")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"Usage: e4 {name}".rstrip())
    assert "Example" in result.out
    found = examples(result.out)
    assert found
    for line in found:
        assert " ".join(parsed(line, monkeypatch)).startswith(name)


def test_every_example_of_the_page_parses(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    lines = [re.sub(r"\)$", "", line) for block in blocks for line in examples(block)]
    assert len(lines) >= 12
    used = {" ".join(parsed(line, monkeypatch)) for line in lines}
    assert {"keygen", "client", "command set-topic-key", "command set-pub-key"} <= used


def test_the_page_names_every_command_and_no_other(run: Run) -> None:
    page = PAGE.read_text()
    rows = re.findall(r"^\| `([^`]+)` \|", page, re.M)
    inside = [usage for usage, _ in COMMANDS.values()]
    outside = [name.removeprefix("command ") for name in NAMES if name.startswith("command ")]
    fleet = [name for name in NAMES if name.startswith("c2 ")]
    assert sorted(rows) == sorted(inside + outside + fleet)


def test_every_option_the_page_names_exists() -> None:
    options = {
        option
        for command in (ROOT, *LEAVES.values())
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", PAGE.read_text()))
    assert named - options <= {"--help"}


def test_without_a_command_it_prints_the_help_and_fails(run: Run) -> None:
    for words in ([], *(group.split() for group in GROUPS)):
        result = run(*words)
        assert result.code == 2
        assert result.out == ""
        assert result.err.startswith(f"Usage: e4 {' '.join(words)}".rstrip())


def test_version(run: Run) -> None:
    result = run("--version")
    assert result.code == 0
    assert re.fullmatch(r"e4 \d+\.\d+\.\d+\S*\n", result.out)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["kegen"], "no such command 'kegen'. Did you mean 'keygen'? see 'e4 --help'"),
        (["--nonsense"], "no such option"),
        (["client"], "missing option '--name': see 'e4 client --help'"),
        (["client", "--name", "a", "--qos", "3"], "invalid value for '--qos'"),
        (["client", "--name", "a", "--timeout", "x"], "invalid value for '--timeout'"),
        (["client", "--name", ""], "name must be 1 to 255 bytes"),
        (["client", "--name", "a", "--c2-pubkey", "x"], "--c2-pubkey is for public-key mode"),
        (["client", "--name", "a", "--key-file", "k", "--password", "x"], "exclude each other"),
        (["client", "--name", "a"], "no password: give --password-file, or set E4_PASSWORD"),
        (["client", "--name", "a", "--pubkey"], "needs C2's public key: give --c2-pubkey"),
        (["client", "--name", "a", "--password", "short"], "password must be at least 16 bytes"),
        (["client", "--name", "a", "--broker", "x:y"], "--broker is HOST or HOST:PORT"),
        (["client", "--name", "a", "--mqtt-version", "3"], "--mqtt-version is 3.1.1 or 5"),
        (["client", "--name", "a", "--key", "k"], "--key goes with --cert"),
        (["client", "--name", "a", "extra"], "unexpected extra arguments"),
    ],
)  # fmt: skip
def test_wrong_arguments(run: Run, arguments: list[str], text: str) -> None:
    run(*arguments).refused(2, text)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--key-file", "none"], "none does not exist: make it with 'e4 keygen symmetric --out none'"),
        (["--key-file", "short"], "short holds 31 bytes, not the 32"),
        (["--key-file", "zero"], "zero"),
        (["--pubkey", "--c2-pubkey", "none", "--key-file", "short"], "none does not exist"),
        (["--pubkey", "--c2-pubkey", "01" * 32, "--key-file", "short"], "short holds 31 bytes, not the 64"),
        (["--pubkey", "--c2-pubkey", "01" * 32, "--key-file", "none"], "'e4 keygen ed25519 --out none'"),
        (["--password-file", "none"], "none: No such file"),
        (["--key-file", "good", "--state", "no/such/folder/a.json"], "no/such/folder"),
    ],
)
def test_a_client_that_cannot_be_made(run: Run, arguments: list[str], text: str) -> None:
    for name, data in {"short": b"x" * 31, "zero": bytes(32), "good": b"k" * 32}.items():
        Path(name).write_bytes(data)
    run("client", "--name", "alice", *arguments).refused(1, text)
    assert not state_path("alice").exists()


def test_where_a_state_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "state" / "e4"
    assert state_path("alice") == folder / "alice.json"
    assert state_path("a/../b c") == folder / "a%2F..%2Fb c.json"
    assert state_path("..").parent == folder
    assert len(state_path("ü" * 127).name) < 60  # as the id, since the escapes would be too long
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_path("alice") == tmp_path / ".local" / "state" / "e4" / "alice.json"


def test_an_interruption_is_130(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("e4.crypto.random_key", interrupt)
    result = run("keygen", "symmetric", "--out", "k")
    assert result.code == 130
    assert "Traceback" not in result.err


def test_a_defect_is_one_line_and_not_a_traceback(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("e4.crypto.random_key", fail)
    result = run("keygen", "symmetric", "--out", "k")
    assert result.code == 1
    assert result.err == (
        "e4: internal error (ZeroDivisionError): please report it; --verbose shows where it is\n"
    )


def test_main_takes_the_arguments_of_the_process(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["e4", "--version"])
    assert main() == 0
    assert capfd.readouterr().out.startswith("e4 ")
