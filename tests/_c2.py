"""A key server in a few lines for the tests: protects commands for one client, and a clock they share."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field

import e4
from e4 import commands, crypto
from e4.commands import Command

TOPIC = "plant/boiler/temperature"
T0 = 1_588_888_888  # the timestamp of the vectors


class Clock:
    """A clock that the test moves; seconds since the epoch."""

    def __init__(self, now: int = T0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now + 0.75  # a real clock has fractions


@dataclass
class Device:
    """A client and what C2 knows of it."""

    client: e4.Client
    clock: Clock
    store: e4.Store
    key: bytes  # what C2 protects commands with

    def command(self, command: Command | bytes, timestamp: int | None = None) -> bytes:
        """The protected command."""
        data = command if isinstance(command, bytes) else command.encode()
        return crypto.protect_sym_key(data, self.key, timestamp=timestamp or self.clock.now)

    def send(self, command: Command | bytes) -> None:
        """Protect a command, with a fresh second, and have the client apply it."""
        self.clock.now += 1
        assert self.client.unprotect(self.command(command), self.client.receiving_topic) is None

    def state(self) -> bytes:
        """The saved state."""
        data = self.store.read()
        assert data is not None
        return data


@dataclass
class C2:
    """C2's X25519 key pair."""

    private_key: bytes = field(default_factory=crypto.random_curve25519_private_key)

    @property
    def public_key(self) -> bytes:
        return crypto.curve25519_public_key(self.private_key)

    def command_key(self, client_public_key: bytes) -> bytes:
        """The key of PK-mode commands for a client."""
        return crypto.c2_shared_key(
            self.private_key, crypto.public_ed25519_key_to_curve25519(client_public_key)
        )


def sym_device(
    name: str = "alice",
    *,
    backend: str | None = None,
    clock: Clock | None = None,
    store: e4.Store | None = None,
    limits: e4.Limits | None = None,
) -> Device:
    """A client in SK mode."""
    clock, store, key = clock or Clock(), store or e4.MemoryStore(), crypto.random_key()
    config = e4.SymIdAndKey(crypto.hash_id_alias(name), key)
    client = e4.Client.create(config, store, clock=clock, backend=backend, limits=limits)
    return Device(client, clock, store, key)


def pub_device(
    name: str = "alice",
    *,
    backend: str | None = None,
    clock: Clock | None = None,
    store: e4.Store | None = None,
    limits: e4.Limits | None = None,
    c2: C2 | None = None,
    private_key: bytes | None = None,
) -> Device:
    """A client in PK mode."""
    clock, store, c2 = clock or Clock(), store or e4.MemoryStore(), c2 or C2()
    private_key = private_key or crypto.random_ed25519_private_key()
    config = e4.PubIdAndKey(crypto.hash_id_alias(name), private_key, c2.public_key)
    client = e4.Client.create(config, store, clock=clock, backend=backend, limits=limits)
    return Device(client, clock, store, c2.command_key(config.public_key()))


DEVICES = {"symkey": sym_device, "pubkey": pub_device}


def pair(mode: str, backend_name: str, **options: object) -> tuple[Device, Device, bytes]:
    """Two devices that hold one topic's key and, in PK mode, each other's public key."""
    clock = Clock()
    key = crypto.random_key()
    if mode == "symkey":
        alice, bob = (sym_device(n, backend=backend_name, clock=clock, **options) for n in ("alice", "bob"))
    else:
        c2 = C2()
        keys = {n: crypto.random_ed25519_private_key() for n in ("alice", "bob")}
        alice, bob = (
            pub_device(n, backend=backend_name, clock=clock, c2=c2, private_key=keys[n], **options)
            for n in keys
        )
        alice.send(commands.set_pub_key(crypto.ed25519_public_key(keys["bob"]), "bob"))
        bob.send(commands.set_pub_key(crypto.ed25519_public_key(keys["alice"]), "alice"))
    for device in (alice, bob):
        device.send(commands.set_topic_key(key, TOPIC))
    return alice, bob, key


def topic_keys(device: Device) -> object:
    return json.loads(device.state())["TopicKeys"]


def previous_key_in(device: Device, key: bytes) -> bool:
    values = json.loads(device.state())["TopicKeys"].values()
    return any(base64.b64decode(v)[:32] == key for v in values)


def failing_write(state: bytes) -> None:
    raise e4.StoreError("no space left")
