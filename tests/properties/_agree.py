"""What the property tests of the two backends share: how they are compared, and what they are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from e4.backend import Backend, SignedTopicKey, get

T0 = 1_588_888_888
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493

# The number of examples is that of hypothesis' profile (its own ``ci`` profile where ``CI`` is set).
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
few = settings(unhurried, max_examples=30)


def outcome(call: Callable[[Backend], Any], backend: Backend) -> Any:
    """The result, with exceptions, raised or in a list, as their classes. A panic is no Exception."""
    try:
        result = call(backend)
    except Exception as error:
        return type(error)
    if isinstance(result, list):
        return [type(item) if isinstance(item, Exception) else item for item in result]
    return result if isinstance(result, bytes | tuple | None) else type(result).__name__


def agree(call: Callable[[Backend], Any]) -> Any:
    """What both backends do; fails where they differ."""
    native, reference = (outcome(call, get(name)) for name in ("native", "reference"))
    assert native == reference
    return native


def same(function: str, *arguments: Any, **keywords: Any) -> Any:
    """What both backends do when one of their names is called."""
    return agree(lambda backend: getattr(backend, function)(*arguments, **keywords))


# What goes in.

keys = st.binary(min_size=32, max_size=32).filter(any)
any_keys = st.one_of(keys, st.just(bytes(32)), st.binary(max_size=70))
payloads = st.one_of(
    st.binary(max_size=100),
    st.sampled_from([0, 1, 15, 16, 17, 31, 32, 33, 127, 128, 129, 255, 256, 257, 4096, 5000]).flatmap(
        lambda n: st.binary(min_size=16, max_size=16).map(lambda b: (b * (n // 16 + 1))[:n])
    ),
)
times = st.one_of(st.integers(T0 - 5000, T0 + 5000), st.integers(0, 2**64 - 1))
any_times = st.one_of(
    times, st.integers(), st.sampled_from([-1, 2**63, 2**64 - 1, 2**64, True, 1.0, "1", b"1"])
)
limits = st.one_of(st.integers(0, 5000), st.integers(0, 2**64 - 1))
ids = st.binary(min_size=16, max_size=16)
seeds = st.binary(min_size=32, max_size=32)

# All encodings of the points of small order, without their sign bit.
SMALL_ORDER = [
    0,
    1,
    P - 1,
    P,
    P + 1,
    int.from_bytes(
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
    ),
    int.from_bytes(
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"
    ),
]
# The same of X25519 (RFC 7748, section 7): on the curve and on its twist.
LOW_ORDER_U = [
    0,
    1,
    P - 1,
    P,
    P + 1,
    int.from_bytes(
        bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"), "little"
    ),
    int.from_bytes(
        bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"), "little"
    ),
]


def encodings(points: list[int]) -> list[bytes]:
    return [(y | bit << 255).to_bytes(32, "little") for y in points for bit in (0, 1)]


# Half of all strings are points, and seven in eight of those have a part of small order.
points = st.one_of(
    st.binary(min_size=32, max_size=32),
    st.sampled_from(encodings(SMALL_ORDER + LOW_ORDER_U)),
    st.sampled_from(encodings(list(range(P - 20, 2**255)) + list(range(20)))),
    seeds.map(lambda seed: get("reference").ed25519_public_key(seed)),
)
any_points = st.one_of(points, st.binary(max_size=70))


@st.composite
def mutated(draw: st.DrawFn, message: bytes) -> bytes:
    """The message; or cut, longer, with bits flipped, or with two parts exchanged."""
    kind = draw(st.sampled_from(["same", "cut", "longer", "flip", "rotate"]))
    if kind == "cut":
        return message[: draw(st.integers(0, len(message)))]
    if kind == "longer":
        return message + draw(st.binary(min_size=1, max_size=70))
    if kind == "flip":
        changed = bytearray(message)
        for _ in range(draw(st.integers(1, 3))):
            changed[draw(st.integers(0, len(message) - 1))] ^= 1 << draw(st.integers(0, 7))
        return bytes(changed)
    if kind == "rotate":
        at = draw(st.integers(0, len(message)))
        return message[at:] + message[:at]
    return message


def context(backend: Backend, key: bytes, seed: bytes, id: bytes, known: bytes) -> SignedTopicKey:
    public = backend.ed25519_public_key(seed)
    return backend.SignedTopicKey(
        backend.SymKey(key), backend.PrivateKey(seed + public, id), {known: backend.PublicKey(public)}
    )
