"""Protecting and unprotecting messages, SK and PK, and the keys that do it (protocol, sections 3 and 4).

Knows the layouts by the names in `e4._wire`. Every check runs in the order of section 3 before
anything of the plaintext is released.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING, final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from e4 import _wire
from e4.errors import (
    E4Error,
    InvalidId,
    InvalidKey,
    MalformedMessage,
    NotAuthentic,
    PublicKeyMissing,
    TimestampInFuture,
    TimestampTooOld,
)
from e4.reference._arguments import Sealed, read_bytes, read_time
from e4.reference._curve import check_public_key, signing_key, verify
from e4.reference._siv import Siv

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typing_extensions import Buffer

__all__ = ["PrivateKey", "PublicKey", "SignedTopicKey", "SymKey"]


@final
class SymKey(Sealed):
    """The context of one 32-byte symmetric key, with the previous key during a transition.

    Protects SK application messages, and commands in either mode: ts(8) ‖ SIV(16) ‖ ciphertext(n).

    Args:
        key: 32 bytes, not all zero.
        previous: the key before it, which still opens messages for a while; or ``None``.
        previous_since: when the previous key was replaced, in seconds since the epoch.
        max_ahead: how far ahead of the clock a timestamp may be, in seconds.
        max_age: how old a message may be, in seconds.
        max_previous_age: how long the previous key opens messages, in seconds.

    Raises:
        InvalidKey: a key that is not 32 bytes, or all zero.
        InvalidTimestamp: a time outside 0 to 2**64 - 1.
    """

    __slots__ = ("_max_age", "_max_ahead", "_max_previous_age", "_previous", "_previous_since", "_siv")

    _siv: Siv
    _previous: Siv | None
    _previous_since: int
    _max_ahead: int
    _max_age: int
    _max_previous_age: int

    def __init__(
        self,
        key: Buffer,
        *,
        previous: Buffer | None = None,
        previous_since: int = 0,
        max_ahead: int = _wire.MAX_AHEAD,
        max_age: int = _wire.MAX_AGE,
        max_previous_age: int = _wire.MAX_PREVIOUS_AGE,
    ) -> None:
        raw, raw_previous = read_bytes(key), None if previous is None else read_bytes(previous)
        self._set(
            _previous_since=_seconds(previous_since),
            _max_ahead=_seconds(max_ahead),
            _max_age=_seconds(max_age),
            _max_previous_age=_seconds(max_previous_age),
            _siv=_sym_siv(raw),
            _previous=None if raw_previous is None else _sym_siv(raw_previous),
        )

    def protect(self, payload: Buffer, timestamp: int | None = None, /) -> bytes:
        """The message of one payload, 24 bytes longer (protocol, section 3).

        Args:
            payload: any length, also empty.
            timestamp: whole seconds since the Unix epoch; ``None`` for now.

        Raises:
            InvalidTimestamp: outside 0 to 2**64 - 1.
        """
        return self._protect(read_bytes(payload), read_time(timestamp))

    def unprotect(self, message: Buffer, now: int | None = None, /) -> bytes:
        """The payload of one message, after the checks of section 3.

        Args:
            message: what was received.
            now: whole seconds since the Unix epoch; ``None`` for the system's clock.

        Raises:
            MalformedMessage: under 24 bytes.
            TimestampInFuture: more than ``max_ahead`` ahead of now.
            TimestampTooOld: more than ``max_age`` before now.
            NotAuthentic: not a message under this key, nor under the previous one while it holds.
            InvalidTimestamp: ``now`` is outside 0 to 2**64 - 1.
        """
        return self._unprotect(read_bytes(message), read_time(now))

    def protect_many(self, payloads: Sequence[Buffer], timestamp: int | None = None, /) -> list[bytes]:
        """The messages of many payloads, all with one timestamp."""
        return _protect_many(self._protect, payloads, timestamp)

    def unprotect_many(self, messages: Sequence[Buffer], now: int | None = None, /) -> list[bytes | E4Error]:
        """The payloads of many messages; a refused one gives its error in its place."""
        return _unprotect_many(self._unprotect, messages, now)

    def seal(self, timestamp: bytes, payload: bytes) -> bytes:
        """SIV(16) ‖ ciphertext(n) under the current key; the timestamp's 8 bytes are associated data."""
        return self._siv.seal([timestamp], payload)

    def open(self, timestamp: bytes, sealed: bytes, now: int) -> bytes:
        """Check 7 of section 3: the current key, or else the previous one. Raises `NotAuthentic`."""
        try:
            return self._siv.open([timestamp], sealed)
        except NotAuthentic:
            if self._previous is None or now - self._previous_since > self._max_previous_age:
                raise
        return self._previous.open([timestamp], sealed)

    def check_time(self, timestamp: bytes, now: int) -> None:
        """Checks 3 and 4 of section 3. Raises `TimestampInFuture`, `TimestampTooOld`."""
        then = int.from_bytes(timestamp, "little")
        if then - now > self._max_ahead:
            raise TimestampInFuture
        if now - then > self._max_age:
            raise TimestampTooOld

    def _protect(self, payload: bytes, timestamp: int) -> bytes:
        ts = timestamp.to_bytes(_wire.TIMESTAMP_LEN, "little")
        return ts + self.seal(ts, payload)

    def _unprotect(self, message: bytes, now: int) -> bytes:
        if len(message) < _wire.SYM_OVERHEAD:
            raise MalformedMessage
        ts = message[: _wire.TIMESTAMP_LEN]
        self.check_time(ts, now)
        return self.open(ts, message[_wire.SYM_SIV :], now)


