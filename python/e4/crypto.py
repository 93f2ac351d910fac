"""The protocol's primitives without a client: keys, ids, topic hashes, and one-off messages.

Every function takes ``backend``, ``"native"`` or ``"reference"``; ``None`` means the choice of
``E4_BACKEND``, or ``native``. Section numbers are of the protocol, version 1.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from e4 import _wire
from e4._names import Limits, encode_name, encode_password, encode_topic, read_buffer, read_id
from e4.backend import get
from e4.errors import InvalidKey

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "c2_shared_key",
    "curve25519_public_key",
    "derive_sym_key",
    "ed25519_private_key_from_password",
    "ed25519_private_key_from_seed",
    "ed25519_public_key",
    "hash_id_alias",
    "hash_topic",
    "private_ed25519_key_to_curve25519",
    "protect_sym_key",
    "public_ed25519_key_to_curve25519",
    "random_curve25519_private_key",
    "random_ed25519_private_key",
    "random_id",
    "random_key",
    "topic_for_id",
    "unprotect_sym_key",
]


def random_key() -> bytes:
    """A new symmetric key: 32 bytes from the operating system."""
    return os.urandom(_wire.KEY_LEN)


def random_id() -> bytes:
    """A new id: 16 bytes from the operating system."""
    return os.urandom(_wire.ID_LEN)


def random_ed25519_private_key(*, backend: str | None = None) -> bytes:
    """A new Ed25519 private key, seed(32) ‖ public(32), its seed from the operating system."""
    return ed25519_private_key_from_seed(os.urandom(_wire.SEED_LEN), backend=backend)


def random_curve25519_private_key() -> bytes:
    """A new X25519 private key: 32 bytes from the operating system, clamped where it is used (RFC 7748)."""
    return os.urandom(_wire.KEY_LEN)


def hash_topic(topic: str, *, backend: str | None = None) -> bytes:
    """The 16-byte topic hash: SHA3-256(topic)[0:16] (section 1).

    Raises:
        InvalidTopic: not a topic name of section 6.
    """
    return get(backend).sha3_256(encode_topic(topic))[: _wire.TOPIC_HASH_LEN]


def hash_id_alias(name: str, *, backend: str | None = None) -> bytes:
    """The 16-byte id of a client's name: SHA3-256(name)[0:16] (section 1).

    Raises:
        InvalidName: not 1 to 255 bytes of UTF-8.
    """
    return get(backend).sha3_256(encode_name(name))[: _wire.ID_LEN]


def topic_for_id(id: Buffer) -> str:
    """The control topic of a 16-byte id: ``e4/`` and the id in lower-case hex (section 1).

    Raises:
        InvalidId: not 16 bytes.
    """
    return _wire.CONTROL_TOPIC_PREFIX + read_id(id).hex()


def derive_sym_key(password: str, *, backend: str | None = None) -> bytes:
    """The 32-byte key of a password: Argon2i, empty salt, t=1, m=64 MiB, p=4 (section 2).

    Raises:
        InvalidPassword: under 16 bytes of UTF-8.
    """
    return get(backend).argon2i(
        encode_password(password),
        b"",
        time_cost=_wire.KDF_TIME_COST,
        memory_kib=_wire.KDF_MEMORY_KIB,
        lanes=_wire.KDF_LANES,
        length=_wire.KEY_LEN,
    )


def ed25519_private_key_from_password(password: str, *, backend: str | None = None) -> bytes:
    """The 64-byte Ed25519 private key whose seed is `derive_sym_key` of the password (section 2).

    Raises:
        InvalidPassword: under 16 bytes of UTF-8.
    """
    return ed25519_private_key_from_seed(derive_sym_key(password, backend=backend), backend=backend)


def ed25519_private_key_from_seed(seed: Buffer, *, backend: str | None = None) -> bytes:
    """seed(32) ‖ public(32), the form in which private keys are stored (section 2; RFC 8032).

    Raises:
        InvalidKey: the seed is not 32 bytes.
    """
    seed = read_buffer(seed)
    if len(seed) != _wire.SEED_LEN:
        raise InvalidKey("Ed25519 seed must be 32 bytes")
    return seed + get(backend).ed25519_public_key(seed)


def ed25519_public_key(private: Buffer, *, backend: str | None = None) -> bytes:
    """The 32-byte Ed25519 public key of a 64-byte private key, or of its 32-byte seed.

    Raises:
        InvalidKey: another length, or a public half that does not match the seed.
    """
    return get(backend).ed25519_public_key(private)


def public_ed25519_key_to_curve25519(key: Buffer, *, backend: str | None = None) -> bytes:
    """The X25519 public key of a 32-byte Ed25519 public key, by the birational map (section 2).

    Raises:
        InvalidKey: not 32 bytes, not a curve point, or of small order.
    """
    return get(backend).public_ed25519_key_to_curve25519(key)


def private_ed25519_key_to_curve25519(key: Buffer, *, backend: str | None = None) -> bytes:
    """The X25519 private key of a 64-byte Ed25519 private key: clamp(SHA-512(seed)[0:32]) (section 2).

    Raises:
        InvalidKey: not 64 bytes, or a public half that does not match the seed.
    """
    return get(backend).private_ed25519_key_to_curve25519(key)


def curve25519_public_key(private: Buffer, *, backend: str | None = None) -> bytes:
    """The X25519 public key of a 32-byte private key (RFC 7748).

    Raises:
        InvalidKey: not 32 bytes.
    """
    return get(backend).curve25519_public_key(private)


def c2_shared_key(
    private_curve25519: Buffer, public_curve25519: Buffer, *, backend: str | None = None
) -> bytes:
    """The 32-byte key of a command in PK mode: SHA3-256(X25519(private, public)) (section 3).

    Either side computes it: the client from its private key and C2's public key, C2 from its
    private key and the client's public key, both in X25519 form.

    Raises:
        InvalidKey: not 32 bytes each, or a shared secret that is all zero.
    """
    implementation = get(backend)
    return implementation.sha3_256(implementation.curve25519(private_curve25519, public_curve25519))


def protect_sym_key(
    payload: Buffer, key: Buffer, *, timestamp: int | None = None, backend: str | None = None
) -> bytes:
    """Protect one payload under a 32-byte key: ts(8) ‖ SIV(16) ‖ ciphertext(n) (section 3).

    This is an application message in SK mode, or a command in either mode.

    Args:
        payload: any length, also empty.
        key: the topic's key, the client's key, or the shared key of `c2_shared_key`.
        timestamp: whole seconds since the Unix epoch; ``None`` for now.
        backend: which crypto implementation.

    Raises:
        InvalidKey: not 32 bytes, or all zero.
        InvalidTimestamp: outside 0 to 2**64 - 1.
    """
    return get(backend).SymKey(key).protect(payload, timestamp)


def unprotect_sym_key(
    message: Buffer,
    key: Buffer,
    *,
    now: int | None = None,
    limits: Limits | None = None,
    backend: str | None = None,
) -> bytes:
    """The payload of a message made by `protect_sym_key`, after the checks of section 3.

    Args:
        message: at least 24 bytes.
        key: 32 bytes.
        now: whole seconds since the Unix epoch; ``None`` for now.
        limits: how far the timestamp may be from now.
        backend: which crypto implementation.

    Raises:
        MessageError: the subclass of the first check that fails.
        InvalidKey: not 32 bytes, or all zero.
    """
    limits = limits or Limits()
    context = get(backend).SymKey(key, max_ahead=limits.max_ahead, max_age=limits.max_age)
    return context.unprotect(message, now)
