"""A key server with a fleet, and what is measured on it."""

from __future__ import annotations

import base64
import io
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from paho.mqtt.client import Client as Paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from e4 import commands, crypto
from e4.c2.model import CommandState, JobState
from e4.c2.remote import Remote
from tests._broker import Broker
from tests._delay_proxy import DelayProxy
from tests.e2e._c2_server import C2Server

TOPIC = "fleet/firmware"
_PENDING = (CommandState.QUEUED, CommandState.FAILED)


@dataclass
class Fleet:
    """A running server whose commands go to `port`, and its broker."""

    server: C2Server
    broker: Broker
    port: int
    remote: Remote

    def load(self, count: int) -> float:
        """Import so many clients over HTTP; clients a second."""
        file = io.BytesIO(b"".join(_clients(count)))
        began = time.perf_counter()
        *_, last = self.remote.import_clients_file(file, "csv")
        took = time.perf_counter() - began
        assert last.created == count, f"{last.created} of {count} clients were imported"
        return count / took

    def join(self, count: int) -> None:
        """Give the first so many clients the topic, and wait until all has been sent."""
        _, job = self.remote.new_topic(TOPIC)
        assert job is None
        file = io.BytesIO(
            b"client,topic\n" + b"".join(f"{_name(i)},{TOPIC}\n".encode() for i in range(count))
        )
        for _ in self.remote.import_memberships_file(file, "csv"):
            pass
        self.drain()

    def drain(self) -> None:
        """Wait until nothing is queued."""
        while self._pending():
            time.sleep(0.05)

    def rotate(self, watch: Callable[[], None] = lambda: None) -> tuple[int, float]:
        """Rotate the topic's key; commands sent, and seconds until the broker had acknowledged the last."""
        began = time.perf_counter()
        _, job = self.remote.new_topic(TOPIC)
        assert job is not None, "the topic has members"
        while (job := self.remote.get_job(job.id)).state is JobState.RUNNING:
            watch()
            time.sleep(0.01)
        assert job.done == job.total, f"{job.done} of {job.total}"
        return job.total, time.perf_counter() - began

    def one_by_one(self, count: int) -> float:
        """The same commands published by paho-mqtt, waiting for each; commands a second."""
        paho = Paho(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        paho.connect("127.0.0.1", self.port)
        paho.loop_start()
        command, topics = commands.set_topic_key(crypto.random_key(), TOPIC).encode(), list(_ids(count))
        try:
            began = time.perf_counter()
            for i, topic in enumerate(topics):
                message = crypto.protect_sym_key(command, _key(i))
                paho.publish(topic, message, qos=2, retain=True).wait_for_publish(60)
            return count / (time.perf_counter() - began)
        finally:
            paho.disconnect()
            paho.loop_stop()

    def page_from_the_middle(self, count: int, rounds: int = 100) -> float:
        """Seconds for a page of 100 clients by cursor, over HTTPS; the median of so many rounds."""
        near = self.remote.page_clients(prefix=_name(count // 2)[:-1], limit=1)
        cursor = near.next
        assert cursor is not None
        times = []
        for _ in range(rounds):
            began = time.perf_counter()
            page = self.remote.page_clients(cursor=cursor, limit=100)
            times.append(time.perf_counter() - began)
            assert len(page.items) == 100
        return median(times)

    def memory(self) -> int:
        """Resident memory of the server's process, in bytes."""
        fields = Path(f"/proc/{self.server.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def _pending(self) -> bool:
        return any(self.remote.page_commands(state=state, limit=1).items for state in _PENDING)


@contextmanager
def fleet(folder: Path, round_trip: float = 0.0) -> Iterator[Fleet]:
    """A new server on SQLite, without authentication, and its broker, so far away.

    Args:
        folder: for all of it.
        round_trip: seconds added between the two.
    """
    with ExitStack() as stack:
        # Its default, 20, would be what is measured.
        folder.mkdir()
        broker = Broker(folder, lines=("max_inflight_messages 2000", "max_queued_messages 0")).start()
        stack.callback(broker.kill)
        port = broker.port
        if round_trip:
            port = stack.enter_context(DelayProxy(broker.port, round_trip)).port
        server = C2Server(folder / "c2", _at(broker, port), auth=False)
        stack.callback(server.close)
        server.start()
        remote = stack.enter_context(Remote(server.url, ca=server.ca, timeout=600))
        yield Fleet(server, broker, port, remote)


def _at(broker: Broker, port: int) -> Any:
    """What the server takes for its broker."""
    return broker if port == broker.port else _Elsewhere(port)


@dataclass(frozen=True)
class _Elsewhere:
    port: int
    host: str = "127.0.0.1"


def _name(number: int) -> str:
    return f"device-{number:07}"


def _key(number: int) -> bytes:
    return number.to_bytes(4, "big") * 7 + b"key!"


def _ids(count: int) -> Iterator[str]:
    return (crypto.topic_for_id(crypto.hash_id_alias(_name(i))) for i in range(count))


def _clients(count: int) -> Iterator[bytes]:
    yield b"name,key\n"
    for i in range(count):
        yield f"{_name(i)},{base64.b64encode(_key(i)).decode()}\n".encode()