@final
class PrivateKey(Sealed):
    """An Ed25519 private key and the id it signs under.

    Args:
        private_key: 64 bytes, seed ‖ public.
        id: 16 bytes.

    Raises:
        InvalidKey: another length, or a public half that does not match the seed.
        InvalidId: not 16 bytes.
    """

    __slots__ = ("id", "key")

    key: Ed25519PrivateKey
    id: bytes

    def __init__(self, private_key: Buffer, id: Buffer, /) -> None:
        raw, raw_id = read_bytes(private_key), read_bytes(id)
        key = signing_key(raw)
        if len(raw_id) != _wire.ID_LEN:
            raise InvalidId
        self._set(key=key, id=raw_id)


@final
class PublicKey(Sealed):
    """An Ed25519 public key, checked once.

    Args:
        public_key: 32 bytes.

    Raises:
        InvalidKey: another length, not a curve point, or of small order.
    """

    __slots__ = ("key",)

    key: Ed25519PublicKey

    def __init__(self, public_key: Buffer, /) -> None:
        raw = read_bytes(public_key)
        check_public_key(raw)
        self._set(key=Ed25519PublicKey.from_public_bytes(raw))


@final
class SignedTopicKey(Sealed):
    """The context of one topic in PK mode: a topic key, a signer, and the signers it knows.

    Messages are ts(8) ‖ id(16) ‖ SIV(16) ‖ ciphertext(n) ‖ signature(64).

    Args:
        topic_key: the topic's key, with its limits of time.
        private_key: signs what is protected.
        public_keys: a mapping from 16-byte id to key, not copied; it must not change afterwards.
    """

    __slots__ = ("_private_key", "_public_keys", "_topic_key")

    _topic_key: SymKey
    _private_key: PrivateKey
    _public_keys: Mapping[bytes, PublicKey]

    def __init__(
        self, topic_key: SymKey, private_key: PrivateKey, public_keys: Mapping[bytes, PublicKey], /
    ) -> None:
        for value, expected in ((topic_key, SymKey), (private_key, PrivateKey), (public_keys, Mapping)):
            _check_type(value, expected)
        self._set(_topic_key=topic_key, _private_key=private_key, _public_keys=public_keys)

    def protect(self, payload: Buffer, timestamp: int | None = None, /) -> bytes:
        """The signed message of one payload, 104 bytes longer (protocol, section 3).

        Args:
            payload: any length, also empty.
            timestamp: whole seconds since the Unix epoch; ``None`` for now.

        Raises:
            InvalidTimestamp: outside 0 to 2**64 - 1.
        """
        return self._protect(read_bytes(payload), read_time(timestamp))

    def unprotect(self, message: Buffer, now: int | None = None, /) -> bytes:
        """The payload of one message, after the checks of section 3.

        Args:
            message: what was received.
            now: whole seconds since the Unix epoch; ``None`` for the system's clock.

        Raises:
            MalformedMessage: under 104 bytes.
            TimestampInFuture: more than the topic key's ``max_ahead`` ahead of now.
            TimestampTooOld: more than its ``max_age`` before now.
            PublicKeyMissing: no public key is known for the signer's id.
            InvalidSignature: the signature does not verify.
            NotAuthentic: not a message under the topic key, nor under the one before it.
            InvalidTimestamp: ``now`` is outside 0 to 2**64 - 1.
        """
        return self._unprotect(read_bytes(message), read_time(now))

    def protect_many(self, payloads: Sequence[Buffer], timestamp: int | None = None, /) -> list[bytes]:
        """The messages of many payloads, all with one timestamp."""
        return _protect_many(self._protect, payloads, timestamp)

    def unprotect_many(self, messages: Sequence[Buffer], now: int | None = None, /) -> list[bytes | E4Error]:
        """The payloads of many messages; a refused one gives its error in its place."""
        return _unprotect_many(self._unprotect, messages, now)

    def _protect(self, payload: bytes, timestamp: int) -> bytes:
        ts = timestamp.to_bytes(_wire.TIMESTAMP_LEN, "little")
        signed = ts + self._private_key.id + self._topic_key.seal(ts, payload)
        return signed + self._private_key.key.sign(signed)

    def _unprotect(self, message: bytes, now: int) -> bytes:
        if len(message) < _wire.PUB_OVERHEAD:
            raise MalformedMessage
        ts = message[: _wire.TIMESTAMP_LEN]
        self._topic_key.check_time(ts, now)
        signer = self._public_keys.get(message[_wire.PUB_ID : _wire.PUB_SIV])
        if signer is None:
            raise PublicKeyMissing
        _check_type(signer, PublicKey)  # not in the constructor: a client has one for each of its topics
        signed, signature = message[: -_wire.SIGNATURE_LEN], message[-_wire.SIGNATURE_LEN :]
        verify(signer.key, signed, signature)
        return self._topic_key.open(ts, signed[_wire.PUB_SIV :], now)


