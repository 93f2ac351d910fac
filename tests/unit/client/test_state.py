"""The state file: section 5 of the protocol, in both directions, and every way in which it can be wrong."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import e4
from e4 import commands, crypto
from tests._c2 import C2, T0, Clock, Device, pub_device, sym_device

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "e4_vectors.json").read_text())
DEPLOYED = {"symkey": VECTORS["json_store_sym"], "pubkey": VECTORS["json_store_pub"]}
TOPIC = "plant/boiler"


def stored(text: str | bytes) -> e4.MemoryStore:
    store = e4.MemoryStore()
    store.write(text.encode() if isinstance(text, str) else text)
    return store


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("mode", ["symkey", "pubkey"])
def test_deployed_states_load_and_are_written_alike(mode: str, backend_name: str) -> None:
    text = DEPLOYED[mode]
    store = stored(text)
    client = e4.Client.load(store, clock=Clock(), backend=backend_name)
    assert client.id == crypto.hash_id_alias("client1")
    assert client.receiving_topic == crypto.topic_for_id(client.id)
    assert client.mode == mode
    assert store.read() == text.encode(), "loading writes nothing"
    if mode == "symkey":
        key = bytes.fromhex(
            next(v["sym_key"] for v in VECTORS["kdf"] if v["password"] == "superSecretDevicePassword")
        )
    else:
        known = VECTORS["x25519"][0]
        key = bytes.fromhex(known["shared_key_sha3"])
    message = crypto.protect_sym_key(commands.reset_topics().encode(), key, timestamp=T0)
    assert client.unprotect(message, client.receiving_topic) is None
    written = json.loads(store.read() or b"")
    replay = written.pop("Replay")
    assert written == json.loads(text)
    assert list(written) == list(json.loads(text)), "the same order of members"
    assert replay == {"Version": 1, "Timestamp": T0, "SIVs": [message[8:24].hex()]}


def test_previous_keys_have_the_deployed_form(backend_name: str) -> None:
    device = sym_device(backend=backend_name)
    old, new = crypto.random_key(), crypto.random_key()
    device.send(commands.set_topic_key(old, TOPIC))
    device.send(commands.set_topic_key(new, TOPIC))
    topic_hash = crypto.hash_topic(TOPIC)
    import hashlib

    previous = hashlib.sha3_256(topic_hash).digest()[:16].hex()
    assert json.loads(device.state())["TopicKeys"] == {
        topic_hash.hex(): b64(new),
        previous: b64(old + device.clock.now.to_bytes(8, "little")),
    }
    message = crypto.protect_sym_key(b"before", old, timestamp=device.clock.now)
    loaded = e4.Client.load(stored(device.state()), clock=device.clock, backend=backend_name)
    assert loaded.unprotect(message, TOPIC) == b"before"


@pytest.mark.parametrize("make", [sym_device, pub_device])
def test_everything_survives_a_round_trip(make: Callable[..., Device], backend_name: str) -> None:
    device = make(backend=backend_name)
    if device.client.mode == "pubkey":
        for name in ("bob", "carol"):
            public_key = crypto.ed25519_public_key(crypto.random_ed25519_private_key())
            device.send(commands.set_pub_key(public_key, name))
    for _ in range(2):
        device.send(commands.set_topic_key(crypto.random_key(), TOPIC))
    before = device.state()
    loaded = e4.Client.load(device.store, clock=device.clock, backend=backend_name)
    assert loaded._view.state.topic_keys == device.client._view.state.topic_keys
    device.client = loaded
    device.send(commands.remove_topic("unknown"))
    first, second = json.loads(before), json.loads(device.state())
    del first["Replay"], second["Replay"]
    assert first == second


def test_maps_that_go_never_filled(backend_name: str) -> None:
    document = json.loads(DEPLOYED["pubkey"])
    document["TopicKeys"] = None
    document["Key"]["keyData"]["PubKeys"] = None
    assert e4.Client.load(stored(json.dumps(document)), backend=backend_name).mode == "pubkey"


def test_a_previous_key_without_a_current_one_is_left_out(backend_name: str) -> None:
    document = json.loads(DEPLOYED["symkey"])
    document["TopicKeys"] = {"00" * 16: b64(bytes([1]) * 40)}
    client = e4.Client.load(stored(json.dumps(document)), backend=backend_name)
    assert client._view.state.topic_keys == {}


def edit(mode: str, path: str, value: Any) -> str:
    """A deployed state with one member replaced, or removed where the value is Ellipsis."""
    document = json.loads(DEPLOYED[mode])
    *parents, last = path.split(".")
    target = document
    for name in parents:
        target = target[name]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return json.dumps(document)


LOW_ORDER = b64(bytes([1]) + bytes(31))
BAD = [
    ("symkey", "ID", ..., "ID: missing"),
    ("symkey", "ID", 5, "ID: not base64"),
    ("symkey", "ID", "####", "ID: not base64"),
    ("symkey", "ID", "é", "ID: not base64"),
    ("symkey", "ID", b64(bytes(15)), "ID: not 16 bytes"),
    ("symkey", "TopicKeys", ..., "TopicKeys: missing"),
    ("symkey", "TopicKeys", [], "TopicKeys: not a JSON object"),
    ("symkey", "TopicKeys", {"AB" * 16: b64(bytes([1]) * 32)}, "TopicKeys: a name is not 32 lower-case hex"),
    ("symkey", "TopicKeys", {"ab" * 15: b64(bytes([1]) * 32)}, "TopicKeys: a name is not"),
    ("symkey", "TopicKeys", {"ab" * 16: b64(bytes([1]) * 33)}, r"TopicKeys\[abab.*neither 32 bytes nor"),
    ("symkey", "TopicKeys", {"ab" * 16: b64(bytes(32))}, r"TopicKeys\[abab.*all zero"),
    ("symkey", "Key", ..., "Key: missing"),
    ("symkey", "Key", "x", "Key: not a JSON object"),
    ("symkey", "Key.keyType", ..., "Key.keyType: missing"),
    ("symkey", "Key.keyType", 2, "Key.keyType: neither 0"),
    ("symkey", "Key.keyType", True, "Key.keyType: neither 0"),
    ("symkey", "Key.keyType", 1, "Key.keyData.PrivateKey: missing"),
    ("symkey", "Key.keyData", ..., "Key.keyData: missing"),
    ("symkey", "Key.keyData.Key", ..., "Key.keyData.Key: missing"),
    ("symkey", "Key.keyData.Key", b64(bytes(31)), "Key.keyData.Key: not 32 bytes"),
    ("symkey", "Key.keyData.Key", b64(bytes(32)), "Key.keyData.Key: .*all zero"),
    ("symkey", "ReceivingTopic", ..., "ReceivingTopic: missing"),
    ("symkey", "ReceivingTopic", 1, "ReceivingTopic: not a string"),
    ("symkey", "ReceivingTopic", "e4/#", "ReceivingTopic: topic must be"),
    ("symkey", "Replay", 1, "Replay: not a JSON object"),
    ("symkey", "Replay", {"Version": 2}, "Replay.Version: not 1"),
    ("symkey", "Replay", {"Version": 1, "Timestamp": -1, "SIVs": []}, "Replay.Timestamp"),
    ("symkey", "Replay", {"Version": 1, "Timestamp": 1.5, "SIVs": []}, "Replay.Timestamp"),
    ("symkey", "Replay", {"Version": 1, "Timestamp": 1}, "Replay.SIVs: missing"),
    ("symkey", "Replay", {"Version": 1, "Timestamp": 1, "SIVs": {}}, "Replay.SIVs: not a list"),
    ("symkey", "Replay", {"Version": 1, "Timestamp": 1, "SIVs": ["00"]}, "Replay.SIVs"),
    ("pubkey", "Key.keyType", 0, "Key.keyData.Key: missing"),
    ("pubkey", "Key.keyData.PrivateKey", b64(bytes([1]) * 64), "Key.keyData.PrivateKey"),
    ("pubkey", "Key.keyData.SignerID", b64(bytes(16)), "Key.keyData.SignerID: differs from ID"),
    ("pubkey", "Key.keyData.C2PubKey", b64(bytes(32)), "Key.keyData.C2PubKey"),
    ("pubkey", "Key.keyData.PubKeys", {"00" * 16: LOW_ORDER}, r"Key.keyData.PubKeys\[0000"),
    ("pubkey", "Key.keyData.PubKeys", {"zz": LOW_ORDER}, "Key.keyData.PubKeys"),
    ("pubkey", "Key.keyData.PubKeys", {"00" * 16: 1}, r"Key.keyData.PubKeys\[0000.*not base64"),
]


@pytest.mark.parametrize(("mode", "path", "value", "message"), BAD, ids=[f"{b[1]}={b[2]}"[:60] for b in BAD])
def test_a_bad_member_is_named(mode: str, path: str, value: Any, message: str, backend_name: str) -> None:
    text = edit(mode, path, value)
    store = stored(text)
    with pytest.raises(e4.errors.InvalidState, match=message):
        e4.Client.load(store, backend=backend_name)
    assert store.read() == text.encode(), "a bad state is never overwritten"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b"{",
        b'{"ID":"a","ID":"b"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"ID":' + b"9" * 5000 + b"}",
    ],
    ids=range(9),
)
def test_what_is_no_json_object(data: bytes, backend_name: str) -> None:
    store = stored(data)
    with pytest.raises(e4.errors.InvalidState):
        e4.Client.load(store, backend=backend_name)
    assert store.read() == data


def test_errors_show_no_key(backend_name: str) -> None:
    key = crypto.random_key()
    document = json.loads(DEPLOYED["symkey"])
    document["TopicKeys"] = {b64(key): b64(key + b"x")}
    with pytest.raises(e4.errors.InvalidState) as caught:
        e4.Client.load(stored(json.dumps(document)), backend=backend_name)
    assert b64(key)[:20] not in str(caught.value)


class TestCreate:
    """What `Client.create` refuses; a refusal leaves the store empty."""

    C2_KEY = C2().public_key
    PRIVATE = crypto.random_ed25519_private_key()

    @pytest.mark.parametrize(
        ("make", "error"),
        [
            (lambda: e4.SymIdAndKey(bytes(15), bytes([1]) * 32), e4.InvalidId),
            (lambda: e4.SymIdAndKey(bytes(16), bytes([1]) * 31), e4.InvalidKey),
            (lambda: e4.SymIdAndKey(bytes(16), bytes(32)), e4.InvalidKey),
            (lambda: e4.SymNameAndPassword("", "p" * 16), e4.InvalidName),
            (lambda: e4.SymNameAndPassword("n" * 256, "p" * 16), e4.InvalidName),
            (lambda: e4.SymNameAndPassword("é" * 128, "p" * 16), e4.InvalidName),
            (lambda: e4.SymNameAndPassword("\udc80", "p" * 16), e4.InvalidName),
            (lambda: e4.SymNameAndPassword("alice", "p" * 15), e4.InvalidPassword),
            (lambda: e4.PubNameAndPassword("alice", "p" * 15, bytes(32)), e4.InvalidPassword),
            (lambda: e4.PubNameAndPassword("alice", "p" * 16, bytes(31)), e4.InvalidKey),
            (lambda: e4.PubIdAndKey(bytes(16), bytes([1]) * 64, TestCreate.C2_KEY), e4.InvalidKey),
            (lambda: e4.PubIdAndKey(bytes(16), bytes([1]) * 63, TestCreate.C2_KEY), e4.InvalidKey),
            (lambda: e4.PubIdAndKey(bytes(17), TestCreate.PRIVATE, TestCreate.C2_KEY), e4.InvalidId),
            (lambda: e4.PubIdAndKey(bytes(16), TestCreate.PRIVATE, bytes(32)), e4.InvalidKey),
        ],
    )
    def test_bad_configurations(
        self, make: Callable[[], Any], error: type[e4.E4Error], backend_name: str
    ) -> None:
        store = e4.MemoryStore()
        with pytest.raises(error) as caught:
            e4.Client.create(make(), store, backend=backend_name)
        assert caught.type is error
        assert isinstance(caught.value, ValueError)
        assert store.read() is None

    def test_longest_and_shortest_names(self, backend_name: str) -> None:
        for name in ("n", "é" * 127, "n" * 255):
            assert e4.SymNameAndPassword(name, "p" * 16).client_id() == crypto.hash_id_alias(name)

    def test_receiving_topic_is_checked(self, backend_name: str) -> None:
        store = e4.MemoryStore()
        with pytest.raises(e4.InvalidTopic):
            e4.Client.create(e4.SymIdAndKey(bytes(16), bytes([1]) * 32), store, "", backend=backend_name)
        assert store.read() is None

    def test_a_store_in_use_is_left_alone(self, backend_name: str) -> None:
        store = stored(DEPLOYED["symkey"])
        with pytest.raises(e4.StoreError, match="open it with"):
            e4.Client.create(e4.SymIdAndKey(bytes(16), bytes([1]) * 32), store, backend=backend_name)
        assert store.read() == DEPLOYED["symkey"].encode()
        with pytest.raises(e4.StoreError, match="make one with"):
            e4.Client.load(e4.MemoryStore(), backend=backend_name)

    @pytest.mark.parametrize("vector", VECTORS["kdf"][:3], ids=lambda v: v["password"])
    def test_passwords(self, vector: dict[str, str]) -> None:
        """With the native backend; the reference derives the same keys in the vector tests."""
        clock = Clock()
        key = bytes.fromhex(vector["sym_key"])
        client = e4.Client.create(
            e4.SymNameAndPassword("alice", vector["password"]), e4.MemoryStore(), clock=clock
        )
        command = crypto.protect_sym_key(commands.reset_topics().encode(), key, timestamp=T0)
        assert client.id == crypto.hash_id_alias("alice")
        assert client.unprotect(command, client.receiving_topic) is None
        c2 = C2()
        config = e4.PubNameAndPassword("alice", vector["password"], c2.public_key)
        assert config.public_key() == bytes.fromhex(vector["ed25519_private"])[32:]
        client = e4.Client.create(config, e4.MemoryStore(), clock=clock)
        command = crypto.protect_sym_key(
            commands.reset_topics().encode(), c2.command_key(config.public_key()), timestamp=T0
        )
        assert client.unprotect(command, client.receiving_topic) is None
