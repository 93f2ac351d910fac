"""Kills key servers, and then looks whether all that was promised still holds.

A world is a database, a broker, devices behind it, and the record of every operation that a server has
acknowledged. Its clock is fast, so that waiting for the next second costs nothing.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

from e4 import crypto
from e4.c2.model import Mode
from e4.c2.service.setup import initialise
from e4.c2.storage import Store
from e4.c2.vault import Kdf
from tests._broker import Broker, until
from tests._fleet import APPLIED, CLEARED, STRANGER, Fleet
from tests.e2e.c2._nursery import PASSPHRASE, fast_clock

SPEED = 20.0  # seconds of the world's clock in one second
LATE = 2.0  # real seconds between dating and publishing a command, on a busy machine
Operation = tuple[Any, ...]


class Killed(Exception):
    """The process ended while it was asked."""


class Refused(Exception):
    """The operation was answered with an error."""


class Remote:
    """One server process, as seen from outside. Safe to use from many threads."""

    def __init__(self, connection: Connection, pid: int) -> None:
        self.pid = pid
        self._connection = connection
        self._numbers = itertools.count()
        self._answers: dict[int, queue.SimpleQueue[Any]] = {}
        self._lock = threading.Lock()
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def do(self, name: str, *arguments: Any) -> Any:
        """Have it do something.

        Raises:
            Killed: it ended before it answered.
            Refused: it answered with an error.
        """
        answer: queue.SimpleQueue[Any] = queue.SimpleQueue()
        try:
            with self._lock:
                number = next(self._numbers)
                self._answers[number] = answer
                self._connection.send((number, name, arguments))
        except OSError:
            raise Killed from None
        if self.ended.is_set():
            answer.put(None)
        found = answer.get(timeout=60)
        if found is None:
            raise Killed
        result, error = found
        if error is not None:
            raise Refused(error)
        return result

    def kill(self) -> None:
        """As a crash would end it."""
        os.kill(self.pid, signal.SIGKILL)
        assert self.ended.wait(20)

    def _receive(self) -> None:
        try:
            while True:
                number, *answer = self._connection.recv()
                self._answers[number].put(answer)
        except (EOFError, OSError):
            self.ended.set()
            for waiting in list(self._answers.values()):
                waiting.put(None)
            self._connection.close()


class Nursery:
    """Starts processes: see `tests.e2e.c2._nursery`."""

    def __init__(self, folder: Path) -> None:
        self._listener = Listener(str(folder / "nursery"), "AF_UNIX")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.c2._nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def start(self, spec: dict[str, Any]) -> Remote:
        """A new process. Raises `Killed` if it has ended already, `Refused` if it cannot start."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(spec | {"address": self._listener.address}) + "\n")
        self._process.stdin.flush()
        connection = self._listener.accept()
        try:
            pid, error = connection.recv()
        except EOFError:
            raise Killed from None
        if error is not None:
            raise Refused(error)
        return Remote(connection, pid)

    def close(self) -> None:
        """End it, and all that it started."""
        self._process.communicate()
        self._listener.close()


@dataclass
class Record:
    """What C2 should hold, by the operations it has acknowledged."""

    clients: dict[str, set[str]] = field(default_factory=dict)  # its topics
    topics: dict[str, int] = field(default_factory=dict)  # how many keys it has had
    links: dict[str, set[str]] = field(default_factory=dict)

    def apply(self, operation: Operation) -> Record:
        """What it should hold after one more."""
        after = copy.deepcopy(self)
        name, *arguments = operation
        match name.partition(".")[2], arguments:
            case "new_client", [client, _]:
                after.clients.setdefault(client, set())
            case "remove_client", [client]:
                del after.clients[client]
                after.links.pop(client, None)
                for sources in after.links.values():
                    sources.discard(client)
            case "reset_client", [client]:
                after.clients[client] = set()
            case "new_topic", [topic]:
                after.topics[topic] = after.topics.get(topic, 0) + 1
            case "remove_topic", [topic]:
                del after.topics[topic]
                for topics in after.clients.values():
                    topics.discard(topic)
            case "new_topic_client", [client, topic]:
                after.clients[client].add(topic)
            case "remove_topic_client", [client, topic]:
                after.clients[client].discard(topic)
            case "link_client", [source, target]:
                after.links.setdefault(target, set()).add(source)
        return after

    @classmethod
    def of(cls, dump: dict[str, Any]) -> Record:
        """What C2 does hold."""
        return cls(
            {name: set(client["topics"]) for name, client in dump["clients"].items()},
            {name: version for name, (version, _) in dump["topics"].items()},
            {name: set(client["links"]) for name, client in dump["clients"].items() if client["links"]},
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record):
            return NotImplemented
        links = [{name: sources for name, sources in r.links.items() if sources} for r in (self, other)]
        return self.clients == other.clients and self.topics == other.topics and links[0] == links[1]

    __hash__ = None  # type: ignore[assignment]


