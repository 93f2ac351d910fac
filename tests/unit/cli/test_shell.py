"""The commands inside e4 client, on a client that is real and a connection that is not."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from e4 import commands, crypto
from e4.cli._shell import COMMANDS, Shell
from e4.cli._teller import Teller
from e4.client import Client
from e4.errors import MqttError, NotAuthentic, NotDelivered, TopicKeyMissing
from e4.mqtt import CommandApplied, Message, Refused
from tests._c2 import sym_device


@dataclass
class FakeLines:
    """Lines to be read, and those that were printed."""

    given: list[str | bytes] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    broken: bool = False

    def read(self) -> str | None:
        line = self.given.pop(0) if self.given else None
        return line.decode() if isinstance(line, bytes) else line

    def show(self, line: str) -> None:
        self.shown.append(line)

    def complain(self, line: str) -> None:
        self.complaints.append(line)

    def close(self) -> None:
        pass


@dataclass
class FakePublication:
    outcome: Exception | None
    is_acknowledged: bool = False

    def wait(self, timeout: float) -> None:
        if self.outcome is not None:
            raise self.outcome


class FakeSecure:
    """What the shell asks of `e4.mqtt.SecureClient`, written down."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.calls: list[tuple[object, ...]] = []
        self.outcome: Exception | None = None
        self.refusal: Exception | None = None
        self.close_error: Exception | None = None

    def subscribe(self, topic: str, qos: int, timeout: float) -> None:
        self.calls.append(("subscribe", topic, qos))

    def unsubscribe(self, topic: str, timeout: float) -> None:
        self.calls.append(("unsubscribe", topic))

    def publish(self, topic: str, text: str, qos: int) -> FakePublication:
        if self.refusal is not None:
            raise self.refusal
        self.calls.append(("publish", topic, text, qos))
        return FakePublication(self.outcome)

    def close(self, timeout: float) -> None:
        self.calls.append(("close", timeout))
        if self.close_error is not None:
            raise self.close_error


class Scene:
    """A shell, with a key for the topic ``room`` and none for any other."""

    def __init__(self, *, as_json: bool = False, colour: bool = False) -> None:
        device = sym_device()
        device.send(commands.set_topic_key(crypto.random_key(), "room"))
        self.lines = FakeLines()
        self.secure = FakeSecure(device.client)
        self.teller = Teller(self.lines, as_json=as_json, colour=colour)
        self.shell = Shell(self.secure, self.teller, qos=2, timeout=5)  # type: ignore[arg-type]

    def run(self, *lines: str | bytes, numbered: bool = True) -> bool:
        self.lines.given = list(lines)
        return self.shell.run(self.lines, numbered=numbered)


@pytest.fixture(autouse=True)
def _no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("e4.cli._shell._GRACE", 0.0)


def test_every_command_does_what_it_says() -> None:
    scene = Scene()
    assert scene.run(
        "subscribe a/+/#", "e4msg room  two  words ", "clearmsg hall hi", "unsubscribe a/+/#", "print-key"
    )
    assert scene.secure.calls == [
        ("subscribe", "a/+/#", 2),
        ("publish", "room", "two  words", 2),
        ("publish", "hall", "hi", 2),
        ("unsubscribe", "a/+/#"),
    ]
    id = scene.secure.client.id.hex()
    assert scene.lines.shown == [
        "subscribed to a/+/#",
        "sent to room",
        "sent in clear to hall",
        "unsubscribed from a/+/#",
        f"id {id}  public key none: in symmetric-key mode the only key is secret, and not shown",
    ]


def test_help_lists_every_command() -> None:
    scene = Scene()
    assert scene.run("help")
    assert [line.split()[0] for line in scene.lines.shown] == list(COMMANDS)


