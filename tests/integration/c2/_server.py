"""The service and its sender on one database, without APIs, for the tests of delivery."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from e4 import crypto
from e4.c2.delivery import JobRunner, Sender
from e4.c2.model import ANYBODY, Call, JobState, Mode
from e4.c2.service import Service
from e4.c2.service.setup import initialise, open_vault
from e4.c2.settings import Delivery
from e4.c2.storage import Store
from e4.c2.vault import Kdf
from e4.mqtt.publisher import Publisher
from tests._broker import Broker, until
from tests._fleet import Device, Fleet

PASSPHRASE = "of a database for tests"
CHEAP = Kdf(1, 32, 4)
CALL = Call(ANYBODY, "test")
FAST = Delivery(poll_seconds=0.05, retry_min_seconds=0.05, retry_max_seconds=0.2, stall_seconds=5.0)


def milliseconds() -> int:
    """Since the epoch."""
    return time.time_ns() // 1_000_000


class Server:
    """A C2 process's inside: started with `start`, stopped with `stop`.

    Args:
        url: of a database with its tables; it gets its vault if it has none.
        broker: where the commands go.
        mode: of the database.
    """

    def __init__(
        self,
        url: str,
        broker: Broker,
        mode: Mode = "symkey",
        *,
        settings: Delivery = FAST,
        retain: bool = True,
        clock: Callable[[], int] = milliseconds,
        port: int | None = None,
        **publisher: Any,
    ) -> None:
        self.broker, self.settings = broker, settings
        self.store = Store.open(url)
        with self.store.read() as tx:
            new = tx.vault.get() is None
        if new:
            self.vault = initialise(self.store, mode, PASSPHRASE, clock(), kdf=CHEAP)
        else:
            self.vault = open_vault(self.store, PASSPHRASE)
        self.service = Service(self.store, self.vault, clock, self._notify)
        options = {"host": broker.host, "port": port or broker.port} | publisher
        self.sender = Sender(
            self.store, self.service, self.vault, lambda: Publisher(**options), settings,
            retain=retain, clock=clock,
        )  # fmt: skip
        self.jobs = JobRunner(self.store, self.service, settings)

    def _notify(self) -> None:
        self.sender.wake()
        self.jobs.wake()

    def start(self) -> Server:
        """Have its threads run."""
        self.sender.start()
        self.jobs.start()
        return self

    def stop(self, drain_seconds: float = 10) -> None:
        """End its threads, and close the database."""
        self.jobs.stop(10)
        self.sender.stop(drain_seconds)
        self.store.close()

    def pending(self) -> int:
        """Commands in the outbox."""
        with self.store.read() as tx:
            count: int = tx.commands.pending()[0]
            return count

    def drained(self, timeout: float = 30.0) -> None:
        """Wait until the outbox is empty and no job runs."""
        until(lambda: not self.busy(), timeout, f"the outbox is empty; {self.sender.status()}")

    def busy(self) -> bool:
        """Whether something is left to send; not to be asked all the time."""
        time.sleep(0.03)
        with self.store.read() as tx:
            return bool(tx.commands.pending()[0] or tx.jobs.page(None, 1, state=JobState.RUNNING))

    def new_client(self, fleet: Fleet, name: str) -> Device:
        """A device, registered."""
        if self.service.mode == "symkey":
            key = crypto.random_key()
            device = fleet.add_symmetric(name, key)
        else:
            private = crypto.random_ed25519_private_key()
            key = crypto.ed25519_public_key(private)
            device = fleet.add_public(name, private, self.service.keys.c2_public_key(CALL))
        self.service.clients.new_client(CALL, name, key)
        return device

    def topic_key(self, topic: str) -> bytes:
        """The newest key of a topic."""
        with self.store.read() as tx:
            found = tx.topics.get(topic)
            assert found is not None
            newest = tx.keys.topic_keys(found.row)[-1]
        return self.vault.open_key("topic_keys", found.row, newest.version, newest.sealed)

    def client_key(self, name: str) -> bytes:
        """The newest key of a client; its public key in PK mode."""
        with self.store.read() as tx:
            found = tx.clients.get(name)
            assert found is not None
            newest = tx.keys.client_keys(found.row)[-1]
        return self.vault.open_key("client_keys", found.row, newest.version, newest.sealed)
