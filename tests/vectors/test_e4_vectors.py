"""Every value of ``e4_vectors.json``, made by a deployed implementation, on both backends.

The JSON forms of a client's state, the two members that are not crypto, are tested in ``tests/unit/client``.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest

from e4 import _wire
from e4.backend import Backend, BackendName, SignedTopicKey, get
from e4.errors import (
    InvalidSignature,
    MalformedMessage,
    MessageError,
    NotAuthentic,
    PublicKeyMissing,
    TimestampInFuture,
    TimestampTooOld,
)

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "e4_vectors.json").read_text())
TS: int = VECTORS["timestamp"]
OTHER_ID = bytes(range(16))

# Argon2i takes seconds in Python: three of the eleven passwords, one not ASCII, run on `reference`.
REFERENCE_PASSWORDS = (0, 9, 10)


def h(text: str) -> bytes:
    return bytes.fromhex(text)


def each(member: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "vector", [pytest.param(v, id=str(i)) for i, v in enumerate(VECTORS[member])]
    )


def signed_topic_key(backend: Backend, vector: dict[str, str], *, known: bool = True) -> SignedTopicKey:
    """The context of a PK vector's topic; the signer verifies its own messages where it is known."""
    public = backend.ed25519_public_key(h(vector["seed"]))
    id = h(vector["id"])
    return backend.SignedTopicKey(
        backend.SymKey(h(vector["topic_key"])),
        backend.PrivateKey(h(vector["seed"]) + public, id),
        {id if known else OTHER_ID: backend.PublicKey(public)},
    )


def flipped(message: bytes, byte: int, bit: int = 0) -> bytes:
    return message[:byte] + bytes([message[byte] ^ 1 << bit]) + message[byte + 1 :]


def test_the_timestamp_and_payloads_are_those_of_the_readme() -> None:
    assert TS == 1_588_888_888
    payloads = [h(v["pt"]) for v in VECTORS["sym_protected"] + VECTORS["pub_protected"] + VECTORS["aes_siv"]]
    assert payloads
    for payload in payloads:
        assert payload == bytes((7 * i + 3) % 256 for i in range(len(payload)))


@each("hashes")
def test_ids_and_topic_hashes(backend: Backend, vector: dict[str, str]) -> None:
    digest = backend.sha3_256(h(vector["in"]))
    assert digest[: _wire.TOPIC_HASH_LEN].hex() == vector["topic_hash"]
    assert digest[: _wire.ID_LEN].hex() == vector["client_id"]
    assert _wire.CONTROL_TOPIC_PREFIX + digest[: _wire.ID_LEN].hex() == vector["control_topic"]


@each("aes_siv")
def test_aes_siv(backend: Backend, vector: dict[str, str]) -> None:
    key, ad, plaintext, sealed = h(vector["key"]), h(vector["ad"]), h(vector["pt"]), h(vector["ct"])
    assert backend.siv_seal(key + key, [ad], plaintext) == sealed
    assert backend.siv_open(key + key, [ad], sealed) == plaintext


@each("ed25519")
def test_ed25519(backend: Backend, vector: dict[str, str]) -> None:
    seed, public, message = h(vector["seed"]), h(vector["pub"]), h(vector["msg"])
    assert backend.ed25519_public_key(seed) == public
    assert backend.ed25519_public_key(seed + public) == public
    assert backend.ed25519_sign(seed + public, message).hex() == vector["sig"]
    backend.ed25519_verify(public, message, h(vector["sig"]))
    with pytest.raises(InvalidSignature):
        backend.ed25519_verify(public, message + b"\0", h(vector["sig"]))


@each("x25519")
def test_x25519_and_the_shared_key_of_commands(backend: Backend, vector: dict[str, str]) -> None:
    private, ed_public = h(vector["ed_seed"]) + h(vector["ed_pub"]), h(vector["ed_pub"])
    x_private = backend.private_ed25519_key_to_curve25519(private)
    x_public = backend.public_ed25519_key_to_curve25519(ed_public)
    assert x_private.hex() == vector["x_priv"]
    assert x_public.hex() == vector["x_pub_converted"]
    assert backend.curve25519_public_key(x_private) == x_public
    assert backend.curve25519_public_key(h(vector["c2_priv"])).hex() == vector["c2_pub"]

    shared = backend.curve25519(x_private, h(vector["c2_pub"]))
    assert shared.hex() == vector["shared_point"]
    assert backend.curve25519(h(vector["c2_priv"]), x_public).hex() == vector["shared_point_c2side"]
    assert backend.sha3_256(shared).hex() == vector["shared_key_sha3"]
    backend.check_curve25519_public_key(h(vector["c2_pub"]))


@cache
def derived(backend_name: str, password: str) -> bytes:
    return get(backend_name).argon2i(
        password.encode(),
        b"",
        time_cost=_wire.KDF_TIME_COST,
        memory_kib=_wire.KDF_MEMORY_KIB,
        lanes=_wire.KDF_LANES,
        length=_wire.KEY_LEN,
    )