class World:
    """See the module.

    Args:
        folder: for its log.
        url: of a database with its tables.
        broker: that drops nothing.
        mode: of the database.
        clients: how many there are at first; topics likewise.
        speed: of its clock.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        broker: Broker,
        mode: Mode = "symkey",
        *,
        clients: int = 6,
        topics: int = 3,
        speed: float = SPEED,
    ) -> None:
        self.url, self.broker, self.mode = url, broker, mode
        self._speed = speed
        self._log = folder / "log"
        self._log.touch()
        self._read = 0  # bytes of the log that were looked at
        self._epoch = time.monotonic()
        clock = fast_clock(self._epoch, speed)
        store = Store.open(url)
        initialise(store, mode, PASSPHRASE, clock(), kdf=Kdf(1, 32, 4))
        store.close()
        self.fleet = Fleet(broker, lambda: clock() / 1000)
        self.nursery = Nursery(folder)
        self.random = random.Random()
        self._untold: set[tuple[str, str]] = set()  # links whose source's key may not have been sent
        self.record = Record()
        self.unsure: list[Operation] = []  # operations that were not answered
        self.kills: list[str] = []  # the points at which processes were killed
        self._lock = threading.Lock()
        self._names = itertools.count()
        self._last_seconds: dict[str, int] = {}
        self._last_second = 0
        self._settled: set[int] = set()
        try:
            self._fill(clients, topics)
        except BaseException:
            self.close()
            raise

    def _fill(self, clients: int, topics: int) -> None:
        remote = self.start()
        for _ in range(topics):
            self.do(remote, ("topics.new_topic", f"t{next(self._names)}"))
        for _ in range(clients):
            client = self.new_client(remote)
            for topic in list(self.record.topics)[:2]:
                self.do(remote, ("members.new_topic_client", client, topic))
        self.check(remote)
        remote.kill()

    def start(self, kill_at: tuple[str, int] = ("", 0), **options: Any) -> Remote:
        """Start a server. Raises `Killed` if it is killed before it answers.

        Args:
            kill_at: a kind of point, and at which of them: see `_nursery.Points`.
            options: other specifications than the usual.
        """
        spec: dict[str, Any] = {
            "url": self.url,
            "port": self.broker.port,
            "log": str(self._log),
            "epoch": self._epoch,
            "speed": self._speed,
            "batch": 50,
            "window": 100,
            "pages": 0,
        }
        return self.nursery.start(spec | {"kill_at": kill_at} | options)

    def close(self) -> None:
        """End everything."""
        self.nursery.close()
        self.fleet.close()

    def do(self, remote: Remote, operation: Operation) -> None:
        """Do an operation, and take note that it was acknowledged.

        Raises:
            Killed: it was not answered.
            Refused: it has had no effect.
        """
        try:
            remote.do(*operation)
        except Killed:
            with self._lock:
                self.unsure.append(operation)
            raise
        else:
            with self._lock:
                self.record = self.record.apply(operation)

    def new_client(self, remote: Remote) -> str:
        """A device, registered."""
        name = f"c{next(self._names)}"
        if self.mode == "symkey":
            key = crypto.random_key()
            self.fleet.add_symmetric(name, key)
        else:
            private = crypto.random_ed25519_private_key()
            key = crypto.ed25519_public_key(private)
            self.fleet.add_public(name, private, remote.do("keys.c2_public_key"))
        self.do(remote, ("clients.new_client", name, key))
        return name

    def something(self, remote: Remote, clients: list[str] | None = None) -> None:
        """Do an operation of any kind.

        Args:
            remote: who does it.
            clients: only about these; and only what others can do at the same time about others.
        """
        choose, shared = self.random.choice, clients is not None
        names, topics = clients or sorted(self.record.clients), sorted(self.record.topics)
        client, topic = choose(names), choose(topics)
        kinds: dict[str, int] = {
            "topics.new_topic": 4, "members.new_topic_client": 4, "members.remove_topic_client": 2,
            "keys.new_client_key": 3, "clients.reset_client": 1, "clients.resync_client": 1,
        }  # fmt: skip
        if not shared:
            kinds |= {"new": 1, "clients.remove_client": 1 if len(names) > 4 else 0}
            kinds |= {"another topic": 1, "topics.remove_topic": 1 if len(topics) > 2 else 0}
        if self.mode == "pubkey":
            kinds |= {"links.link_client": 2, "links.send_client_pubkey": 1, "keys.new_c2_key": 1}
        (kind,) = self.random.choices(list(kinds), list(kinds.values()))
        match kind:
            case "new":
                self.new_client(remote)
            case "another topic":
                self.do(remote, ("topics.new_topic", f"t{next(self._names)}"))
            case "topics.new_topic" | "topics.remove_topic":
                self.do(remote, (kind, topic))
            case "members.new_topic_client" | "members.remove_topic_client":
                self.do(remote, (kind, client, topic))
            case "links.link_client":
                # A link says that the target should hold the source's key; sending it is a second operation.
                source = choose(names)
                if source != client and client not in self.record.links.get(source, ()):
                    self._untold.add((source, client))
                    self.do(remote, (kind, source, client))
                    self.do(remote, ("links.send_client_pubkey", client, source))
                    self._untold.discard((source, client))
            case "links.send_client_pubkey":
                source = choose(names)
                self.do(remote, (kind, client, source))
                self._untold.discard((source, client))
            case "keys.new_c2_key":
                self.do(remote, (kind, True))
            case _:
                self.do(remote, (kind, client))

    def check(self, remote: Remote) -> None:
        """Wait until all is sent, and look whether everything is as it was promised."""
        until(lambda: not remote.do("busy"), 60, "the outbox is empty")
        dump = remote.do("dump")
        found = Record.of(dump)
        possible = [self.record]
        for operation in self.unsure:
            possible += [record.apply(operation) for record in possible if _can(record, operation)]
        assert found in possible, f"{self.record} with or without {self.unsure} is {found}"
        self.record, self.unsure = found, []
        for name in set(self.fleet.devices) - set(found.clients):
            del self.fleet.devices[name]
        self._check_log(set(dump["sent"]))
        for name in found.clients:
            self._check_device(name, dump)

    def recovered(self) -> None:
        """Start a server that nobody kills, check, and end it."""
        remote = self.start()
        self.check(remote)
        remote.kill()

    def work(self, *remotes: Remote, threads: int = 3) -> list[threading.Thread]:
        """Have several threads do operations, each about clients of its own, until a server is killed."""
        names = sorted(self.record.clients)

        def work(own: list[str]) -> None:
            for remote in itertools.cycle(remotes):
                try:
                    self.something(remote, own)
                except Killed:
                    return

        started = [threading.Thread(target=work, args=(names[place::threads],)) for place in range(threads)]
        for thread in started:
            thread.start()
        return started

    def _check_device(self, name: str, dump: dict[str, Any]) -> None:
        device, client = self.fleet.devices[name], dump["clients"][name]
        assert device.own_key() == client["key"], name
        expected = {crypto.hash_topic(topic).hex(): dump["topics"][topic][1] for topic in client["topics"]}
        known = {crypto.hash_topic(topic).hex() for topic in dump["topics"]}
        held = {hash: key for hash, key in device.topic_keys().items() if hash in known}
        assert held == expected, name
        if self.mode == "pubkey":
            assert device.c2_key() == dump["c2"], name
            for source in client["links"]:
                if (source, name) in self._untold:
                    continue  # killed between the two operations: it may have a key from before the link
                if (key := device.public_keys().get(crypto.hash_id_alias(source).hex())) is not None:
                    assert key == dump["clients"][source]["key"], (source, name)

    def _check_log(self, sent: set[int]) -> None:
        """Look at what has been published since the last time, and at what has arrived of it."""
        with self._log.open() as log:
            log.seek(self._read)
            text = log.read()
        self._read += len(text)
        entries = [json.loads(line) for line in text.splitlines()]
        self.kills += [entry[1] for entry in entries if entry[0] == "killed"]
        outs = [entry[1:] for entry in entries if entry[0] == "out"]
        payloads: dict[tuple[int, int, int], bytes] = {}
        last: dict[str, dict[int, int]] = {}  # where each client's commands appear for the last time
        seen: set[tuple[str, str]] = set()
        for place, (pid, command, client, second, late, payload) in enumerate(outs):
            assert 0 <= late < 1 + LATE * self._speed, (
                f"command {command} is dated {late} seconds before it was sent"
            )
            assert second >= self._last_seconds.get(client, 0), f"command {command} is dated back"
            self._last_seconds[client] = second
            assert not payload or (client, payload) not in seen, f"command {command} went out twice"
            seen.add((client, payload))
            payloads[pid, command, second] = bytes.fromhex(payload)
            last.setdefault(client, {})[command] = place
        for client, places in last.items():
            order = sorted((command for command in places if command in sent), key=lambda c: places[c])
            assert order == sorted(order), f"the commands of {client} went out as {order}"
            assert not self._settled & set(order), "a command went out again after it was noted as sent"
        self._settled |= sent
        acknowledged = {payloads[tuple(entry[1:])] for entry in entries if entry[0] == "acknowledged"}  # type: ignore[index]
        self.fleet.wait_for(acknowledged - {b""})
        self._check_arrivals()

    def _check_arrivals(self) -> None:
        arrivals, self.fleet.arrivals = self.fleet.arrivals, []
        for arrival in arrivals:
            if arrival.retained:
                continue
            # Under a key that a device no longer has comes what is sent again after its answer was lost.
            assert arrival.outcome in (APPLIED, CLEARED, STRANGER, "NotAuthentic"), arrival
            assert not arrival.payload or arrival.second <= arrival.at, "a command is dated ahead"


def _can(record: Record, operation: Operation) -> bool:
    try:
        record.apply(operation)
    except KeyError:
        return False
    return True
