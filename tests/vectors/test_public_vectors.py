"""Public vectors of the primitives (see ``README.md`` here for their sources), on both backends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import argon2.low_level
import pytest

from e4.backend import Backend
from e4.errors import InvalidSignature, NotAuthentic


def load(name: str) -> dict[str, Any]:
    vectors: dict[str, Any] = json.loads((Path(__file__).parent / name).read_text())
    return vectors


def h(text: str) -> bytes:
    return bytes.fromhex(text)


X25519 = load("rfc7748.json")


@pytest.mark.parametrize("vector", load("rfc5297.json")["aes_siv"], ids=lambda v: v["name"])
def test_rfc_5297_aes_siv(backend: Backend, vector: dict[str, Any]) -> None:
    key, plaintext, sealed = h(vector["key"]), h(vector["plaintext"]), h(vector["output"])
    strings = [h(s) for s in vector["associated_data"]]
    assert backend.siv_seal(key, strings, plaintext) == sealed
    assert backend.siv_open(key, strings, sealed) == plaintext
    for wrong in (strings[:-1], [*strings, b""], [*strings[:-1], strings[-1] + b"\0"]):
        with pytest.raises(NotAuthentic):
            backend.siv_open(key, wrong, sealed)


@pytest.mark.parametrize("vector", load("rfc8032.json")["ed25519"], ids=lambda v: v["name"])
def test_rfc_8032_ed25519(backend: Backend, vector: dict[str, str]) -> None:
    seed, public, message = h(vector["seed"]), h(vector["public"]), h(vector["message"])
    signature = h(vector["signature"])
    assert backend.ed25519_public_key(seed) == public
    assert backend.ed25519_sign(seed + public, message) == signature
    backend.ed25519_verify(public, message, signature)
    for i in (0, 31, 32, 63):
        wrong = bytearray(signature)
        wrong[i] ^= 1
        with pytest.raises(InvalidSignature):
            backend.ed25519_verify(public, message, wrong)


@pytest.mark.parametrize("vector", X25519["x25519"], ids=["first", "second"])
def test_rfc_7748_x25519(backend: Backend, vector: dict[str, str]) -> None:
    assert backend.curve25519(h(vector["scalar"]), h(vector["u"])).hex() == vector["output"]


def test_rfc_7748_iterated(backend: Backend) -> None:
    k = u = h(X25519["iterated"]["start"])
    for i in range(1000):
        k, u = backend.curve25519(k, u), k
        if i == 0:
            assert k.hex() == X25519["iterated"]["after_1"]
    assert k.hex() == X25519["iterated"]["after_1000"]


def test_rfc_7748_diffie_hellman(backend: Backend) -> None:
    v = {name: h(value) for name, value in X25519["diffie_hellman"].items()}
    assert backend.curve25519_public_key(v["alice_private"]) == v["alice_public"]
    assert backend.curve25519_public_key(v["bob_private"]) == v["bob_public"]
    assert backend.curve25519(v["alice_private"], v["bob_public"]) == v["shared"]
    assert backend.curve25519(v["bob_private"], v["alice_public"]) == v["shared"]


@pytest.mark.parametrize("vector", load("fips202.json")["sha3_256"], ids=["0 bits", "24 bits", "1600 bits"])
def test_fips_202_sha3_256(backend: Backend, vector: dict[str, Any]) -> None:
    assert backend.sha3_256(h(vector["message"]) * vector["repeated"]).hex() == vector["digest"]


def test_rfc_9106_argon2i(backend: Backend) -> None:
    v = load("rfc9106.json")["argon2i"]
    tag = backend.argon2i(
        h(v["password"]),
        h(v["salt"]),
        time_cost=v["time_cost"],
        memory_kib=v["memory_kib"],
        lanes=v["lanes"],
        length=v["length"],
        secret=h(v["secret"]),
        associated_data=h(v["associated_data"]),
    )
    assert tag.hex() == v["tag"]


@pytest.mark.parametrize("length", [4, 31, 32, 63, 64, 65, 96, 97, 160])
@pytest.mark.parametrize(
    ("time_cost", "memory_kib", "lanes"),
    [(1, 8, 1), (1, 32, 4), (2, 25, 3), (3, 64, 1), (1, 600, 1), (2, 1100, 2), (1, 2051, 4), (4, 77, 5)],
)
def test_argon2i_equals_the_c_implementation(
    backend: Backend, time_cost: int, memory_kib: int, lanes: int, length: int
) -> None:
    """Against argon2-cffi, which wants a salt of at least 8 bytes: segments of 2 to 600 blocks."""
    password, salt = b"a password", b"salt of 16 bytes"
    expected = argon2.low_level.hash_secret_raw(
        password, salt, time_cost, memory_kib, lanes, length, argon2.low_level.Type.I
    )
    assert expected == backend.argon2i(
        password, salt, time_cost=time_cost, memory_kib=memory_kib, lanes=lanes, length=length
    )