@pytest.mark.parametrize(
    ("name", "index"),
    [
        (name, index)
        for name in get_args(BackendName)
        for index in range(len(VECTORS["kdf"]))
        if name == "native" or index in REFERENCE_PASSWORDS
    ],
)
def test_keys_from_passwords(name: str, index: int) -> None:
    """All eleven passwords on ``native``; three of them on ``reference``, where each takes seconds.

    What the other eight would reach in ``reference`` is reached by the small parameters of
    ``tests/properties/test_backends_agree.py``.
    """
    vector = VECTORS["kdf"][index]
    key = derived(name, vector["password"])
    assert key.hex() == vector["sym_key"]
    assert (key + get(name).ed25519_public_key(key)).hex() == vector["ed25519_private"]


@each("commands")
def test_commands(backend: Backend, vector: dict[str, str]) -> None:
    data = h(vector["bytes"])
    opcode, first, second = backend.parse_command(data)
    assert opcode == data[0]
    assert first + second == data[1:]
    lengths = tuple(len(field) for field in (first, second) if field)
    assert lengths in _wire.COMMAND_FIELDS[opcode]
    assert backend.encode_command(opcode, first, second) == data


def test_commands_cover_every_opcode() -> None:
    assert {h(v["bytes"])[0] for v in VECTORS["commands"]} == set(_wire.COMMAND_FIELDS)


@each("sym_protected")
def test_sk_messages(backend: Backend, vector: dict[str, str]) -> None:
    context = backend.SymKey(h(vector["topic_key"]))
    payload, message = h(vector["pt"]), h(vector["protected"])
    assert context.protect(payload, TS) == message
    assert context.protect_many([payload, payload], TS) == [message, message]
    assert context.unprotect(message, TS) == payload
    assert context.unprotect_many([message], TS) == [payload]


@each("sym_protected")
def test_sk_messages_with_one_bit_flipped_are_refused(backend: Backend, vector: dict[str, str]) -> None:
    context = backend.SymKey(h(vector["topic_key"]))
    message = h(vector["protected"])
    for byte in {0, *range(_wire.SYM_SIV, len(message), 1 + len(message) // 40), len(message) - 1}:
        with pytest.raises(NotAuthentic):
            context.unprotect(flipped(message, byte, byte % 8), TS)
    with pytest.raises(NotAuthentic):
        context.unprotect(message + b"\0", TS)
    with pytest.raises(NotAuthentic if len(message) > _wire.SYM_OVERHEAD else MalformedMessage):
        context.unprotect(message[:-1], TS)
    with pytest.raises(NotAuthentic):
        backend.SymKey(bytes(31) + b"\1").unprotect(message, TS)


@each("pub_protected")
def test_pk_messages(backend: Backend, vector: dict[str, str]) -> None:
    context = signed_topic_key(backend, vector)
    payload, message = h(vector["pt"]), h(vector["protected"])
    assert context.protect(payload, TS) == message
    assert context.protect_many([payload, payload], TS) == [message, message]
    assert context.unprotect(message, TS) == payload
    assert context.unprotect_many([message], TS) == [payload]


@each("pub_protected")
def test_pk_messages_with_one_bit_flipped_are_refused(backend: Backend, vector: dict[str, str]) -> None:
    context = signed_topic_key(backend, vector)
    message = h(vector["protected"])
    for byte in range(_wire.PUB_ID, _wire.PUB_SIV):
        with pytest.raises(PublicKeyMissing):
            context.unprotect(flipped(message, byte, byte % 8), TS)
    for byte in {0, *range(_wire.PUB_SIV, len(message), 1 + len(message) // 40), len(message) - 1}:
        with pytest.raises(InvalidSignature):
            context.unprotect(flipped(message, byte, byte % 8), TS)
    with pytest.raises(InvalidSignature):
        context.unprotect(message + b"\0", TS)
    with pytest.raises(InvalidSignature if len(message) > _wire.PUB_OVERHEAD else MalformedMessage):
        context.unprotect(message[:-1], TS)


@each("pub_protected")
def test_pk_messages_under_another_topic_key_are_not_authentic(
    backend: Backend, vector: dict[str, str]
) -> None:
    other = signed_topic_key(backend, vector | {"topic_key": "01" * _wire.KEY_LEN})
    with pytest.raises(NotAuthentic):
        other.unprotect(h(vector["protected"]), TS)


@each("pub_protected")
def test_pk_messages_of_an_unknown_signer_are_refused(backend: Backend, vector: dict[str, str]) -> None:
    with pytest.raises(PublicKeyMissing):
        signed_topic_key(backend, vector, known=False).unprotect(h(vector["protected"]), TS)


@pytest.mark.parametrize(
    ("now", "error"),
    [
        (TS - _wire.MAX_AHEAD - 1, TimestampInFuture),
        (TS - _wire.MAX_AHEAD, None),
        (TS + _wire.MAX_AGE, None),
        (TS + _wire.MAX_AGE + 1, TimestampTooOld),
        (0, TimestampInFuture),
        (2**64 - 1, TimestampTooOld),
    ],
)
@pytest.mark.parametrize("mode", ["sym", "pub"])
def test_messages_at_the_limits_of_time(
    backend: Backend, mode: str, now: int, error: type[MessageError] | None
) -> None:
    vector = VECTORS[f"{mode}_protected"][-1]
    context = backend.SymKey(h(vector["topic_key"])) if mode == "sym" else signed_topic_key(backend, vector)
    message = h(vector["protected"])
    if error is None:
        assert context.unprotect(message, now) == h(vector["pt"])
    else:
        with pytest.raises(error):
            context.unprotect(message, now)
        (result,) = context.unprotect_many([message], now)
        assert type(result) is error