def test_a_topic_with_spaces_goes_in_quotes() -> None:
    scene = Scene()
    assert scene.run(
        'clearmsg "two words" and "more"', "clearmsg it's fine", 'subscribe "a b"', 'clearmsg "x y'
    )
    assert scene.secure.calls == [
        ("publish", "two words", 'and "more"', 2),
        ("publish", "it's", "fine", 2),
        ("subscribe", "a b", 2),
        ("publish", '"x', "y", 2),
    ]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("dance", "there is no command 'dance': 'help' lists them"),
        ("\x1b[2J", "there is no command '\\x1b[2J'"),
        ("E4MSG room hi", "there is no command 'E4MSG'"),
        ("e4msg", "the command is: e4msg TOPIC TEXT"),
        ("e4msg room", "the command is: e4msg TOPIC TEXT"),
        ('e4msg "" text', "the command is: e4msg TOPIC TEXT"),
        ("clearmsg hall", "the command is: clearmsg TOPIC TEXT"),
        ("subscribe", "the command is: subscribe TOPIC"),
        ("subscribe a b", "the command is: subscribe TOPIC"),
        ("unsubscribe", "the command is: unsubscribe TOPIC"),
        ("print-key now", "the command is: print-key"),
        ("help me", "the command is: help"),
        ("e4msg hall hi", "topic key not found: send the client one with 'e4 command set-topic-key'"),
        ("e4msg a/# hi", "topic must be 1 to 65535 bytes"),
        ("clearmsg room hi", "room has a key, so nothing is sent there in clear: use e4msg"),
        ("clearmsg + hi", "topic must be 1 to 65535 bytes"),
        (b"e4msg room \xff", "the line is not UTF-8"),
    ],
)
def test_a_line_that_fails_is_named_and_the_next_is_carried_out(line: str | bytes, text: str) -> None:
    scene = Scene()
    assert not scene.run("# a script", "", line, "e4msg room after")
    assert len(scene.lines.complaints) == 1
    assert scene.lines.complaints[0].startswith("e4: line 3: ")
    assert text in scene.lines.complaints[0]
    assert scene.secure.calls == [("publish", "room", "after", 2)]


def test_a_terminal_has_no_line_numbers() -> None:
    scene = Scene()
    scene.run("dance", numbered=False)
    assert scene.lines.complaints == ["e4: there is no command 'dance': 'help' lists them"]


def test_exit_leaves_the_rest_unread() -> None:
    scene = Scene()
    assert scene.run("  exit  ", "e4msg room hi")
    assert scene.secure.calls == []


def test_a_topic_that_lost_its_key_does_not_go_in_clear() -> None:
    scene = Scene()
    scene.secure.refusal = TopicKeyMissing()  # the border remembers what the client has forgotten
    assert not scene.run("clearmsg hall hi")
    assert scene.lines.complaints == [
        "e4: line 1: hall had a key in this run, so nothing is sent there in clear"
    ]


def test_a_message_that_waits_is_no_failure_until_the_end() -> None:
    scene = Scene()
    scene.secure.outcome = NotDelivered()
    assert scene.run("e4msg room hi", "clearmsg hall hi")
    assert scene.lines.shown == [
        "not acknowledged yet: goes to room when the broker answers",
        "not acknowledged yet: goes to hall in clear when the broker answers",
    ]
    assert not scene.shell.leave(3.0)
    assert scene.secure.calls[-1] == ("close", 3.0)


def test_what_is_never_acknowledged_is_told_on_leaving() -> None:
    scene = Scene()
    scene.secure.close_error = NotDelivered("closed with 2 messages that the broker has not acknowledged")
    assert not scene.shell.leave(0)
    assert scene.lines.complaints[0].startswith("e4: closed with 2 messages")


def test_a_refusal_is_told_once_though_two_hear_of_it() -> None:
    scene = Scene()
    scene.teller.connected()
    scene.secure.outcome = MqttError("the broker refused the message: Not authorized")
    assert not scene.run("e4msg room hi")
    scene.teller.background_error(scene.secure.outcome)
    assert scene.lines.complaints == ["e4: line 1: the broker refused the message: Not authorized"]


