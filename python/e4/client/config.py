"""The four ways to make a client: by id and key, or by name and password, in either mode."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from e4 import _wire, crypto
from e4._names import encode_name, encode_password, read_buffer, read_id
from e4.client.material import Material, PubMaterial, SymMaterial
from e4.errors import InvalidKey

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from e4._names import Limits

__all__ = ["ClientConfig", "PubIdAndKey", "PubNameAndPassword", "SymIdAndKey", "SymNameAndPassword"]


@dataclass(frozen=True)
class SymIdAndKey:
    """A client in SK mode, by its id and the key it shares with C2.

    Args:
        id: 16 bytes.
        key: 32 bytes, not all zero.

    Raises:
        InvalidId: not 16 bytes.
        InvalidKey: not 32 bytes. (All-zero keys are refused when the client is made.)
    """

    id: Buffer
    key: Buffer = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", read_id(self.id))
        object.__setattr__(self, "key", _key(self.key, _wire.KEY_LEN, "client key"))

    def client_id(self) -> bytes:
        """The client's 16-byte id."""
        return bytes(self.id)

    def material(self, backend: str | None, limits: Limits) -> Material:
        """The client's own keys, checked."""
        return SymMaterial(backend, limits, bytes(self.key))


@dataclass(frozen=True)
class SymNameAndPassword:
    """A client in SK mode, by its name and a password from which its key is derived.

    Args:
        name: 1 to 255 bytes of UTF-8; the id is SHA3-256(name)[0:16].
        password: at least 16 bytes of UTF-8.

    Raises:
        InvalidName: a name of another length.
        InvalidPassword: a shorter password.
    """

    name: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        encode_name(self.name)
        encode_password(self.password)

    def client_id(self) -> bytes:
        """The client's 16-byte id."""
        return crypto.hash_id_alias(self.name)

    def material(self, backend: str | None, limits: Limits) -> Material:
        """The client's own keys, derived (about 0.1 s with the native backend)."""
        return SymMaterial(backend, limits, crypto.derive_sym_key(self.password, backend=backend))


@dataclass(frozen=True)
class PubIdAndKey:
    """A client in PK mode, by its id and its Ed25519 private key.

    Args:
        id: 16 bytes.
        private_key: Ed25519, seed(32) ‖ public(32).
        c2_public_key: C2's X25519 public key, 32 bytes.

    Raises:
        InvalidId: not 16 bytes.
        InvalidKey: a key of another length. (The key checks of section 4 run when the client is made.)
    """

    id: Buffer
    private_key: Buffer = field(repr=False)
    c2_public_key: Buffer = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", read_id(self.id))
        private_key = _key(self.private_key, _wire.PRIVATE_KEY_LEN, "Ed25519 private key")
        object.__setattr__(self, "private_key", private_key)
        c2_public_key = _key(self.c2_public_key, _wire.PUBLIC_KEY_LEN, "C2 public key")
        object.__setattr__(self, "c2_public_key", c2_public_key)

    def client_id(self) -> bytes:
        """The client's 16-byte id."""
        return bytes(self.id)

    def public_key(self) -> bytes:
        """The client's Ed25519 public key, 32 bytes. Raises `InvalidKey` where the halves do not match."""
        return crypto.ed25519_public_key(self.private_key)

    def material(self, backend: str | None, limits: Limits) -> Material:
        """The client's own keys, checked."""
        return PubMaterial(
            backend, limits, self.client_id(), bytes(self.private_key), bytes(self.c2_public_key), {}
        )


@dataclass(frozen=True)
class PubNameAndPassword:
    """A client in PK mode, by its name and a password from which its Ed25519 seed is derived.

    Args:
        name: 1 to 255 bytes of UTF-8; the id is SHA3-256(name)[0:16].
        password: at least 16 bytes of UTF-8.
        c2_public_key: C2's X25519 public key, 32 bytes.

    Raises:
        InvalidName: a name of another length.
        InvalidPassword: a shorter password.
        InvalidKey: a C2 key that is not 32 bytes.
    """

    name: str
    password: str = field(repr=False)
    c2_public_key: Buffer = field(repr=False)

    def __post_init__(self) -> None:
        encode_name(self.name)
        encode_password(self.password)
        c2_public_key = _key(self.c2_public_key, _wire.PUBLIC_KEY_LEN, "C2 public key")
        object.__setattr__(self, "c2_public_key", c2_public_key)

    def client_id(self) -> bytes:
        """The client's 16-byte id."""
        return crypto.hash_id_alias(self.name)

    def public_key(self) -> bytes:
        """The client's Ed25519 public key, 32 bytes; what C2 and the other clients need of it."""
        return crypto.ed25519_public_key(self._private_key)

    def material(self, backend: str | None, limits: Limits) -> Material:
        """The client's own keys, derived (about 0.1 s with the native backend)."""
        private_key = crypto.ed25519_private_key_from_password(self.password, backend=backend)
        return PubMaterial(backend, limits, self.client_id(), private_key, bytes(self.c2_public_key), {})

    @cached_property
    def _private_key(self) -> bytes:
        return crypto.ed25519_private_key_from_password(self.password)


ClientConfig = SymIdAndKey | SymNameAndPassword | PubIdAndKey | PubNameAndPassword


def _key(key: Buffer, length: int, what: str) -> bytes:
    data = read_buffer(key)
    if len(data) != length:
        raise InvalidKey(f"{what} must be {length} bytes")
    return data
