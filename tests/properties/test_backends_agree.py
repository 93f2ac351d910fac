"""The two backends give the same messages, or refuse with the same exception, whatever they are given.

`test_primitives_agree` is the same for what messages are made of.
"""

from __future__ import annotations

from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e4.backend import get
from tests.properties._agree import (
    T0,
    agree,
    any_keys,
    any_points,
    any_times,
    context,
    ids,
    keys,
    limits,
    mutated,
    payloads,
    same,
    seeds,
    times,
    unhurried,
)

# Symmetric keys.


@unhurried
@given(any_keys, payloads, any_times)
def test_protect(key: bytes, payload: bytes, timestamp: Any) -> None:
    agree(lambda b: b.SymKey(key).protect(payload, timestamp))


@unhurried
@given(keys, payloads, times, st.data())
def test_unprotect_what_was_protected_or_mutated(
    key: bytes, payload: bytes, timestamp: int, data: st.DataObject
) -> None:
    message = get("native").SymKey(key).protect(payload, timestamp)
    changed = data.draw(mutated(message))
    delta = data.draw(st.sampled_from([0, 0, 0, -61, -60, 600, 601]))
    now = min(max(0, timestamp + delta), 2**64 - 1)
    result = agree(lambda b: b.SymKey(key).unprotect(changed, now))
    assert result == payload or changed != message or delta in (-61, 601)


@unhurried
@given(any_keys, st.binary(max_size=120), any_times)
def test_unprotect_any_bytes(key: bytes, message: bytes, now: Any) -> None:
    result = agree(lambda b: b.SymKey(key).unprotect(message, now))
    assert isinstance(result, type)


@unhurried
@given(
    st.tuples(keys, any_keys, keys),
    st.booleans(),
    payloads,
    st.tuples(times, times, times),
    st.tuples(limits, limits, limits),
    st.data(),
)
def test_previous_keys_and_limits(
    three: tuple[bytes, bytes, bytes],
    under_previous: bool,
    payload: bytes,
    at: tuple[int, int, int],
    spans: tuple[int, int, int],
    data: st.DataObject,
) -> None:
    key, previous, other = three
    timestamp, now, since = at
    under = (previous if len(previous) == 32 and any(previous) else other) if under_previous else key
    message = data.draw(mutated(get("native").SymKey(under).protect(payload, timestamp)))
    agree(
        lambda b: b.SymKey(
            key,
            previous=previous,
            previous_since=since,
            max_ahead=spans[0],
            max_age=spans[1],
            max_previous_age=spans[2],
        ).unprotect(message, now)
    )


@unhurried
@given(keys, st.lists(payloads, max_size=5), times, st.data())
def test_many_at_once(key: bytes, several: list[bytes], timestamp: int, data: st.DataObject) -> None:
    messages = agree(lambda b: b.SymKey(key).protect_many(several, timestamp))
    changed = [data.draw(mutated(m)) for m in messages] + [b""]
    results = agree(lambda b: b.SymKey(key).unprotect_many(changed, timestamp))
    for i, message in enumerate(messages):
        assert changed[i] != message or results[i] == several[i]


# Signed messages.


@unhurried
@given(keys, seeds, ids, payloads, any_times)
def test_signed_protect(key: bytes, seed: bytes, id: bytes, payload: bytes, timestamp: Any) -> None:
    agree(lambda b: context(b, key, seed, id, id).protect(payload, timestamp))


@unhurried
@given(
    st.tuples(keys, keys), seeds, st.tuples(ids, ids), st.lists(payloads, min_size=1, max_size=3), st.data()
)
def test_signed_unprotect(
    two_keys: tuple[bytes, bytes],
    seed: bytes,
    two_ids: tuple[bytes, bytes],
    several: list[bytes],
    data: st.DataObject,
) -> None:
    key = data.draw(st.sampled_from(two_keys))
    known = data.draw(st.sampled_from(two_ids))
    now = T0 + data.draw(st.sampled_from([0, 0, 0, -61, -60, 600, 601]))
    sender = (two_keys[0], seed, two_ids[0], two_ids[0])
    messages = agree(lambda b: context(b, *sender).protect_many(several, T0))
    changed = [data.draw(mutated(m)) for m in messages]
    receiver = (key, seed, two_ids[0], known)

    def opened(message: bytes) -> Any:
        return agree(lambda b: context(b, *receiver).unprotect(message, now))

    results = agree(lambda b: context(b, *receiver).unprotect_many(changed, now))
    assert results == [opened(message) for message in changed]
    if sender == receiver and changed == messages and -60 <= now - T0 <= 600:
        assert results == several


