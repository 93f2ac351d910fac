"""A key server's world in miniature: real clients, and a sender that brings them what is queued for them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

import e4
from e4 import commands, crypto
from e4.backend import get
from e4.c2.model import ANYBODY, Call, CommandKind, Mode
from e4.c2.service import Service
from e4.c2.storage import Outgoing, Store
from e4.c2.vault import Vault

T0 = 1_588_888_888_000  # the vectors' second, in milliseconds

symkey_only = pytest.mark.parametrize("mode", ["symkey"], indirect=True)
pubkey_only = pytest.mark.parametrize("mode", ["pubkey"], indirect=True)

CALL = Call(ANYBODY, "request-1", "127.0.0.1")
PASSPHRASE = "correct horse battery"


class Clock:
    """Milliseconds since the epoch, moved by the test."""

    def __init__(self) -> None:
        self.now = T0
        self._lock = threading.Lock()

    def __call__(self) -> int:
        return self.now

    def tick(self, seconds: float = 1) -> int:
        with self._lock:
            self.now += int(seconds * 1000)
            return self.now // 1000


def new_key(mode: Mode) -> tuple[bytes, bytes]:
    """What a device holds, and what C2 is told."""
    if mode == "symkey":
        key = crypto.random_key()
        return key, key
    private = crypto.random_ed25519_private_key()
    return private, crypto.ed25519_public_key(private)


@dataclass
class World:
    """Everything a test of the service needs."""

    service: Service
    store: Store
    vault: Vault
    clock: Clock
    notified: list[int] = field(default_factory=list)
    devices: dict[bytes, e4.Client] = field(default_factory=dict)
    refused: list[tuple[str, CommandKind]] = field(default_factory=list)
    applied: list[tuple[str, CommandKind]] = field(default_factory=list)

    @property
    def mode(self) -> Mode:
        return self.service.mode

    def device(self, name: str | bytes, *, register: bool = True, secret: bytes | None = None) -> e4.Client:
        """A new client with a key of its own, known to C2."""
        known: bytes | None = None
        if secret is None:
            secret, known = new_key(self.mode)
        elif self.mode == "pubkey":
            known = crypto.ed25519_public_key(secret)
        id = crypto.hash_id_alias(name) if isinstance(name, str) else name
        if self.mode == "symkey":
            config: e4.SymIdAndKey | e4.PubIdAndKey = e4.SymIdAndKey(id, secret)
        else:
            config = e4.PubIdAndKey(id, secret, self.service.keys.c2_public_key(CALL))
        client = e4.Client.create(config, e4.MemoryStore(), clock=lambda: self.clock() / 1000)
        if register:
            self.service.clients.new_client(CALL, name, known or secret)
        self.devices[id] = client
        return client

    def names(self) -> list[str]:
        return [client.name for client in self.service.clients.get_clients(CALL, 0, 100)]

    def events(self) -> list[tuple[str, str, str]]:
        return [(e.kind.value, e.source, e.target) for e in self.service.events.read_events(CALL, 0)]

    def audit(self) -> list[tuple[str, str, str]]:
        rows = self.service.audit.page_audit(CALL, limit=1000).items
        return [(row.operation, row.subject, row.outcome) for row in reversed(rows)]

    def queued(self) -> list[tuple[str, str, str]]:
        """Kind, client and subject of what is queued, in order."""
        page = self.service.commands.page_commands(CALL, state="queued", limit=1000)  # type: ignore[arg-type]
        return [(c.kind.name, c.client, c.subject) for c in reversed(page.items)]

    def deliver(self, limit: int = 100) -> int:
        """Send one claim's commands; how many."""
        with self.store.claim(limit, self.clock()) as claim:
            sent: list[tuple[Outgoing, int]] = []
            gone: list[Outgoing] = []
            for out in claim.outgoing:
                second = self.clock.tick()
                try:
                    message = self.protect(out, second)
                except LookupError:
                    gone.append(out)
                    continue
                self._apply(out, message)
                sent.append((out, second))
            with claim.write() as tx:
                self.service.delivered(tx, sent, [], gone)
        return len(sent) + len(gone)

    def deliver_all(self) -> None:
        """Run jobs and send until nothing is left."""
        while self.service.run_jobs_once() or self.deliver():
            pass

    def protect(self, out: Outgoing, second: int) -> bytes | None:
        """The message of a command; None clears the retained one. LookupError: it refers to what is gone."""
        if out.kind is CommandKind.CLEAR_RETAINED:
            return None
        own = self.open("client_keys", out.client_row, out.key_version, out.client_key)
        if self.mode == "pubkey":
            keys = self._c2_keys()
            if out.c2_key_version not in keys:
                raise LookupError
            own = crypto.c2_shared_key(
                keys[out.c2_key_version][0], crypto.public_ed25519_key_to_curve25519(own)
            )
        return crypto.protect_sym_key(self._command(out).encode(), own, timestamp=second)

    def _command(self, out: Outgoing) -> commands.Command:
        match out.kind:
            case CommandKind.SET_TOPIC_KEY:
                key = self.open("topic_keys", out.topic_row, out.topic_version, out.topic_key)
                return commands.SetTopicKey(key, out.topic_hash or b"")
            case CommandKind.REMOVE_TOPIC:
                return commands.RemoveTopic(out.topic_hash or b"")
            case CommandKind.RESET_TOPICS:
                return commands.ResetTopics()
            case CommandKind.SET_ID_KEY:
                table = "client_keys" if self.mode == "symkey" else "client_keys.transit"
                return commands.SetIdKey(self.open(table, out.client_row, out.new_version, out.new_key))
            case CommandKind.SET_PUB_KEY:
                key = self.open("client_keys", out.source_row, out.source_version, out.source_key)
                return commands.SetPubKey(key, out.source_id or b"")
            case CommandKind.REMOVE_PUB_KEY:
                return commands.RemovePubKey(out.source_id or b"")
            case CommandKind.RESET_PUB_KEYS:
                return commands.ResetPubKeys()
            case CommandKind.SET_C2_KEY:
                return commands.SetC2Key(self._c2_keys()[out.new_version or 0][1])
        raise AssertionError(out.kind)

    def open(self, table: str, row: int | None, version: int | None, sealed: bytes | None) -> bytes:
        if row is None or version is None or sealed is None:
            raise LookupError
        return self.vault.open_key(table, row, version, sealed)  # type: ignore[arg-type]

    def _c2_keys(self) -> dict[int, tuple[bytes, bytes]]:
        with self.store.read() as tx:
            stored = tx.keys.c2_keys()
        return {
            k.version: (self.vault.open_key("c2_keys", k.version, k.version, k.sealed), k.public)
            for k in stored
        }

    def _apply(self, out: Outgoing, message: bytes | None) -> None:
        device = self.devices.get(out.client_id)
        if message is None or device is None:
            return
        try:
            device.unprotect(message, device.receiving_topic)
        except e4.E4Error:
            self.refused.append((out.client, out.kind))
        else:
            self.applied.append((out.client, out.kind))

    # What C2 and the devices agree on.

    def topic_key(self, topic: str) -> bytes:
        """C2's newest key of a topic."""
        with self.store.read() as tx:
            found = tx.topics.get(topic)
            assert found is not None
            newest = tx.keys.topic_keys(found.row)[-1]
        return self.vault.open_key("topic_keys", found.row, newest.version, newest.sealed)

    def opens(self, device: e4.Client, topic: str) -> bool:
        """Whether a device has C2's newest key of a topic as its current one."""
        if not device.has_topic_key(topic):
            return False
        message = device.protect_message(b"payload", topic)
        if self.mode == "pubkey":
            return self._opens_signed(device, topic, message)
        try:
            plain = crypto.unprotect_sym_key(message, self.topic_key(topic), now=self.clock() // 1000)
        except e4.E4Error:
            return False
        return plain == b"payload"

    def _opens_signed(self, device: e4.Client, topic: str, message: bytes) -> bool:
        backend = get()
        context = backend.SignedTopicKey(
            backend.SymKey(self.topic_key(topic)),
            backend.PrivateKey(crypto.random_ed25519_private_key(), bytes(16)),
            {device.id: backend.PublicKey(device.public_key())},
        )
        try:
            return context.unprotect(message, self.clock() // 1000) == b"payload"
        except e4.E4Error:
            return False
