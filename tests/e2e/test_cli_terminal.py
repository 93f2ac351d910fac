"""e4 at a terminal: prompt, keys, completion, history, and messages that arrive in the middle of a line."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from e4 import crypto
from tests._broker import until
from tests.e2e._cli import E4, PATIENCE, Cli, Typist
from tests.integration._peers import Plain

PASSWORD = "correct horse battery staple"


@pytest.fixture
def cli(cli: Cli) -> Cli:
    """The command line, with a key for the client bob and one for the topic ``room``."""
    for name in ("bob", "room"):
        (cli.folder / f"{name}.key").write_bytes(crypto.random_key())
    return cli


@pytest.fixture
def plain(cli: Cli) -> Iterator[Plain]:
    assert cli.broker is not None
    made = Plain(cli.broker, "room", "hall")
    yield made
    made.close()


@pytest.fixture
def bob(cli: Cli) -> Typist:
    typist = cli.typist("client", "--name", "bob", "--key-file", "bob.key", NO_COLOR="1")
    typist.until(lambda lines: lines[-2:] == ["connected", "bob>"], "the prompt")
    cli.ok("command", "set-topic-key", "--to", "bob", "--client-key", "bob.key", "--topic", "room",
           "--key-file", "room.key")  # fmt: skip
    return typist.until(
        lambda lines: lines[-2:] == ["a command of C2 has been applied", "bob>"], "the command"
    )


def protected(cli: Cli, text: str) -> bytes:
    return crypto.protect_sym_key(text.encode(), (cli.folder / "room.key").read_bytes())


@pytest.mark.mosquitto
def test_a_message_arrives_above_the_line_being_typed(cli: Cli, bob: Typist, plain: Plain) -> None:
    bob.press("subscribe room\r").ready("subscribed to room")
    bob.press("e4msg room helo").sees("bob> e4msg room helo")
    bob.press("\x1b[D")  # before the o
    plain.publish("room", protected(cli, "one \x1b[2J"))
    bob.until(
        lambda lines: lines[-2:] == ["[room] one \\x1b[2J", "bob> e4msg room helo"], "message above the line"
    )
    bob.press("l").until(lambda lines: lines[-1] == "bob> e4msg room hello", "typed on where the cursor was")
    plain.publish("room", protected(cli, "two " + "long " * 30))
    bob.until(
        lambda lines: lines[-1] == "bob> e4msg room hello" and lines[-2].endswith("long long"), "a long one"
    )
    bob.press("\r").ready("sent to room").sees("[room] hello")
    until(lambda: len(plain.seen) == 3)
    assert crypto.unprotect_sym_key(plain.seen[2].payload, (cli.folder / "room.key").read_bytes()) == b"hello"
    bob.press("\x04").exits(0)
    assert "Traceback" not in bob.raw
    cli.assert_no_secret(*(cli.folder.joinpath(f"{n}.key").read_bytes() for n in ("room", "bob")))


@pytest.mark.mosquitto
def test_a_message_arrives_while_a_line_is_typed_over_two_rows(cli: Cli, bob: Typist, plain: Plain) -> None:
    bob.press("subscribe room\r").ready("subscribed to room")
    text = "a text that is so long that the terminal has to break it somewhere and goes on below"
    bob.press(f"e4msg room {text}").until(lambda lines: lines[-1].endswith("below"), "the text")
    plain.publish("room", protected(cli, "news"))
    bob.until(
        lambda lines: lines[-3] == "[room] news" and lines[-1].endswith("below"), "news above both rows"
    )
    bob.press("!\r").sees("sent to room")
    until(lambda: len(plain.seen) == 2)
    assert (
        crypto.unprotect_sym_key(plain.seen[1].payload, (cli.folder / "room.key").read_bytes())
        == (text + "!").encode()
    )


@pytest.mark.mosquitto
def test_completion_and_history(cli: Cli, bob: Typist, plain: Plain) -> None:
    bob.press("subs\thall\r").ready("subscribed to hall")
    bob.press("cle\tha\tfirst\r").ready("sent in clear to hall").sees("[hall] (clear) first")
    bob.press("\x1b[A").sees("bob> clearmsg hall first")
    bob.press("\x7f\x7f\x7f\x7f\x7fsecond\r").sees("[hall] (clear) second").until(
        lambda lines: sum(line.startswith("sent in clear") for line in lines) == 2 and lines[-1] == "bob>",
        "sent",
    )
    bob.press("\x1b[A\x1b[A\x1b[A").until(lambda lines: lines[-1] == "bob> subscribe hall", "history")
    bob.press("\x15e\t\t").until(
        lambda lines: any(line.split() == ["e4msg", "exit"] for line in lines), "both words"
    )
    assert [m.payload for m in plain.seen] == [b"first", b"second"]
    bob.press("xit\r").exits(0)
    # No file keeps what was typed.
    kept = [path for path in cli.folder.rglob("*") if path.is_file() and "mosquitto" not in str(path)]
    assert not any(b"second" in path.read_bytes() for path in kept)


@pytest.mark.mosquitto
def test_a_command_that_fails_is_told_and_the_next_can_be_typed(bob: Typist) -> None:
    bob.press("dance\r").ready("e4: there is no command 'dance': 'help' lists them")
    bob.press("e4msg hall hi\r").ready("e4: topic key not found")
    bob.press("help\r").ready("exit  ")
    bob.press("exit\r").exits(0)  # at a terminal whoever typed it has seen it


@pytest.mark.mosquitto
def test_ctrl_c_leaves(bob: Typist) -> None:
    bob.press("half a li\x03").exits(130)
    assert "Traceback" not in bob.raw


@pytest.mark.mosquitto
def test_colours_at_a_terminal_unless_unwanted(cli: Cli, bob: Typist) -> None:
    bob.press("exit\r").exits(0)
    assert "\x1b[2m" not in bob.raw
    coloured = cli.typist("client", "--name", "bob")
    coloured.until(lambda lines: lines[-1:] == ["bob>"], "prompt").press("exit\r").exits(0)
    assert "\x1b[2mconnected\x1b[0m" in coloured.raw


@pytest.mark.mosquitto
def test_a_new_client_asks_for_its_password_twice_and_shows_it_never(cli: Cli) -> None:
    carol = cli.typist("client", "--name", "carol")
    carol.until(lambda lines: lines == ["Password of carol:"], "question")
    carol.press(f"{PASSWORD}\r").until(lambda lines: lines[-1] == "The same again:", "second question")
    carol.press(f"{PASSWORD}\r").until(lambda lines: lines[-1] == "carol>", "prompt")
    assert PASSWORD not in carol.raw
    carol.press("exit\r").exits(0)
    cli.ok("command", "reset-topics", "--to", "carol", "--password", PASSWORD)
    again = cli.typist("client", "--name", "carol")
    again.until(
        lambda lines: lines == ["connected", "a command of C2 has been applied", "carol>"], "no question"
    )


def test_two_passwords_that_differ(make_cli: Callable[..., Cli]) -> None:
    cli = make_cli()
    typist = cli.typist("keygen", "symmetric", "--from-password", "--out", "a.key")
    typist.until(lambda lines: lines == ["Password of the client:"], "question").press(f"{PASSWORD}\r")
    typist.until(lambda lines: lines[-1] == "The same again:", "second question").press("another one\r")
    typist.exits(1)
    assert typist.screen.lines[-1] == "e4: the two passwords differ: try again"
    assert not (cli.folder / "a.key").exists()


def test_a_command_asks_for_the_password_once(make_cli: Callable[..., Cli]) -> None:
    cli = make_cli()
    typist = cli.typist("command", "reset-topics", "--to", "alice", "--print", "base64")
    typist.until(lambda lines: lines == ["Password of alice:"], "question").press(f"{PASSWORD}\r").exits(0)
    message = base64.b64decode(typist.screen.lines[1])
    assert crypto.unprotect_sym_key(message, crypto.derive_sym_key(PASSWORD)) == b"\x01"
    assert PASSWORD not in typist.raw


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_a_question_can_be_left(make_cli: Callable[..., Cli], key: str) -> None:
    typist = make_cli().typist("command", "reset-topics", "--to", "alice", "--print", "hex")
    typist.until(lambda lines: lines == ["Password of alice:"], "question").press(key).exits(130)
    assert "Traceback" not in typist.raw


def test_help_loads_no_library_but_typer(make_cli: Callable[..., Cli]) -> None:
    cli = make_cli()
    code = (
        "import sys; from e4.cli import main; main(sys.argv[1:]);"
        "print(*(m for m in ('paho', 'aiomqtt', 'rich', 'amqtt', 'nacl') if m in sys.modules))"
    )
    for words in (["--help"], ["command", "set-topic-key", "--help"], ["client", "--help"], ["--version"]):
        result = subprocess.run(
            [sys.executable, "-c", code, *words], env=cli.env, capture_output=True, text=True, check=True
        )
        assert result.stdout.endswith("\n\n"), result.stdout[-200:]
    # Nor does a command that is only printed need an MQTT library.
    (cli.folder / "alice.key").write_bytes(crypto.random_key())
    words = ["command", "reset-topics", "--to", "alice", "--client-key", "alice.key", "--print", "hex"]
    result = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=cli.folder,
        env=cli.env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not re.search(r"paho|aiomqtt", result.stdout)


@pytest.mark.parametrize(
    "words", [["--help"], ["command", "--help"], ["keygen", "symmetric", "--out", "a.key"]]
)
def test_a_reader_that_goes_away_is_no_traceback(make_cli: Callable[..., Cli], words: list[str]) -> None:
    cli = make_cli()
    process = subprocess.Popen(
        [*E4, *words], cwd=cli.folder, env=cli.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(PATIENCE) == 1
    assert process.stderr.read() == b""
    process.stderr.close()


def test_output_in_a_locale_that_cannot_write_it(make_cli: Callable[..., Cli]) -> None:
    cli = make_cli()
    cli.env |= {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    out = cli.ok("keygen", "symmetric", "--out", "schlüssel.key")
    assert out == "key written to schl\\xfcssel.key\n"
