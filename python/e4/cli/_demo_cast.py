"""The demo's processes, seen from the one that tells the story: a broker, and the people who use it.

Lives here: starting them, asking them, hearing from them, ending them. Knows nothing of the story.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import e4
from e4 import crypto, errors
from e4.cli._errors import Failed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from e4.c2.remote import Remote

__all__ = ["Cast", "Child", "Event", "Person", "start_broker", "start_key_server"]

_START = 30.0  # seconds for a process to start, on a busy machine
_END = 3.0  # and to end
_INSTALL = "install it with e4's extra 'demo', or give a broker with --broker HOST:PORT"


@dataclass(frozen=True)
class Event:
    """What arrived at one person.

    Args:
        kind: ``wire``, ``read``, ``refused`` or ``command``.
        topic: where it was published.
        payload: the plaintext of what was read; the bytes of what was refused or seen on the wire.
        reason: why it was refused.
    """

    kind: str
    topic: str
    payload: bytes = field(repr=False)
    reason: errors.E4Error | None = None


class Child:
    """A process that reads and writes lines of JSON, and ends when its standard input does.

    Args:
        name: for error texts.
        module: what it runs.
        arguments: for the module; others on this machine can read them.
    """

    patience = _END

    def __init__(self, name: str, module: str, *arguments: str) -> None:
        self.name = name
        # The child finds this same package, and nothing that happens to lie in the current folder.
        path = [*filter(None, [os.environ.get("PYTHONPATH")]), str(Path(e4.__file__).parents[1])]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
            start_new_session=True,  # Ctrl-C reaches the demo alone
        )
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def answer(self, timeout: float) -> dict[str, Any]:
        """The next line that is no event.

        Raises:
            Failed: the process has ended, or says nothing in time.
        """
        try:
            answer = self._answers.get(timeout=timeout)
        except queue.Empty:
            raise Failed(f"the process of {self.name} does not answer") from None
        if not answer.get("alive", True):
            self._answers.put(answer)
            raise Failed(f"the process of {self.name} has ended")
        return answer

    def dismiss(self) -> None:
        """Have it end, without waiting."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def end(self) -> None:
        """Have it end, by force if need be."""
        self.dismiss()
        try:
            self._process.wait(self.patience)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._process.kill()
            self._process.wait()

    def _send(self, **members: object) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended, as `answer` will say
            self._process.stdin.write(json.dumps(members).encode() + b"\n")
            self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        try:
            with self._process.stdout as stdout:
                for line in stdout:
                    self._hear(json.loads(line))
        finally:
            self._answers.put({"alive": False})

    def _hear(self, line: dict[str, Any]) -> None:
        self._answers.put(line)


