"""``e4 demo``: the story on real brokers, its exit code when something comes out otherwise, and its end."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from e4 import crypto
from e4.c2.remote import Remote
from e4.cli import _demo_cast, _demo_second, _demo_story, main
from e4.cli._demo_cast import Event, Person
from e4.cli._demo_print import Printer, abbreviated
from e4.cli._demo_second import KeyServerStory
from e4.cli._demo_stage import Stage
from e4.cli._demo_story import Story
from tests._broker import Broker, Brokers, free_port, until

pytestmark = pytest.mark.timeout(120)

DEMO = [sys.executable, "-m", "e4", "demo"]

# What must be told, in this order.
STORY = [
    "Symmetric-key mode",
    "1. Without a key",
    "alice    is stopped: topic key not found",
    "2. A key server",
    "server   sends alice a command: set the key of",
    "wire     e4/",
    "alice    applies it",
    "server   sends bob a command: set the key of",
    "wire     e4/",
    "bob      applies it",
    "3. alice writes",
    "wire     house",
    "bob      reads 'open window 3'",
    "4. eve has",
    "eve      receives it and cannot open it: topic key not found",
    "5. eve changes",
    "bob      receives it and refuses it: message is not authentic",
    "bob      receives it and refuses it: message is not authentic",
    "Public-key mode",
    "6. New keys",
    "server   sends eve a command: set the key of",
    "eve      applies it",
    "7. alice and bob",
    "alice    reads 'window 3 is open'",
    "bob      reads 'close window 3'",
    "8. eve",
    "eve      receives it and cannot accept it: public key not found",
    "9. eve",
    "bob      receives it and refuses it: public key not found",
    "10. eve",
    "bob      receives it and refuses it: signature is not valid",
]
SECOND_ACT = [
    "The key server",
    "11. bob, eve and alice",
    "server   listens on https://127.0.0.1:",
    "server   registers alice",
    "12. The server makes a key",
    "server   gives bob the key of house",
    "wire     e4/",
    "bob      applies it",
    "alice    applies it",
    "13. alice writes",
    "bob      reads 'open window 3'",
    "eve      reads 'open window 3'",
    "14. The topic's key changes",
    "server   makes key 2 and sends it to 3 clients",
    "server   makes key 4 and sends it to 3 clients",
    "alice    has sent",
    "read: not one was lost",
    "15. eve is to read no more",
    "server   takes eve from house",
    "eve      applies it",
    "server   makes key 5 and sends it to 2 clients",
    "bob      reads 'close window 3'",
    "eve      receives it and cannot open it: topic key not found",
    "16. What was done",
    "All 16 steps ended as they must.",
]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DEMO, *arguments],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        timeout=90,
        check=False,
    )


def assert_told(output: str, *more: str) -> None:
    rest = output
    for line in [*STORY, *(more or SECOND_ACT)]:
        _, found, rest = rest.partition(line)
        assert found, f"not told, or not in its place: {line}"


def assert_failed(result: subprocess.CompletedProcess[str], text: str, code: int = 1) -> None:
    assert result.returncode == code
    assert result.stderr.startswith("e4: ")
    assert result.stderr.count("\n") == 1
    assert text in result.stderr


def server_port(output: str) -> int:
    port = re.search(r"listens on https://127\.0\.0\.1:(\d+)", output)
    assert port is not None
    return int(port[1])


def is_listening(port: int) -> bool:
    with socket.socket() as sock:
        sock.settimeout(1)
        return sock.connect_ex(("127.0.0.1", port)) == 0


class TestOnItsOwnBroker:
    def test_tells_the_story(self, tmp_path: Path) -> None:
        result = run(TMPDIR=str(tmp_path))
        assert (result.returncode, result.stderr) == (0, "")
        assert_told(result.stdout)
        assert "\x1b" not in result.stdout
        assert result.stdout.isascii()
        assert max(map(len, result.stdout.splitlines())) <= 80
        port = re.search(r"broker   127\.0\.0\.1:(\d+), a broker started for this demo", result.stdout)
        assert port is not None
        assert not is_listening(int(port[1]))
        assert not is_listening(server_port(result.stdout))
        assert os.listdir(tmp_path) == []
        flow = re.search(r"ok       (\d+) sent, (\d+) read: not one was lost", result.stdout)
        assert flow is not None
        assert int(flow[1]) == int(flow[2]) >= 40

    def test_without_the_key_server(self) -> None:
        program = (
            "import sys; sys.modules['fastapi'] = None; from e4.cli import main; sys.exit(main(['demo']))"
        )
        result = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, encoding="utf-8", timeout=90, check=False
        )
        assert (result.returncode, result.stderr) == (0, "")
        assert_told(
            result.stdout,
            "There is a second act",
            "pip install '.[demo,c2]'",
            "All 10 steps ended as they must. 14 messages passed the broker, none in clear.",
        )

    def test_with_a_key_server_that_does_not_start(self, tmp_path: Path) -> None:
        (tmp_path / "uvicorn").mkdir()
        (tmp_path / "uvicorn/__init__.py").write_text("raise RuntimeError('out of order')")
        result = run(PYTHONPATH=str(tmp_path))
        assert_failed(result, "the key server of the demo does not start: ")
        assert "ended as they must" not in result.stdout

    def test_settings_of_the_user_do_not_count(self) -> None:
        result = run(E4_C2_BROKER_HOST="broker.example", E4_C2_HTTP_ADDRESS="nonsense", E4_C2_URL="x")
        assert (result.returncode, result.stderr) == (0, "")

    def test_with_the_reference_backend(self) -> None:
        result = run(E4_BACKEND="reference")
        assert (result.returncode, result.stderr) == (0, "")
        assert_told(result.stdout)

    def test_in_a_folder_with_misleading_files(self, tmp_path: Path) -> None:
        (tmp_path / "json.py").write_text("raise SystemExit('imported from the current folder')")
        (tmp_path / "e4.py").write_text("raise SystemExit('imported from the current folder')")
        program = "import sys; sys.path.remove(''); from e4.cli import main; sys.exit(main(['demo']))"
        result = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, cwd=tmp_path, timeout=90, check=False
        )
        assert (result.returncode, result.stderr) == (0, b"")

    def test_two_at_the_same_time(self) -> None:
        with ThreadPoolExecutor() as pool:
            results = list(pool.map(lambda _: run(), range(2)))
        assert [result.returncode for result in results] == [0, 0]

    def test_without_amqtt(self, tmp_path: Path) -> None:
        (tmp_path / "amqtt.py").write_text("raise ModuleNotFoundError(\"No module named 'amqtt'\")")
        result = run(PYTHONPATH=str(tmp_path))
        assert_failed(result, "amqtt, is not installed: install it with e4's extra 'demo', or give a broker")
        assert result.stdout == ""

    def test_with_an_amqtt_that_does_not_work(self, tmp_path: Path) -> None:
        (tmp_path / "amqtt").mkdir()
        (tmp_path / "amqtt/__init__.py").touch()
        (tmp_path / "amqtt/broker.py").write_text("raise RuntimeError('out of order')")
        assert_failed(
            run(PYTHONPATH=str(tmp_path)), "does not start (RuntimeError: out of order): install it"
        )

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
    @pytest.mark.parametrize(
        "line", ["broker  ", "3. alice writes", "10. eve", "=== The key", "14. The topic"]
    )
    def test_ends_on_interrupt(self, line: str, tmp_path: Path) -> None:
        process = subprocess.Popen(
            DEMO,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            env=os.environ | {"TMPDIR": str(tmp_path)},
        )
        assert process.stdout is not None
        told = ""
        while line not in told:
            told += process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
        # To a shell both are 130: an exit with that code, or, seldom, Python ending itself with the signal.
        assert process.returncode in (130, -signal.SIGINT)
        if process.returncode == 130:
            assert stderr in ("", "e4: interrupted\n")  # typer's versions differ in who hears of it
        port = re.search(r"127\.0\.0\.1:(\d+)", told)
        assert port is not None
        assert not is_listening(int(port[1]))
        assert os.listdir(tmp_path) == []

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
    @pytest.mark.parametrize("line", ["3. alice writes", "=== The key", "14. The topic"])
    def test_leaves_nothing_behind_when_killed(self, line: str, tmp_path: Path) -> None:
        process = subprocess.Popen(
            DEMO,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            env=os.environ | {"TMPDIR": str(tmp_path)},
        )
        assert process.stdout is not None
        told = ""
        while line not in told:
            told += process.stdout.readline()
        process.kill()
        process.communicate(timeout=20)
        ports = [int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", told)]
        assert ports
        until(lambda: not any(map(is_listening, ports)) and not os.listdir(tmp_path), 30, "all has ended")


@pytest.mark.mosquitto
class TestOnAnotherBroker:
    def test_tells_the_story_and_leaves_nothing(self, mosquitto: Brokers) -> None:
        broker = mosquitto()
        result = run("--broker", f"127.0.0.1:{broker.port}")
        assert (result.returncode, result.stderr) == (0, "")
        assert_told(result.stdout)
        assert f"broker   127.0.0.1:{broker.port}, the broker given" in result.stdout
        passed = re.search(r"(\d+) messages passed the broker, none in clear", result.stdout)
        assert passed is not None
        log = broker.log()
        assert len(re.findall(r"Received PUBLISH from \S+ \(d0, q2, r0", log)) == int(passed[1])
        assert not re.search(r"Received PUBLISH from \S+ \(d\d, q\d, r1", log)
        connected = re.findall(r"New client connected from \S+ as (\S+)", log)
        assert len(connected) > 7
        assert all(f"Received DISCONNECT from {client}" in log for client in connected)

    def test_two_at_the_same_time(self, mosquitto: Brokers) -> None:
        arguments = "--broker", f"127.0.0.1:{mosquitto().port}"
        with ThreadPoolExecutor() as pool:
            results = list(pool.map(lambda _: run(*arguments), range(2)))
        assert [result.returncode for result in results] == [0, 0]

    def test_that_wants_a_password(self, mosquitto: Brokers) -> None:
        broker = mosquitto("allow_anonymous false")
        assert_failed(run("--broker", f"127.0.0.1:{broker.port}"), "refused the connection: Not authorized")


class TestWithoutABroker:
    def test_says_so_soon(self) -> None:
        started = time.monotonic()
        result = run("--broker", f"127.0.0.1:{free_port()}")
        assert_failed(result, "cannot reach the broker at 127.0.0.1:")
        assert time.monotonic() - started < 20

    def test_that_answers(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            result = run("--broker", f"127.0.0.1:{silent.getsockname()[1]}", "--timeout", "1")
        assert_failed(result, "not connected within 1 seconds")

    @pytest.mark.parametrize("broker", ["", "broker:port", "broker:0", "::1"])
    def test_address_that_is_none(self, broker: str) -> None:
        assert_failed(run("--broker", broker), "--broker is HOST or HOST:PORT", code=2)


# What goes wrong below is done to the demo's own classes; the broker and the processes are real.


class EveHasTheKey(Story):
    def send_topic_key(self) -> None:
        super().send_topic_key()
        self.send_topic_key_to(self.cast.eve)


class BobHasNoKey(Story):
    def send_topic_key(self) -> None:
        self.send_topic_key_to(self.cast.alice)


class BobKnowsEve(Story):
    def introductions(self) -> list[tuple[Person, Person]]:
        return [*super().introductions(), (self.cast.bob, self.cast.eve)]


class EveKnowsAlice(Story):
    def introductions(self) -> list[tuple[Person, Person]]:
        return [*super().introductions(), (self.cast.eve, self.cast.alice)]


class AliceDoesNotKnowBob(Story):
    def introductions(self) -> list[tuple[Person, Person]]:
        return [(self.cast.bob, self.cast.alice)]


class CommandsAreLost(Story):
    def send_topic_key(self) -> None:
        self.publish_command = lambda topic, message: None
        super().send_topic_key()


class CommandsAreChanged(Story):
    def send_topic_key(self) -> None:
        publish = self.publish_command
        self.publish_command = lambda topic, message: publish(topic, message + b"!")
        super().send_topic_key()


class ServerHasAnotherKey(Story):
    def send_topic_key(self) -> None:
        self.command_keys["alice"] = crypto.random_key()
        super().send_topic_key()


class BrokerDies(Story):
    broker: Broker

    def alice_to_bob(self) -> None:
        self.broker.kill()
        super().alice_to_bob()


class AliceDies(Story):
    def alice_to_bob(self) -> None:
        self.cast.alice._process.kill()
        super().alice_to_bob()


class AliceSendsWithoutKey(Person):
    def publish(self, topic: str, text: str) -> None:
        if self.name == "alice":
            self.listen([])
            self.publish_bytes(topic, text.encode())


class AliceSendsInClear(AliceSendsWithoutKey):
    refused = False

    def publish(self, topic: str, text: str) -> None:
        if self.refused:
            super().publish(topic, text)
        self.refused = True
        Person.publish(self, topic, text)


class BobIsNotSubscribed(Person):
    def subscribe(self, filter: str) -> None:
        if self.name != "bob":
            super().subscribe(filter)


class BobChecksNothing(Person):
    def next_event(self, deadline: float) -> Event | None:
        event = super().next_event(deadline)
        if event is not None and self.name == "bob" and event.kind == "refused":
            return Event("read", event.topic, b"open all doors")
        return event


class BobReadsSomethingElse(Person):
    def next_event(self, deadline: float) -> Event | None:
        event = super().next_event(deadline)
        if event is not None and self.name == "bob" and event.kind == "read":
            return Event("read", event.topic, b"close window 3\x1b[2J")
        return event


class BobGetsNoKey(KeyServerStory):
    def members(self) -> tuple[Person, ...]:
        return self.cast.eve, self.cast.alice


class EveKeepsTheKey(KeyServerStory):
    def take_key_from(self, person: Person) -> None:
        pass


class AliceHasAnotherKey(KeyServerStory):
    def register(self) -> None:
        super().register()
        self.remote.new_client("alice" + self._suffix, crypto.random_key())


class TheServerIsGone(KeyServerStory):
    def give_keys(self) -> None:
        self.remote = Remote(f"https://127.0.0.1:{free_port()}", retries=0)
        super().give_keys()


class BobMissesAMessage(Person):
    lost = False

    def next_event(self, deadline: float) -> Event | None:
        event = super().next_event(deadline)
        if self.name == "bob" and not self.lost and event is not None and event.payload.endswith(b" 12"):
            self.lost = True
            return super().next_event(deadline)
        return event


class EveSendsTooLittle(Person):
    def impersonate(self, id: bytes, command: bytes, topic: str, text: str) -> bytes:
        return super().impersonate(id, command, topic, text)[:50]


NOTHING_ARRIVES = (CommandsAreLost, BobIsNotSubscribed, BrokerDies, EveKeepsTheKey)


@pytest.mark.mosquitto
class TestWhenSomethingComesOutOtherwise:
    @pytest.fixture
    def broker(self, mosquitto: Brokers) -> Broker:
        return mosquitto()

    @pytest.fixture
    def play(
        self, broker: Broker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> Iterator[Callable[[type[Stage] | type[Person]], tuple[int, str, str]]]:
        """Play the demo with one class replaced: exit code, stdout, stderr."""
        people: list[Person] = []

        def play(replacement: type[Stage] | type[Person]) -> tuple[int, str, str]:
            base = replacement if issubclass(replacement, Person) else Person

            class Recorded(base):  # type: ignore[misc, valid-type]
                def __init__(self, *arguments: object) -> None:
                    super().__init__(*arguments)
                    people.append(self)

            monkeypatch.setattr(_demo_cast, "Person", Recorded)
            if issubclass(replacement, Story):
                monkeypatch.setattr(_demo_story, "Story", replacement)
            if issubclass(replacement, KeyServerStory):
                monkeypatch.setattr(_demo_second, "KeyServerStory", replacement)
            timeout = "1.5" if replacement in NOTHING_ARRIVES else "15"
            code = main(["demo", "--broker", f"127.0.0.1:{broker.port}", "--timeout", timeout])
            return code, *capsys.readouterr()

        yield play
        assert len(people) == 3
        assert all(person._process.poll() is not None for person in people)

    @pytest.mark.parametrize(
        ("replacement", "step", "text"),
        [
            (AliceSendsWithoutKey, 1, "alice could send a message without a key"),
            (CommandsAreLost, 2, "nothing came through the broker within 1.5 seconds"),
            (CommandsAreChanged, 2, "this is not the message expected on e4/"),
            (ServerHasAnotherKey, 2, "alice did not apply the command: message is not authentic"),
            (AliceSendsInClear, 3, "the message passed in clear"),
            (BobHasNoKey, 3, "bob refused the message: topic key not found"),
            (BobIsNotSubscribed, 3, "bob read nothing within 1.5 seconds"),
            (BobReadsSomethingElse, 3, "bob read 'close window 3\\x1b[2J' instead"),
            (EveHasTheKey, 4, "eve read 'open window 3'"),
            (BobChecksNothing, 5, "bob read 'open all doors'"),
            (AliceDoesNotKnowBob, 7, "alice refused the message: public key not found"),
            (EveKnowsAlice, 8, "eve read 'close window 3'"),
            (BobKnowsEve, 9, "bob read 'open all doors'"),
            (EveSendsTooLittle, 10, "bob refused it for another reason: message is too short"),
            (AliceHasAnotherKey, 12, "alice did not apply the command: message is not authentic"),
            (BobGetsNoKey, 13, "bob refused the message: topic key not found"),
            (
                BobMissesAMessage,
                14,
                "bob read 'the temperature is 21, 13' instead of 'the temperature is 21, 12'",
            ),
            (EveKeepsTheKey, 15, "this is not the message expected on e4/"),
        ],
    )
    def test_says_which_step_failed(
        self,
        play: Callable[[type], tuple[int, str, str]],
        replacement: type,
        step: int,
        text: str,
    ) -> None:
        code, stdout, stderr = play(replacement)
        assert code == 1
        assert re.fullmatch(rf"e4: step {step} \(.+\) failed: {re.escape(text)}.*\n", stderr)
        assert f"   FAILED   {text}" in stdout.splitlines()[-1]
        assert "ended as they must" not in stdout

    def test_the_broker_dies(
        self, play: Callable[[type], tuple[int, str, str]], broker: Broker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(BrokerDies, "broker", broker, raising=False)
        code, stdout, stderr = play(BrokerDies)
        assert code == 1
        assert re.fullmatch(r"e4: the broker has not acknowledged the message within 1.5 seconds\n", stderr)
        assert "bob      reads" not in stdout

    def test_a_process_dies(self, play: Callable[[type], tuple[int, str, str]]) -> None:
        code, _, stderr = play(AliceDies)
        assert (code, stderr) == (1, "e4: the process of alice has ended\n")

    def test_the_key_server_is_gone(self, play: Callable[[type], tuple[int, str, str]]) -> None:
        code, stdout, stderr = play(TheServerIsGone)
        assert code == 1
        assert re.fullmatch(r"e4: nothing answers at https://127.0.0.1:\d+: .*\n", stderr)
        assert "ended as they must" not in stdout

    def test_shows_no_key(
        self, play: Callable[[type], tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[bytes] = []

        def recorded(function: Callable[..., bytes]) -> Callable[..., bytes]:
            def record(*arguments: object) -> bytes:
                made.append(function(*arguments))
                return made[-1]

            return record

        for name in ("random_key", "random_curve25519_private_key", "c2_shared_key"):
            monkeypatch.setattr(crypto, name, recorded(getattr(crypto, name)))
        code, stdout, stderr = play(Story)
        assert (code, stderr) == (0, "")
        # Clients, topic, eve's guess, topic, C2, shared; in the second act the clients again.
        assert len(set(made)) == 3 + 1 + 1 + 1 + 1 + 3 + 3
        for key in made:
            assert key[:8].hex() not in stdout
            assert key[-8:].hex() not in stdout


def test_help_has_an_example() -> None:
    result = run("--help", COLUMNS="100")
    assert (result.returncode, result.stderr) == (0, "")
    assert "e4 demo --broker localhost:1883" in result.stdout


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TestPrinter:
    def test_plain_in_a_pipe(self) -> None:
        stream = io.StringIO()
        self.print_everything(stream)
        assert stream.getvalue() == (
            "prose\n\n=== chapter ===\n\n1. step\n   eve      says \\x1b[2J\n   ok       done\n"
            "   wire     house, 3 bytes\n            616263\n"
        )

    def test_colours_on_a_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv("TERM", "xterm")
        stream = Terminal()
        self.print_everything(stream)
        plain = io.StringIO()
        self.print_everything(plain)
        assert "\x1b[32m   ok       done\x1b[0m\n" in stream.getvalue()
        assert re.sub(r"\x1b\[\d+m", "", stream.getvalue()) == plain.getvalue()

    @pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
    def test_no_colours_if_not_wanted(self, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
        monkeypatch.setenv(name, value)
        stream = Terminal()
        self.print_everything(stream)
        assert "\x1b" not in stream.getvalue()

    @pytest.mark.parametrize("length", [0, 1, 32])
    def test_short_bytes_are_shown_whole(self, length: int) -> None:
        assert abbreviated(bytes(range(length))) == bytes(range(length)).hex()

    def test_long_bytes_are_shortened(self) -> None:
        data = bytes(range(200))
        assert abbreviated(data) == f"{data[:24].hex()}...{data[-8:].hex()}"

    @staticmethod
    def print_everything(stream: io.StringIO) -> None:
        printer = Printer(stream)
        printer.text("prose")
        printer.chapter("chapter")
        printer.step(1, "step")
        printer.line("eve", "says \x1b[2J")
        printer.line("ok", "done")
        printer.wire("house", b"abc")
