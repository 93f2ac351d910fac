"""A client driven by random commands, messages and clocks against a small model of sections 3 and 4.

The model knows keys and times, no cryptography: it decides from the protocol's text what must come
out, and the client must agree, also after it is loaded anew from its store.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import e4
from e4 import commands, crypto
from e4.backend import get as get_backend
from tests._c2 import C2, T0, Clock, Device, pub_device, sym_device

TOPICS = ["a", "plant/boiler", "é"]
NAMES = ["bob", "carol"]
KEYS = [bytes([i]) * 32 for i in (1, 2, 3)]
ID_KEYS = [bytes([i]) * 32 for i in (7, 8)]
SEEDS = [bytes([i]) * 32 for i in (11, 12)]

topics = st.sampled_from(TOPICS)
names = st.sampled_from(NAMES)
keys = st.sampled_from(KEYS)
seeds = st.sampled_from(SEEDS)


@dataclass
class Model:
    """What a client should be."""

    topics: dict[str, bytes] = field(default_factory=dict)
    previous: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    public_keys: dict[str, bytes] = field(default_factory=dict)
    applied: tuple[int, set[bytes]] = (0, set())

    def opens(self, topic: str, key: bytes, now: int) -> bool:
        if self.topics[topic] == key:
            return True
        old = self.previous.get(topic)
        return old is not None and old[0] == key and now - old[1] <= 3600


class ClientMachine(RuleBasedStateMachine):
    backend = "native"
    pubkey = False

    @initialize()
    def begin(self) -> None:
        self.clock = Clock()
        self.c2 = C2(bytes([9]) * 32)
        self.own = crypto.ed25519_private_key_from_seed(bytes([5]) * 32)
        self.store = e4.MemoryStore()
        self.device: Device
        if self.pubkey:
            self.device = pub_device(
                backend=self.backend, clock=self.clock, store=self.store, c2=self.c2, private_key=self.own
            )
        else:
            self.device = sym_device(backend=self.backend, clock=self.clock, store=self.store)
        self.model = Model()
        self.sent: list[bytes] = []

    def give(self, command: commands.Command | bytes) -> str:
        """Send a command and say what came of it: '', or the name of the error."""
        message = self.device.command(command)
        self.sent.append(message)
        return self.outcome(message)

    def outcome(self, message: bytes) -> str:
        self.device.client.has_topic_key("a")  # time alone removes expired keys: no trace of a refusal
        before = self.device.state()
        try:
            assert self.device.client.unprotect(message, self.device.client.receiving_topic) is None
        except e4.E4Error as error:
            assert self.device.state() == before
            return type(error).__name__
        return ""

    def fresh(self, message: bytes) -> bool:
        """Whether the model would apply it; if so, remembers it."""
        timestamp, siv = int.from_bytes(message[:8], "little"), message[8:24]
        last, sivs = self.model.applied
        if timestamp < last or (timestamp == last and siv in sivs):
            return False
        self.model.applied = (timestamp, (sivs if timestamp == last else set()) | {siv})
        return True

    def apply(self, command: commands.Command, error: str = "") -> bool:
        """Give a command that should work (or fail by `error`); True where it took effect."""
        message = self.device.command(command)
        last, sivs = self.model.applied
        timestamp = self.clock.now
        replay = timestamp < last or (timestamp == last and message[8:24] in sivs)
        result = self.give(command)
        if replay:
            assert result == "ReplayedCommand"
            return False
        assert result == error
        if not error:
            assert self.fresh(message)
        return not error

    @rule(topic=topics, key=keys)
    def set_topic_key(self, topic: str, key: bytes) -> None:
        if self.apply(commands.set_topic_key(key, topic)):
            old = self.model.topics.get(topic)
            if old is not None and old != key:
                self.model.previous[topic] = (old, self.clock.now)
            self.model.topics[topic] = key

    @rule(topic=topics)
    def remove_topic(self, topic: str) -> None:
        if self.apply(commands.remove_topic(topic)):
            self.model.topics.pop(topic, None)
            self.model.previous.pop(topic, None)

    @rule()
    def reset_topics(self) -> None:
        if self.apply(commands.reset_topics()):
            self.model.topics.clear()
            self.model.previous.clear()

    @rule(name=names, seed=seeds)
    def set_pub_key(self, name: str, seed: bytes) -> None:
        command = commands.set_pub_key(crypto.ed25519_public_key(seed), name)
        if self.apply(command, "" if self.pubkey else "UnsupportedOperation"):
            self.model.public_keys[name] = seed

    @rule(name=names)
    def remove_pub_key(self, name: str) -> None:
        error = "UnsupportedOperation"
        if self.pubkey:
            error = "" if name in self.model.public_keys else "PublicKeyMissing"
        if self.apply(commands.remove_pub_key(name), error):
            del self.model.public_keys[name]

    @rule()
    def reset_pub_keys(self) -> None:
        if self.apply(commands.reset_pub_keys(), "" if self.pubkey else "UnsupportedOperation"):
            self.model.public_keys.clear()

    @rule(i=st.integers(0, 1))
    def set_id_key(self, i: int) -> None:
        key = crypto.ed25519_private_key_from_seed(ID_KEYS[i]) if self.pubkey else ID_KEYS[i]
        if self.apply(commands.set_id_key(key)):
            self.own = key
            self.device.key = self.c2.command_key(crypto.ed25519_public_key(key)) if self.pubkey else key

    @rule(i=st.integers(0, 1))
    def set_c2_key(self, i: int) -> None:
        c2 = C2(ID_KEYS[i])
        if self.apply(commands.set_c2_key(c2.public_key), "" if self.pubkey else "UnsupportedOperation"):
            self.c2 = c2
            self.device.key = c2.command_key(crypto.ed25519_public_key(self.own))

    @rule(data=st.binary(max_size=80))
    def any_bytes_as_command(self, data: bytes) -> None:
        try:
            commands.parse(data)
        except e4.InvalidCommand:
            self.clock.now += 1
            assert self.give(data) == "InvalidCommand"

    @rule(data=st.binary(max_size=80))
    def any_bytes_on_the_control_topic(self, data: bytes) -> None:
        result = self.outcome(data)
        assert result in {"MalformedMessage", "TimestampInFuture", "TimestampTooOld", "NotAuthentic"}

    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        if self.sent:
            message = data.draw(st.sampled_from(self.sent))
            last, sivs = self.model.applied
            timestamp = int.from_bytes(message[:8], "little")
            # Commands that were refused may be tried again; those that were applied may not.
            if timestamp < last or (timestamp == last and message[8:24] in sivs):
                assert self.outcome(message) in {"ReplayedCommand", "TimestampTooOld", "NotAuthentic"}

    @rule(seconds=st.sampled_from([1, 1, 2, 59, 600, 3599, 3600, 3601]))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds

    @rule()
    def load(self) -> None:
        self.device.client = e4.Client.load(self.store, clock=self.clock, backend=self.backend)

    @rule(topic=topics, payload=st.binary(max_size=40))
    def protect(self, topic: str, payload: bytes) -> None:
        if topic not in self.model.topics:
            with pytest.raises(e4.TopicKeyMissing):
                self.device.client.protect_message(payload, topic)
            return
        message = self.device.client.protect_message(payload, topic)
        assert int.from_bytes(message[:8], "little") == self.clock.now
        if not self.pubkey:
            key = self.model.topics[topic]
            assert message == crypto.protect_sym_key(payload, key, timestamp=self.clock.now)

    @rule(
        topic=topics,
        payload=st.binary(max_size=40),
        key=keys,
        name=names,
        seed=seeds,
        age=st.sampled_from([0, 1, 600, 601, -60, -61]),
        flip=st.none() | st.integers(0, 1000),
    )
    def unprotect(
        self, topic: str, payload: bytes, key: bytes, name: str, seed: bytes, age: int, flip: int | None
    ) -> None:
        message = bytearray(self.message_of(payload, key, name, seed, self.clock.now - age))
        start = 24 if self.pubkey else 8  # beyond what is checked before the cryptography
        if flip is not None:
            message[start + flip % (len(message) - start)] ^= 1 + flip % 255
        expected = self.expected(topic, key, name, seed, age, flip is not None)
        single: bytes | str | None
        try:
            single = self.device.client.unprotect(message, topic)
        except e4.E4Error as error:
            single = type(error).__name__
        assert single == (payload if expected == "" else expected)
        if topic in self.model.topics:
            [many] = self.device.client.unprotect_messages([message], topic)
            assert (type(many).__name__ if isinstance(many, e4.E4Error) else many) == single

    def message_of(self, payload: bytes, key: bytes, name: str, seed: bytes, timestamp: int) -> bytes:
        """A message from elsewhere, made by the other backend."""
        other = get_backend("reference" if self.backend == "native" else "native")
        if not self.pubkey:
            return other.SymKey(key).protect(payload, timestamp)
        signer = other.PrivateKey(crypto.ed25519_private_key_from_seed(seed), crypto.hash_id_alias(name))
        return other.SignedTopicKey(other.SymKey(key), signer, {}).protect(payload, timestamp)

    def expected(self, topic: str, key: bytes, name: str, seed: bytes, age: int, flipped: bool) -> str:
        if topic not in self.model.topics:
            return "TopicKeyMissing"
        if age < -60:
            return "TimestampInFuture"
        if age > 600:
            return "TimestampTooOld"
        if self.pubkey:
            if name not in self.model.public_keys:
                return "PublicKeyMissing"
            if flipped or self.model.public_keys[name] != seed:
                return "InvalidSignature"
        if flipped or not self.model.opens(topic, key, self.clock.now):
            return "NotAuthentic"
        return ""

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        if hasattr(self, "model"):
            client = self.device.client
            assert {t for t in TOPICS if client.has_topic_key(t)} == set(self.model.topics)
            assert self.clock.now >= T0


def machine(backend_name: str, uses_pubkey: bool) -> type[ClientMachine]:
    class Machine(ClientMachine):
        backend = backend_name
        pubkey = uses_pubkey

    Machine.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
    return Machine


TestSymNative = machine("native", False).TestCase
TestPubNative = machine("native", True).TestCase
TestSymReference = machine("reference", False).TestCase
TestPubReference = machine("reference", True).TestCase
