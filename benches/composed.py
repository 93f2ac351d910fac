"""The yardstick: E4 messages as one composes them by hand with `cryptography`, without e4.

Written to be fast, so that no ratio flatters e4: the objects of `cryptography` are made once per key,
and there is no look-up of a topic, no check of an argument, no key transition and no error of its own.
The lengths are e4's, so that no layout is written down twice.
"""

from __future__ import annotations

import hashlib
from time import time
from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from e4._wire import (
    MAX_AGE,
    MAX_AHEAD,
    PUB_ID,
    PUB_SIV,
    SEED_LEN,
    SET_TOPIC_KEY,
    SIGNATURE_LEN,
    SYM_SIV,
    TIMESTAMP_LEN,
    TOPIC_HASH_LEN,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Signed",
    "aead",
    "protect",
    "protect_many",
    "protect_signed",
    "protect_signed_many",
    "set_topic_key",
    "unprotect",
    "unprotect_many",
    "unprotect_signed",
    "unprotect_signed_many",
]


class Signed(NamedTuple):
    """What a PK client needs for one topic."""

    aead: AESSIV
    id: bytes
    signer: Ed25519PrivateKey
    signers: dict[bytes, Ed25519PublicKey]

    @classmethod
    def make(cls, topic_key: bytes, id: bytes, private_key: bytes) -> Signed:
        """For a client that knows its own public key, and so can read itself."""
        signer = Ed25519PrivateKey.from_private_bytes(private_key[:SEED_LEN])
        return cls(aead(topic_key), id, signer, {id: signer.public_key()})


def aead(key: bytes) -> AESSIV:
    """AES-SIV under the 32-byte key k, used as k‖k."""
    return AESSIV(key + key)


def protect(payload: bytes, aead: AESSIV) -> bytes:
    """ts(8) ‖ SIV(16) ‖ ciphertext(n)."""
    timestamp = int(time()).to_bytes(TIMESTAMP_LEN, "little")
    return timestamp + aead.encrypt(payload, [timestamp])


def unprotect(message: bytes, aead: AESSIV) -> bytes:
    """The payload, after the checks of time and authenticity."""
    timestamp = message[:TIMESTAMP_LEN]
    _check_time(timestamp, time())
    return aead.decrypt(message[SYM_SIV:], [timestamp])


def protect_many(payloads: Sequence[bytes], aead: AESSIV) -> list[bytes]:
    """Each payload protected, with one timestamp."""
    timestamp = int(time()).to_bytes(TIMESTAMP_LEN, "little")
    data = [timestamp]
    encrypt = aead.encrypt
    return [timestamp + encrypt(payload, data) for payload in payloads]


def unprotect_many(messages: Sequence[bytes], aead: AESSIV) -> list[bytes]:
    """Each payload; the first bad message ends it."""
    return [unprotect(message, aead) for message in messages]


def protect_signed(payload: bytes, topic: Signed) -> bytes:
    """ts(8) ‖ id(16) ‖ SIV(16) ‖ ciphertext(n) ‖ signature(64)."""
    timestamp = int(time()).to_bytes(TIMESTAMP_LEN, "little")
    signed = timestamp + topic.id + topic.aead.encrypt(payload, [timestamp])
    return signed + topic.signer.sign(signed)


def unprotect_signed(message: bytes, topic: Signed) -> bytes:
    """The payload, after the checks of time, signature and authenticity."""
    timestamp = message[:TIMESTAMP_LEN]
    _check_time(timestamp, time())
    signed = message[:-SIGNATURE_LEN]
    topic.signers[message[PUB_ID:PUB_SIV]].verify(message[-SIGNATURE_LEN:], signed)
    return topic.aead.decrypt(signed[PUB_SIV:], [timestamp])


def protect_signed_many(payloads: Sequence[bytes], topic: Signed) -> list[bytes]:
    """Each payload protected and signed."""
    return [protect_signed(payload, topic) for payload in payloads]


def unprotect_signed_many(messages: Sequence[bytes], topic: Signed) -> list[bytes]:
    """Each payload; the first bad message ends it."""
    return [unprotect_signed(message, topic) for message in messages]


def set_topic_key(key: bytes, topic: str, client_key: bytes) -> bytes:
    """A SetTopicKey command, protected for one client."""
    topic_hash = hashlib.sha3_256(topic.encode()).digest()[:TOPIC_HASH_LEN]
    return protect(bytes([SET_TOPIC_KEY]) + key + topic_hash, aead(client_key))


def _check_time(timestamp: bytes, now: float) -> None:
    if not -MAX_AHEAD <= int(now) - int.from_bytes(timestamp, "little") <= MAX_AGE:
        raise ValueError("timestamp too old, or in the future")
