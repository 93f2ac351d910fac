"""Server processes that start in a few milliseconds: each is forked from one that has imported everything.

A process has the service, the sender and the job runner of C2 on one database; it does the operations that
come over its connection, and kills itself with SIGKILL at a given point: before or after a commit, before or
after a publish, when an acknowledgement comes. Run as a program, this is the process that is forked from:
each line on its stdin is the specification of a new one, as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Client, Connection
from typing import Any

from sqlalchemy import Pool, event

from e4.c2.delivery import JobRunner, Sender, batch, sender
from e4.c2.model import ANYBODY, Call, CommandState, JobState
from e4.c2.service import Service
from e4.c2.service.setup import open_vault
from e4.c2.settings import Delivery
from e4.c2.storage import Claim, Store
from e4.errors import E4Error
from e4.mqtt.publisher import Publisher

CALL = Call(ANYBODY, "crash")
PASSPHRASE = "of a database for tests"


class Points:
    """The points at which a process may be killed; kills it at one of them.

    Args:
        name: of this kind of point; empty for never.
        number: at which of them, counted from 1.
        log: where the point's name is written before.
    """

    def __init__(self, name: str, number: int, log: int) -> None:
        self._name = name
        self._left = number
        self._log = log
        self._lock = threading.Lock()

    def pass_by(self, name: str) -> None:
        """One of the points."""
        if name != self._name:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                write(self._log, ["killed", name])
                os.kill(os.getpid(), signal.SIGKILL)
                threading.Event().wait()  # it may take a moment


def write(log: int, entry: list[object]) -> None:
    """Append to the log, whole; it is there also when the process is killed right after."""
    os.write(log, json.dumps(entry).encode() + b"\n")


def instrument(points: Points, log: int, clock: Callable[[], int]) -> None:
    """Have this process pass by the points, and log what it publishes."""
    writing, settling = Store.connected_to_write, Claim.write

    def wrap(original: Any, what: str) -> Any:
        @contextmanager
        def wrapped(self: Any) -> Iterator[Any]:
            with original(self) as transaction:
                yield transaction
                points.pass_by(f"before {what}")
            points.pass_by(f"after {what}")

        return wrapped

    Store.connected_to_write = wrap(writing, "commit")  # type: ignore[method-assign]
    Claim.write = wrap(settling, "settling")  # type: ignore[method-assign]

    class Logged(batch.Batch):
        def messages(self) -> Iterator[tuple[str, bytes, bool]]:
            for message in super().messages():
                out, second = self._left[-1]
                late = clock() / 1000 - second
                points.pass_by("before publish")
                entry = [os.getpid(), out.command, out.client_id.hex(), second, late, message[1].hex()]
                write(log, ["out", *entry])
                yield message
                points.pass_by("after publish")

        def acknowledged(self, number: int) -> None:
            points.pass_by("acknowledged")
            out, second = self._left[number]
            write(log, ["acknowledged", os.getpid(), out.command, second])
            super().acknowledged(number)

    sender.Batch = Logged  # type: ignore[misc]


class Process:
    """What the forked process is.

    Args:
        spec: `url`, `port`, `log`, `kill_at`, `epoch` and `speed` of its clock, `batch`, `window`; and in
            `pages` how large a SQLite database may become, 0 for no limit.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        log = os.open(spec["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        clock = fast_clock(spec["epoch"], spec["speed"])
        if spec["pages"]:
            limit_pages(spec["pages"])
        self.store = Store.open(spec["url"])
        self.vault = open_vault(self.store, PASSPHRASE)
        instrument(Points(*spec["kill_at"], log), log, clock)
        settings = Delivery(
            batch=spec["batch"],
            poll_seconds=0.01,
            retry_min_seconds=0.01,
            retry_max_seconds=0.1,
            stall_seconds=10.0,
        )
        self.service = Service(self.store, self.vault, clock, self._notify)
        options = {"host": "127.0.0.1", "port": spec["port"], "window": spec["window"]}
        self.sender = Sender(
            self.store, self.service, self.vault, lambda: Publisher(**options), settings,
            retain=True, clock=clock,
        )  # fmt: skip
        self.jobs = JobRunner(self.store, self.service, settings)
        self.sender.start()
        self.jobs.start()

    def _notify(self) -> None:
        self.sender.wake()
        self.jobs.wake()

    def do(self, name: str, *arguments: Any) -> Any:
        """One operation: of the service as ``group.operation``, or one of this class."""
        group, _, operation = name.partition(".")
        if not operation:
            return getattr(self, name)()
        result = getattr(getattr(self.service, group), operation)(CALL, *arguments)
        return result if isinstance(result, bytes) else None

    def busy(self) -> str:
        """What is left to do; empty when all is done."""
        with self.store.read() as tx:
            pending, jobs = tx.commands.pending()[0], tx.jobs.page(None, 10, state=JobState.RUNNING)
        return f"{pending} commands, {jobs}, {self.sender.status()}" if pending or jobs else ""

    def dump(self) -> dict[str, Any]:
        """All that C2 holds, keys in the clear."""
        opened = self.vault.open_key
        found: dict[str, Any] = {"clients": {}, "topics": {}, "c2": b""}
        with self.store.read() as tx:
            for topic in tx.topics.page(None, 1000):
                key = tx.keys.topic_keys(topic.row)[-1]
                opened_key = opened("topic_keys", topic.row, key.version, key.sealed)
                found["topics"][topic.name] = (topic.version, opened_key)
            for client in tx.clients.page(None, 1000):
                key = tx.keys.client_keys(client.row)[-1]
                found["clients"][client.name] = {
                    "version": key.version,
                    "key": opened("client_keys", client.row, key.version, key.sealed),
                    "topics": {topic.name for topic in tx.members.topics_offset(client.row, 0, 1000)},
                    "links": {source.name for source in tx.links.sources_offset(client.row, 0, 1000)},
                }
            if self.service.mode == "pubkey":
                found["c2"] = tx.keys.c2_keys()[-1].public
            found["sent"] = [c.id for c in tx.commands.page(state=CommandState.SENT, limit=1_000_000)]
        return found


def limit_pages(pages: int) -> None:
    """Have SQLite find the disk full when a database has so many pages."""

    def connected(connection: Any, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}").close()

    event.listen(Pool, "connect", connected)


def fast_clock(epoch: float, speed: float) -> Callable[[], int]:
    """Milliseconds since the epoch, on a clock that runs faster than time.

    Args:
        epoch: of `time.monotonic`, where the clock showed T0.
        speed: seconds of the clock in one second.
    """
    return lambda: int(1000 * (T0 + (time.monotonic() - epoch) * speed))


T0 = 1_588_888_888


def run(spec: dict[str, Any]) -> None:
    """The life of a forked process: it answers each request, until its connection ends."""
    with Client(spec["address"], "AF_UNIX") as connection:
        try:
            process = Process(spec)
        except E4Error as error:
            connection.send((-1, str(error)))
            return
        connection.send((os.getpid(), None))
        lock = threading.Lock()
        while True:
            try:
                number, name, arguments = connection.recv()
            except (EOFError, OSError):
                return
            threading.Thread(target=answer, args=(process, connection, lock, number, name, arguments)).start()


def answer(
    process: Process, connection: Connection, lock: threading.Lock, number: int, name: str, arguments: Any
) -> None:
    """Do one request, and tell how it ended."""
    try:
        result, error = process.do(name, *arguments), None
    except E4Error as caught:
        result, error = None, f"{type(caught).__name__}: {caught}"
    with lock:
        connection.send((number, result, error))


def main() -> None:
    """Fork a process for each line; end with the one who writes them."""
    print("ready", flush=True)
    children: set[int] = set()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                run(json.loads(line))
            except BaseException:
                traceback.print_exc()
            os._exit(1)
        children.add(pid)
        children -= {child for child in children if os.waitpid(child, os.WNOHANG)[0]}
    for child in children:  # those that have ended are still there, as nobody has waited for them
        os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main()
