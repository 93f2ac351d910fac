"""Whatever bytes arrive, from the broker or from the disk: a result or an `E4Error`, never anything else."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import e4
from e4 import commands, crypto
from e4.backend import Backend
from tests._c2 import DEVICES, T0, Device, pub_device

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "e4_vectors.json").read_text())
STATES = [VECTORS["json_store_sym"], VECTORS["json_store_pub"]]
TOPIC = "plant/boiler"

many = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# Messages that get past the checks of length and time, so that the cryptography sees them.
in_time = st.builds(lambda ts, rest: ts.to_bytes(8, "little") + rest, st.integers(T0, T0 + 60), st.binary())


@pytest.fixture(scope="module", params=["symkey", "pubkey"])
def device(request: pytest.FixtureRequest, backend_name: str) -> Device:
    """A client that holds a topic's key and, in PK mode, its own public key under its own id."""
    made = DEVICES[request.param](backend=backend_name)
    if request.param == "pubkey":
        private_key = crypto.random_ed25519_private_key()
        made = pub_device(backend=backend_name, private_key=private_key)
        made.send(commands.set_pub_key(crypto.ed25519_public_key(private_key), "alice"))
    made.send(commands.set_topic_key(crypto.random_key(), TOPIC))
    made.clock.now = T0
    return made


@many
@given(message=st.binary(max_size=300) | in_time)
def test_messages(device: Device, message: bytes) -> None:
    before = device.state()
    for topic in (TOPIC, device.client.receiving_topic, "another"):
        with pytest.raises(e4.E4Error):
            device.client.unprotect(message, topic)
    [refused] = device.client.unprotect_messages([message], TOPIC)
    assert isinstance(refused, e4.E4Error)
    assert device.state() == before


@many
@given(data=st.binary(max_size=80))
def test_commands_are_read_back_or_refused(backend_name: str, data: bytes) -> None:
    try:
        command = commands.parse(data, backend=backend_name)
    except e4.InvalidCommand:
        return
    assert command.encode(backend=backend_name) == data


@many
# Without those that change the key under which the next example is protected.
@given(
    opcode=st.sampled_from([0, 1, 3, 4, 5, 6, 8]), length=st.sampled_from([0, 16, 32, 48, 64]), data=st.data()
)
def test_well_formed_commands_are_applied_or_refused(
    device: Device, opcode: int, length: int, data: st.DataObject
) -> None:
    """Commands with the right key but any content: applied whole, or refused without a trace."""
    payload = bytes([opcode]) + data.draw(st.binary(min_size=length, max_size=length))
    device.clock.now += 1
    before = device.state()
    try:
        assert device.client.unprotect(device.command(payload), device.client.receiving_topic) is None
    except e4.E4Error:
        assert device.state() == before
    else:
        e4.Client.load(device.store, clock=device.clock, backend=device.client._backend)


def load(data: bytes, backend_name: str) -> None:
    """It loads, or it is an `E4Error` and the store is untouched."""
    store = e4.MemoryStore()
    store.write(data)
    try:
        e4.Client.load(store, backend=backend_name)
    except e4.StoreError:
        assert store.read() == data


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=40), inner, max_size=3),
    max_leaves=8,
)


@many
@given(data=st.binary(max_size=300))
@example(b"\xef\xbb\xbf{}")
@example(b'{"ID": NaN}')
@example(b'{"\\ud800": 1}')
def test_states_of_any_bytes(backend_name: str, data: bytes) -> None:
    load(data, backend_name)


@many
@given(value=json_values)
def test_states_of_any_json(backend_name: str, value: Any) -> None:
    load(json.dumps(value).encode("utf-8", "surrogatepass"), backend_name)


@many
@given(text=st.sampled_from(STATES), data=st.data())
def test_states_with_one_byte_changed(backend_name: str, text: str, data: st.DataObject) -> None:
    state = bytearray(text.encode())
    state[data.draw(st.integers(0, len(state) - 1))] = data.draw(st.integers(0, 255))
    load(bytes(state), backend_name)


@many
@given(text=st.sampled_from(STATES), data=st.data())
def test_states_with_one_member_changed(backend_name: str, text: str, data: st.DataObject) -> None:
    document = json.loads(text)
    document["Replay"] = {"Version": 1, "Timestamp": T0, "SIVs": ["00" * 16]}
    target = document
    while True:
        name = data.draw(st.sampled_from(sorted(target)))
        if not isinstance(target[name], dict) or not target[name] or data.draw(st.booleans()):
            break
        target = target[name]
    target[name] = data.draw(json_values)
    load(json.dumps(document).encode("utf-8", "surrogatepass"), backend_name)


@many
@given(data=st.binary(max_size=200))
def test_backends_take_any_bytes(backend: Backend, data: bytes) -> None:
    """The functions below the client: any other exception fails the test."""
    calls = (
        lambda: backend.SymKey(data),
        lambda: backend.PublicKey(data),
        lambda: backend.PrivateKey(data, bytes(16)),
        lambda: backend.siv_open(bytes(64), [], data),
        lambda: backend.siv_open(data, [], bytes(32)),
        lambda: backend.ed25519_verify(bytes([1] * 32), data, data),
        lambda: backend.curve25519(data, data),
        lambda: backend.public_ed25519_key_to_curve25519(data),
        lambda: backend.parse_command(data),
    )
    for call in calls:
        with contextlib.suppress(e4.E4Error):
            call()