class Person(Child):
    """One of alice, bob and eve: an E4 client in a process of its own.

    Args:
        name: what the story calls them.
        id: of the E4 client, 16 bytes.
        host: the broker.
        port: the broker's.
        timeout: seconds for everything that is asked for.
    """

    def __init__(self, name: str, id: bytes, host: str, port: int, timeout: float) -> None:
        self.id = id
        self.receiving_topic = crypto.topic_for_id(id)
        self._timeout = timeout
        self._events: queue.Queue[Event] = queue.Queue()
        self._wire: queue.Queue[Event] = queue.Queue()
        super().__init__(name, "e4.cli._demo_actor", host, str(port), str(timeout))

    def listen(self, topics: list[str]) -> None:
        """Receive, by a plain connection, what is published on any topic; those given are reported."""
        self._ask("listen", topics=topics)

    def join_symkey(self, key: bytes) -> None:
        """Connect in symmetric-key mode; `key` is shared with the key server."""
        self._ask("join_symkey", id=self.id.hex(), key=key.hex())

    def join_pubkey(self, c2_public_key: bytes) -> bytes:
        """Connect in public-key mode with a new key pair; returns its public half."""
        answer = self._ask("join_pubkey", id=self.id.hex(), c2_public_key=c2_public_key.hex())
        return bytes.fromhex(answer["public_key"])

    def subscribe(self, filter: str) -> None:
        """Receive what is published on topics that match."""
        self._ask("subscribe", filter=filter)

    def publish(self, topic: str, text: str) -> None:
        """Protect a text and publish it.

        Raises:
            TopicKeyMissing: this person has no key for the topic.
        """
        self._ask("publish", topic=topic, text=text)

    def start_sending(self, topic: str, text: str) -> None:
        """Protect and publish one message after the other, the text and a number, until `stop_sending`."""
        self._ask("start_sending", topic=topic, text=text)

    def stop_sending(self) -> int:
        """Send no more; returns how many messages were sent."""
        return int(self._ask("stop_sending")["sent"])

    def publish_bytes(self, topic: str, message: bytes) -> None:
        """Publish any bytes as they are."""
        self._ask("publish_bytes", topic=topic, message=message.hex())

    def impersonate(self, id: bytes, command: bytes, topic: str, text: str) -> bytes:
        """A message with the id of another client; see `e4.cli._demo_actor.Actor.impersonate`."""
        answer = self._ask("impersonate", id=id.hex(), command=command.hex(), topic=topic, text=text)
        return bytes.fromhex(answer["message"])

    def forget_events(self) -> None:
        """Have what has arrived at the E4 client so far not come up any more."""
        self._events = queue.Queue()

    def next_event(self, deadline: float) -> Event | None:
        """What arrives next at the E4 client; None if that is not before the deadline (monotonic seconds)."""
        return self._next(self._events, deadline)

    def next_on_wire(self, deadline: float) -> Event | None:
        """What arrives next at the plain connection; None if that is not before the deadline."""
        return self._next(self._wire, deadline)

    def _ask(self, what: str, **arguments: object) -> dict[str, Any]:
        self._send(do=what, **arguments)
        answer = self.answer(_START + self._timeout)
        if "error" in answer:
            raise getattr(errors, answer["error"])(answer["text"])
        return answer

    def _next(self, events: queue.Queue[Event], deadline: float) -> Event | None:
        try:
            return events.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return None

    def _hear(self, line: dict[str, Any]) -> None:
        kind = line.get("event")
        if kind is None:
            super()._hear(line)
            return
        reason = getattr(errors, line["error"])(line["text"]) if "error" in line else None
        event = Event(kind, line["topic"], bytes.fromhex(line["payload"]), reason)
        (self._wire if kind == "wire" else self._events).put(event)


@dataclass
class Cast:
    """Everybody in the demo. As a context manager, it ends their processes."""

    alice: Person
    bob: Person
    eve: Person

    @classmethod
    def start(cls, host: str, port: int, timeout: float, suffix: str = "") -> Self:
        """Start the three processes.

        Args:
            host: the broker.
            port: the broker's.
            timeout: seconds for everything that one of them is asked for.
            suffix: for their E4 names, to keep apart several demos on one broker.
        """
        people: list[Person] = []
        try:
            for name in ("alice", "bob", "eve"):
                people.append(Person(name, crypto.hash_id_alias(name + suffix), host, port, timeout))
        except BaseException:
            _end(people)
            raise
        return cls(*people)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        _end([self.alice, self.bob, self.eve])


@contextlib.contextmanager
def start_broker(port: int = 0) -> Iterator[int]:
    """A broker for the time of a ``with`` block, which is given its port on 127.0.0.1.

    Args:
        port: the one to take if it is free.

    Raises:
        Failed: the library is not installed, or does not work.
    """
    try:
        import amqtt  # noqa: F401
    except ImportError:
        raise Failed(f"the broker of the demo, amqtt, is not installed: {_INSTALL}") from None
    broker = Child("the broker", "e4.cli._demo_broker", str(port))
    try:
        answer = broker.answer(_START)
        if "error" in answer:
            raise Failed(f"the broker of the demo does not start ({answer['error']}): {_INSTALL}")
        yield answer["port"]
    finally:
        broker.end()


class _KeyServer(Child):
    """Ends a server, and removes its folder, before it ends itself."""

    patience = 10.0


@contextlib.contextmanager
def start_key_server(host: str, port: int) -> Iterator[tuple[str, Remote]]:
    """A key server for the time of a ``with`` block, which is given its address and a client of it.

    Args:
        host: the broker.
        port: the broker's.

    Raises:
        Failed: it does not start.
    """
    from e4.c2.remote import Remote

    server = _KeyServer("the key server", "e4.cli._demo_keyserver", host, str(port))
    try:
        answer = server.answer(2 * _START)
        if "error" in answer:
            raise Failed(f"the key server of the demo does not start: {answer['error']}")
        with Remote(answer["url"], answer["token"], ca=answer["ca"]) as remote:
            yield answer["url"], remote
    finally:
        server.end()


def _end(people: list[Person]) -> None:
    for person in people:
        person.dismiss()
    for person in people:
        person.end()
