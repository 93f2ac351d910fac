"""A client's own keys: all that differs between SK and PK mode.

Both classes are immutable; each command that touches the client's keys gives a new one, so a
command that fails changes nothing. The raw keys are kept beside the contexts because the state
file holds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from e4 import _wire
from e4.backend import get
from e4.errors import InvalidCommand, PublicKeyMissing, UnsupportedOperation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from e4._names import Limits
    from e4.backend import PublicKey, SymKey, TopicContext

__all__ = ["Material", "Mode", "PubMaterial", "SymMaterial", "sym_key"]

Mode = Literal["symkey", "pubkey"]


def sym_key(
    backend: str | None, limits: Limits, key: bytes, previous: bytes | None = None, previous_since: int = 0
) -> SymKey:
    """The context of a 32-byte key under the client's limits. Raises `InvalidKey`."""
    return get(backend).SymKey(
        key,
        previous=previous,
        previous_since=previous_since,
        max_ahead=limits.max_ahead,
        max_age=limits.max_age,
        max_previous_age=limits.max_previous_age,
    )


class SymMaterial:
    """SK mode: one 32-byte key shared with C2.

    Raises:
        InvalidKey: not 32 bytes, or all zero.
    """

    __slots__ = ("_backend", "_limits", "command_key", "key")
    mode: Mode = "symkey"

    def __init__(self, backend: str | None, limits: Limits, key: bytes) -> None:
        self._backend = backend
        self._limits = limits
        self.key = key
        self.command_key = sym_key(backend, limits, key)

    def topic_context(self, key: SymKey) -> TopicContext:
        """What protects a topic's messages in this mode."""
        return key

    def public_key(self) -> bytes:
        """There is none in this mode."""
        raise UnsupportedOperation

    def with_id_key(self, key: bytes) -> SymMaterial:
        """SetIdKey. Raises `InvalidCommand` for a PK key, `InvalidKey`."""
        if len(key) != _wire.KEY_LEN:
            raise InvalidCommand("SetIdKey carries a 32-byte key in symmetric-key mode")
        return SymMaterial(self._backend, self._limits, key)

    def with_public_key(self, id: bytes, public_key: bytes) -> SymMaterial:
        """SetPubKey: not in this mode."""
        raise UnsupportedOperation

    def without_public_key(self, id: bytes) -> SymMaterial:
        """RemovePubKey: not in this mode."""
        raise UnsupportedOperation

    def without_public_keys(self) -> SymMaterial:
        """ResetPubKeys: not in this mode."""
        raise UnsupportedOperation

    def with_c2_key(self, public_key: bytes) -> SymMaterial:
        """SetC2Key: not in this mode."""
        raise UnsupportedOperation


class PubMaterial:
    """PK mode: an Ed25519 private key, C2's X25519 public key, and the public keys of other clients.

    Raises:
        InvalidKey: one of the keys fails the key checks of section 4.
    """

    __slots__ = (
        "_backend",
        "_limits",
        "_signer",
        "_verifiers",
        "c2_public_key",
        "command_key",
        "id",
        "private_key",
        "public_keys",
    )
    mode: Mode = "pubkey"

    def __init__(
        self,
        backend: str | None,
        limits: Limits,
        id: bytes,
        private_key: bytes,
        c2_public_key: bytes,
        public_keys: Mapping[bytes, bytes],
    ) -> None:
        crypto = get(backend)
        self._backend = backend
        self._limits = limits
        self.id = id
        self.private_key = private_key
        self.c2_public_key = c2_public_key
        self.public_keys = dict(public_keys)
        self._signer = crypto.PrivateKey(private_key, id)
        self._verifiers: dict[bytes, PublicKey] = {i: crypto.PublicKey(k) for i, k in public_keys.items()}
        shared = crypto.curve25519(crypto.private_ed25519_key_to_curve25519(private_key), c2_public_key)
        self.command_key = sym_key(backend, limits, crypto.sha3_256(shared))

    def topic_context(self, key: SymKey) -> TopicContext:
        """What protects a topic's messages in this mode."""
        return get(self._backend).SignedTopicKey(key, self._signer, self._verifiers)

    def public_key(self) -> bytes:
        """The Ed25519 public key, 32 bytes."""
        return self.private_key[_wire.SEED_LEN :]

    def with_id_key(self, key: bytes) -> PubMaterial:
        """SetIdKey. Raises `InvalidCommand` for an SK key, `InvalidKey`."""
        if len(key) != _wire.PRIVATE_KEY_LEN:
            raise InvalidCommand("SetIdKey carries a 64-byte private key in public-key mode")
        return self._changed(private_key=key)

    def with_public_key(self, id: bytes, public_key: bytes) -> PubMaterial:
        """SetPubKey. Raises `InvalidKey`."""
        return self._with_public_keys(
            self.public_keys | {id: public_key},
            self._verifiers | {id: get(self._backend).PublicKey(public_key)},
        )

    def without_public_key(self, id: bytes) -> PubMaterial:
        """RemovePubKey. Raises `PublicKeyMissing` for an unknown id."""
        if id not in self.public_keys:
            raise PublicKeyMissing
        return self._with_public_keys(
            {i: k for i, k in self.public_keys.items() if i != id},
            {i: k for i, k in self._verifiers.items() if i != id},
        )

    def without_public_keys(self) -> PubMaterial:
        """ResetPubKeys."""
        return self._with_public_keys({}, {})

    def with_c2_key(self, public_key: bytes) -> PubMaterial:
        """SetC2Key. Raises `InvalidKey`."""
        return self._changed(c2_public_key=public_key)

    def _changed(self, private_key: bytes | None = None, c2_public_key: bytes | None = None) -> PubMaterial:
        changed = PubMaterial(
            self._backend,
            self._limits,
            self.id,
            private_key or self.private_key,
            c2_public_key or self.c2_public_key,
            {},
        )
        changed.public_keys = self.public_keys
        changed._verifiers = self._verifiers
        return changed

    def _with_public_keys(self, raw: dict[bytes, bytes], verifiers: dict[bytes, PublicKey]) -> PubMaterial:
        changed: PubMaterial = object.__new__(PubMaterial)
        for slot in self.__slots__:
            setattr(changed, slot, getattr(self, slot))
        changed.public_keys = raw
        changed._verifiers = verifiers
        return changed


Material = SymMaterial | PubMaterial