def test_attempts_that_fail_alike_are_told_once_and_not_before_the_first_connection() -> None:
    scene = Scene()
    scene.teller.background_error(MqttError("cannot reach"))
    assert scene.lines.complaints == []
    scene.teller.connected()
    scene.teller.disconnected(MqttError("lost"))
    scene.teller.disconnected(None)
    for _ in range(3):
        scene.teller.background_error(MqttError("cannot reach"))
    assert scene.lines.shown == ["connected", "lost; trying again"]
    assert scene.lines.complaints == ["e4: cannot reach"]


def test_completion() -> None:
    scene = Scene()
    assert scene.shell.complete("") == [f"{name} " for name in COMMANDS]
    assert scene.shell.complete("e") == ["e4msg ", "exit "]
    assert scene.shell.complete("e4msg ") == []
    scene.run("e4msg room hi", "subscribe rotunda", "clearmsg hall hi", "subscribe rotunda")
    assert scene.shell.complete("e4msg ro") == ["room ", "rotunda "]
    assert scene.shell.complete("unsubscribe ") == ["room ", "rotunda ", "hall "]
    assert scene.shell.complete("e4msg room ro") == []
    assert scene.shell.complete("print-key ro") == []
    assert scene.shell.complete("dance ro") == []
    assert scene.shell.complete("zz") == []


def message(payload: bytes, *, protected: bool = True, topic: str = "room") -> Message:
    return Message(topic, payload, 2, False, protected)


def test_how_messages_look() -> None:
    scene = Scene()
    scene.teller.message(message(b"hello"))
    scene.teller.message(message(b""))
    scene.teller.message(message(b"\x1b[2J\nrm -rf\xff", topic="r\x07oom"))
    scene.teller.message(message(b"hi\x1b[2J", protected=False))
    scene.teller.refused(Refused("room", b"x", 2, False, NotAuthentic()))
    scene.teller.command(CommandApplied("e4/00", True))
    assert scene.lines.shown == [
        "[room] hello",
        "[room] ",
        "[r\\x07oom] \\x1b[2J\\nrm -rf\\xff",
        "[room] (clear) hi\\x1b[2J",
        "[room] refused: message is not authentic",
        "a command of C2 has been applied",
    ]


@pytest.mark.parametrize("payload", [b"\xff" * 30, b"\x00" * 24, None])
def test_bytes_without_a_key_are_not_passed_off_as_a_clear_message(payload: bytes | None) -> None:
    scene = Scene()
    payload = payload or crypto.protect_sym_key(b"secret", b"k" * 32)
    scene.teller.message(message(payload, protected=False))
    assert scene.lines.shown == ["[room] refused: topic key not found"]


def test_colours() -> None:
    scene = Scene(colour=True)
    scene.teller.message(message(b"hello"))
    scene.teller.failed(MqttError("x"))
    assert scene.lines.shown == ["\x1b[32m[room] hello\x1b[0m"]
    assert scene.lines.complaints == ["\x1b[31me4: x\x1b[0m"]


def test_json_events() -> None:
    scene = Scene(as_json=True)
    scene.teller.connected()
    assert not scene.run("subscribe room", "e4msg room hi", "print-key", "dance")
    scene.teller.message(message(b"hello"))
    scene.teller.message(message(b"\xff\x00"))
    scene.teller.message(message(b"hi", protected=False))
    scene.teller.refused(Refused("room", b"x", 2, False, NotAuthentic()))
    assert scene.lines.complaints == []
    events = [json.loads(line) for line in scene.lines.shown]
    id = scene.secure.client.id.hex()
    base = {"event": "message", "topic": "room", "retain": False}
    assert events == [
        {"event": "connected"},
        {"event": "subscribed", "topic": "room"},
        {"event": "sent", "topic": "room", "protected": True},
        {"event": "key", "id": id, "mode": "symkey", "public_key": None},
        {
            "event": "error",
            "error": "Usage",
            "text": "there is no command 'dance': 'help' lists them",
            "line": 4,
        },
        base | {"protected": True, "text": "hello", "payload": "aGVsbG8="},
        base | {"protected": True, "text": None, "payload": "/wA="},
        base | {"protected": False, "text": "hi", "payload": "aGk="},
        {"event": "refused", "topic": "room", "reason": "NotAuthentic", "text": "message is not authentic"},
    ]
