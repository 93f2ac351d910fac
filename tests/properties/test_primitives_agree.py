"""The two backends agree on curves, AES-SIV, hash, key derivation and commands, whatever they are given."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from e4 import _wire
from e4.backend import get
from e4.errors import E4Error, InvalidKey
from tests.properties._agree import (
    LOW_ORDER_U,
    SMALL_ORDER,
    L,
    P,
    any_keys,
    any_points,
    encodings,
    few,
    mutated,
    payloads,
    points,
    same,
    seeds,
    unhurried,
)

# The two curves.


@unhurried
@given(seeds, payloads)
def test_ed25519_of_a_seed(seed: bytes, message: bytes) -> None:
    private = seed + same("ed25519_public_key", seed)
    signature = same("ed25519_sign", private, message)
    assert same("ed25519_verify", private[32:], message, signature) is None
    scalar = same("private_ed25519_key_to_curve25519", private)
    point = same("public_ed25519_key_to_curve25519", private[32:])
    assert same("curve25519_public_key", scalar) == point


@unhurried
@given(any_points)
def test_public_keys(public: bytes) -> None:
    mapped = same("public_ed25519_key_to_curve25519", public)
    assert (mapped is InvalidKey) == (same("PublicKey", public) is InvalidKey)


def test_encodings_at_the_edges() -> None:
    """Every encoding with y at 0 to 19 and from p - 20 up, and every one of small order."""
    for public in encodings([*range(20), *range(P - 20, 2**255), *SMALL_ORDER]):
        same("public_ed25519_key_to_curve25519", public)
        same("curve25519", bytes(32), public)
    for public in encodings(SMALL_ORDER):
        assert same("PublicKey", public) is InvalidKey
    for public in encodings(LOW_ORDER_U):
        assert same("check_curve25519_public_key", public) is InvalidKey
        assert same("curve25519", b"\xa5" * 32, public) is InvalidKey


def test_non_canonical_public_keys_are_taken_where_they_are_not_of_small_order() -> None:
    taken = [y for y in range(P, 2**255) if same("PublicKey", y.to_bytes(32, "little")) == "PublicKey"]
    assert taken
    for y in taken:
        high, low = (n.to_bytes(32, "little") for n in (y, y - P))
        assert same("public_ed25519_key_to_curve25519", high) == same("public_ed25519_key_to_curve25519", low)


@unhurried
@given(
    any_points, st.binary(max_size=40), st.one_of(st.binary(min_size=64, max_size=64), st.binary(max_size=70))
)
def test_verify_any_bytes(public: bytes, message: bytes, signature: bytes) -> None:
    assert isinstance(same("ed25519_verify", public, message, signature), type)


@unhurried
@given(seeds, st.binary(max_size=40), points, st.integers(0, 15), st.data())
def test_verify_mutated(seed: bytes, message: bytes, r: bytes, multiple: int, data: st.DataObject) -> None:
    native = get("native")
    public = native.ed25519_public_key(seed)
    signature = native.ed25519_sign(seed + public, message)
    s = int.from_bytes(signature[32:], "little") + multiple * L
    for changed in (
        data.draw(mutated(signature)),
        r + signature[32:],
        signature[:32] + (s % 2**256).to_bytes(32, "little"),
    ):
        result = same("ed25519_verify", public, message, changed)
        assert (result is None) == (changed == signature)


@unhurried
@given(any_keys, any_points)
def test_x25519(private: bytes, public: bytes) -> None:
    same("curve25519_public_key", private)
    shared = same("curve25519", private, public)
    checked = same("check_curve25519_public_key", public)
    assert len(private) != 32 or (shared is InvalidKey) == (checked is InvalidKey)


# AES-SIV, hash and key derivation.

siv_keys = st.one_of(
    st.sampled_from([32, 64]).flatmap(lambda n: st.binary(min_size=n, max_size=n)), st.binary(max_size=70)
)


@unhurried
@given(siv_keys, st.lists(st.binary(max_size=50), max_size=6), payloads, st.data())
def test_siv(key: bytes, strings: list[bytes], plaintext: bytes, data: st.DataObject) -> None:
    sealed = same("siv_seal", key, strings, plaintext)
    if isinstance(sealed, bytes):
        changed = data.draw(mutated(sealed))
        opened = same("siv_open", key, strings, changed)
        assert changed != sealed or opened == plaintext
        same("siv_open", key, [*strings, b""], sealed)


@pytest.mark.parametrize("count", [0, 1, 125, 126, 127, 200])
def test_siv_with_many_strings(count: int) -> None:
    for plaintext in (b"", b"x", bytes(16)):
        sealed = same("siv_seal", bytes(32), [b"a"] * count, plaintext)
        assert isinstance(sealed, bytes) == (count <= 126)
        opened = same("siv_open", bytes(32), [b"a"] * count, bytes(20))
        assert issubclass(opened, E4Error)


@unhurried
@given(siv_keys, st.lists(st.binary(max_size=20), max_size=3), st.binary(max_size=60))
def test_siv_open_any_bytes(key: bytes, strings: list[bytes], sealed: bytes) -> None:
    assert isinstance(same("siv_open", key, strings, sealed), type)


@unhurried
@given(payloads)
def test_sha3(data: bytes) -> None:
    assert len(same("sha3_256", data)) == 32


@few
@given(
    st.tuples(st.binary(max_size=40), st.binary(max_size=20), st.binary(max_size=10), st.binary(max_size=10)),
    st.integers(0, 3),
    st.integers(0, 90),
    st.integers(0, 5),
    st.integers(0, 140),
)
@example((b"password of 16 b", b"", b"", b""), 1, 700, 1, 32)  # segments longer than one block of addresses
@example((b"password of 16 b", b"", b"", b""), 1, 2100, 4, 32)
@example((b"", b"", b"", b""), 2, 64, 2, 4)
def test_argon2i(
    inputs: tuple[bytes, bytes, bytes, bytes], time_cost: int, memory_kib: int, lanes: int, length: int
) -> None:
    password, salt, secret, associated_data = inputs
    same(
        "argon2i",
        password,
        salt,
        time_cost=time_cost,
        memory_kib=memory_kib,
        lanes=lanes,
        length=length,
        secret=secret,
        associated_data=associated_data,
    )


@pytest.mark.parametrize("name", ["time_cost", "memory_kib", "lanes", "length"])
@pytest.mark.parametrize("value", [-1, 0, 2**24, 2**32, 2**64, 2**70, None, True, 8.0, "8"])
def test_argon2i_with_parameters_out_of_range(name: str, value: Any) -> None:
    parameters = {"time_cost": 1, "memory_kib": 64, "lanes": 1, "length": 32} | {name: value}
    assume_refused = not (value == 2**24 and name in ("time_cost", "memory_kib", "length"))
    if assume_refused:  # 2**24 passes, or KiB, or bytes of output are in range, and too much for a test
        assert isinstance(same("argon2i", b"p", b"", **parameters), type)


# Commands.

field_lengths = st.sampled_from([0, 1, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65])
fields = field_lengths.flatmap(lambda n: st.binary(min_size=n, max_size=n))


@unhurried
@given(
    st.one_of(
        st.binary(max_size=80), st.tuples(st.integers(0, 9), fields).map(lambda t: bytes([t[0]]) + t[1])
    )
)
def test_parse_any_command(data: bytes) -> None:
    parsed = same("parse_command", data)
    if isinstance(parsed, tuple):
        assert same("encode_command", *parsed) == data


@unhurried
@given(st.one_of(st.integers(0, 9), st.integers(), st.sampled_from([256, True, 1.0, None])), fields, fields)
def test_encode_any_command(opcode: Any, first: bytes, second: bytes) -> None:
    encoded = same("encode_command", opcode, first, second)
    if isinstance(encoded, bytes):
        assert same("parse_command", encoded) == (opcode, first, second)


def test_encode_every_opcode_and_pair_of_lengths() -> None:
    taken = {
        (opcode, first, second)
        for opcode in range(10)
        for first in (0, 15, 16, 17, 31, 32, 33, 63, 64, 65)
        for second in (0, 15, 16, 17, 32)
        if isinstance(same("encode_command", opcode, bytes(first), bytes(second)), bytes)
    }
    assert taken == {
        (opcode, *(*shape, 0, 0)[:2]) for opcode, shapes in _wire.COMMAND_FIELDS.items() for shape in shapes
    }