def _sym_siv(key: bytes) -> Siv:
    if len(key) != _wire.KEY_LEN:
        raise InvalidKey("symmetric key must be 32 bytes")
    if hmac.compare_digest(key, bytes(_wire.KEY_LEN)):
        raise InvalidKey("symmetric key must not be all zero")
    return Siv(key + key)  # one key for CMAC and for CTR (section 2)


def _check_type(value: object, expected: type) -> None:
    if not isinstance(value, expected):
        raise TypeError(f"expected {expected.__name__}, not {type(value).__name__}")


def _seconds(value: int) -> int:
    if value is None:
        raise TypeError("expected int, not NoneType")
    return read_time(value)


def _protect_many(
    protect: Callable[[bytes, int], bytes], payloads: Sequence[Buffer], timestamp: int | None
) -> list[bytes]:
    ts = read_time(timestamp)
    return [protect(payload, ts) for payload in [read_bytes(payload) for payload in payloads]]


def _unprotect_many(
    unprotect: Callable[[bytes, int], bytes], messages: Sequence[Buffer], now: int | None
) -> list[bytes | E4Error]:
    at = read_time(now)
    results: list[bytes | E4Error] = []
    for message in [read_bytes(message) for message in messages]:
        try:
            results.append(unprotect(message, at))
        except E4Error as error:
            results.append(error.with_traceback(None))  # its frames hold keys
    return results