@unhurried
@given(keys, seeds, ids, st.binary(max_size=200), any_times)
def test_signed_unprotect_any_bytes(key: bytes, seed: bytes, id: bytes, message: bytes, now: Any) -> None:
    assert isinstance(agree(lambda b: context(b, key, seed, id, id).unprotect(message, now)), type)


@unhurried
@given(st.one_of(seeds, st.binary(max_size=70)), any_points, st.one_of(ids, st.binary(max_size=20)))
def test_private_keys(seed: bytes, public: bytes, id: bytes) -> None:
    same("PrivateKey", seed + public, id)
    same("ed25519_public_key", seed)
    same("ed25519_public_key", seed + public)
    same("private_ed25519_key_to_curve25519", seed + public)
    same("ed25519_sign", seed + public, b"message")


# Arguments of every kind.


def protected(payload: Any) -> Any:
    return agree(lambda b: b.SymKey(b"k" * 32).protect(payload, T0))


@unhurried
@given(st.binary(min_size=1, max_size=60), st.integers(0, 20), st.integers(0, 20))
def test_any_contiguous_buffer(data: bytes, start: int, end: int) -> None:
    part = data[start : len(data) - end]
    expected = same("sha3_256", part)
    message = protected(part)
    assert isinstance(message, bytes)
    for form in (
        bytearray(part),
        memoryview(part),
        memoryview(data)[start : len(data) - end],
        array("B", part),
    ):
        assert same("sha3_256", form) == expected
        assert protected(form) == message


REFUSALS = (TypeError, BufferError)
NOT_BUFFERS = [
    5,
    None,
    "text",
    [1, 2],
    (),
    object(),
    1.5,
    memoryview(bytes(64))[::2],
    memoryview(bytes(64))[::-1],
]


@pytest.mark.parametrize("value", NOT_BUFFERS, ids=lambda v: type(v).__name__)
def test_payloads_and_messages_are_contiguous_buffers(value: Any) -> None:
    calls = (
        lambda b: b.SymKey(b"k" * 32).protect(value, T0),
        lambda b: b.SymKey(b"k" * 32).unprotect(value, T0),
        lambda b: b.SymKey(b"k" * 32).protect_many([value], T0),
        lambda b: b.SymKey(b"k" * 32).unprotect_many([value], T0),
    )
    assert [call for call in calls if agree(call) not in REFUSALS] == []


@pytest.mark.parametrize("value", NOT_BUFFERS, ids=lambda v: type(v).__name__)
@pytest.mark.parametrize(
    ("function", "before", "after"),
    [
        ("SymKey", (), ()),
        ("PublicKey", (), ()),
        ("PrivateKey", (), (bytes(16),)),
        ("PrivateKey", (bytes(64),), ()),
        ("sha3_256", (), ()),
        ("siv_seal", (bytes(32), []), ()),
        ("siv_open", (), ([], bytes(16))),
        ("ed25519_public_key", (), ()),
        ("ed25519_sign", (bytes(64),), ()),
        ("ed25519_verify", (bytes(32), b""), ()),
        ("public_ed25519_key_to_curve25519", (), ()),
        ("private_ed25519_key_to_curve25519", (), ()),
        ("curve25519_public_key", (), ()),
        ("curve25519", (), (bytes(32),)),
        ("curve25519", (bytes(31),), ()),
        ("check_curve25519_public_key", (), ()),
        ("parse_command", (), ()),
        ("encode_command", (0,), ()),
        ("encode_command", (0, b""), ()),
    ],
)
def test_what_is_no_contiguous_buffer_is_refused_before_anything_else(
    value: Any, function: str, before: tuple[Any, ...], after: tuple[Any, ...]
) -> None:
    assert same(function, *before, value, *after) in REFUSALS


@pytest.mark.parametrize("name", ["password", "salt", "secret", "associated_data"])
def test_argon2i_wants_buffers(name: str) -> None:
    inputs: dict[str, Any] = dict.fromkeys(("password", "salt", "secret", "associated_data"), b"") | {
        name: "text"
    }
    password, salt = inputs.pop("password"), inputs.pop("salt")
    parameters = {"time_cost": 1, "memory_kib": 8, "lanes": 1, "length": 4}
    assert same("argon2i", password, salt, **parameters, **inputs) is TypeError


@pytest.mark.parametrize("strings", [None, 5, "text", b"bytes", ["text"], [b"", 5]], ids=repr)
def test_associated_data_is_a_sequence_of_buffers(strings: Any) -> None:
    assert same("siv_seal", bytes(32), strings, b"") is TypeError
    assert same("siv_open", bytes(32), strings, bytes(16)) is TypeError
