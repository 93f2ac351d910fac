"""Which crypto implementation runs: ``native`` (Rust) or ``reference`` (Python).

Both are modules with the names of `Backend`, the same errors and the same bytes.
Lives here: the choice. Nothing here falls back in silence: a backend that is not there is an error.
"""

from __future__ import annotations

import functools
import importlib
import os
from typing import TYPE_CHECKING, Literal, Protocol, cast, get_args

from e4.errors import BackendError, E4Error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Buffer

__all__ = [
    "Backend",
    "BackendName",
    "PrivateKey",
    "PublicKey",
    "SignedTopicKey",
    "SymKey",
    "TopicContext",
    "get",
]

BackendName = Literal["native", "reference"]


class TopicContext(Protocol):
    """Protects and unprotects the messages of one topic; immutable, shared by threads.

    Times are whole seconds since the Unix epoch; ``None`` asks the system's clock.
    Implemented by `SymKey` (SK mode, and commands) and `SignedTopicKey` (PK mode).
    """

    def protect(self, payload: Buffer, timestamp: int | None = None, /) -> bytes:
        """Protect one payload (protocol, section 3).

        Returns:
            The message: 24 bytes (SK) or 104 bytes (PK) longer than the payload.
        """

    def unprotect(self, message: Buffer, now: int | None = None, /) -> bytes:
        """Check one message in the order of section 3, and return its payload.

        Raises:
            MessageError: the subclass of the first check that fails.
        """

    def protect_many(self, payloads: Sequence[Buffer], timestamp: int | None = None, /) -> list[bytes]:
        """Protect many payloads, all with one timestamp."""

    def unprotect_many(self, messages: Sequence[Buffer], now: int | None = None, /) -> list[bytes | E4Error]:
        """Unprotect many messages; a refused one gives its error in its place."""


class SymKey(TopicContext, Protocol):
    """The context of one 32-byte symmetric key, with the previous key during a transition."""

    def __init__(
        self,
        key: Buffer,
        *,
        previous: Buffer | None = None,
        previous_since: int = 0,
        max_ahead: int = 60,
        max_age: int = 600,
        max_previous_age: int = 3600,
    ) -> None:
        """Raises `InvalidKey` for a key that is not 32 bytes or all zero."""


class PrivateKey(Protocol):
    """An Ed25519 private key and the id it signs under."""

    def __init__(self, private_key: Buffer, id: Buffer, /) -> None:
        """Raises `InvalidKey` unless it is 64 bytes whose public half matches the seed; `InvalidId`."""


class PublicKey(Protocol):
    """An Ed25519 public key, checked and decompressed once."""

    def __init__(self, public_key: Buffer, /) -> None:
        """Raises `InvalidKey` unless it is 32 bytes, a curve point, and not of small order."""


class SignedTopicKey(TopicContext, Protocol):
    """The context of one topic in PK mode: a topic key, a signer, and the signers it knows."""

    def __init__(
        self, topic_key: SymKey, private_key: PrivateKey, public_keys: Mapping[bytes, PublicKey], /
    ) -> None:
        """`public_keys` is a dict from 16-byte id to key; it must not change afterwards."""


# Inside Backend these names are its own members.
_SymKey = SymKey
_PrivateKey = PrivateKey
_PublicKey = PublicKey
_SignedTopicKey = SignedTopicKey


class Backend(Protocol):
    """What a crypto implementation offers. Section numbers are of the protocol."""

    @property
    def SymKey(self) -> type[_SymKey]:  # noqa: N802
        """Makes the context of a symmetric key."""

    @property
    def PrivateKey(self) -> type[_PrivateKey]:  # noqa: N802
        """Makes a signer."""

    @property
    def PublicKey(self) -> type[_PublicKey]:  # noqa: N802
        """Makes what checks a signer."""

    @property
    def SignedTopicKey(self) -> type[_SignedTopicKey]:  # noqa: N802
        """Makes the context of a topic in PK mode."""

    def sha3_256(self, data: Buffer, /) -> bytes:
        """SHA3-256 (FIPS 202), 32 bytes."""

    def argon2i(
        self,
        password: Buffer,
        salt: Buffer,
        /,
        *,
        time_cost: int,
        memory_kib: int,
        lanes: int,
        length: int,
        secret: Buffer = b"",
        associated_data: Buffer = b"",
    ) -> bytes:
        """Argon2i version 1.3 (RFC 9106); any salt length, also none.

        Raises:
            InvalidInput: a parameter outside RFC 9106, section 3.1.
        """

    def siv_seal(self, key: Buffer, associated_data: Sequence[Buffer], plaintext: Buffer, /) -> bytes:
        """AES-SIV of RFC 5297 in its two-key form: SIV(16) ‖ ciphertext.

        Args:
            key: MAC key ‖ CTR key: 32 bytes (AES-128) or 64 bytes (AES-256); else `InvalidKey`.
        """

    def siv_open(self, key: Buffer, associated_data: Sequence[Buffer], sealed: Buffer, /) -> bytes:
        """The inverse. Raises `MalformedMessage` under 16 bytes, else `NotAuthentic`."""

    def ed25519_public_key(self, private_key: Buffer, /) -> bytes:
        """The 32-byte public key of a seed (32 bytes) or of a private key (64 bytes, checked)."""

    def ed25519_sign(self, private_key: Buffer, message: Buffer, /) -> bytes:
        """RFC 8032 signature, 64 bytes, by a 64-byte private key, seed ‖ public (checked)."""

    def ed25519_verify(self, public_key: Buffer, message: Buffer, signature: Buffer, /) -> None:
        """Cofactorless verification; the public key passes the checks of `PublicKey`.

        Raises:
            InvalidKey: the public key is refused.
            InvalidSignature: the signature does not verify, or is not 64 bytes.
        """

    def public_ed25519_key_to_curve25519(self, public_key: Buffer, /) -> bytes:
        """The birational map, 32 bytes to 32 bytes. Raises `InvalidKey`."""

    def private_ed25519_key_to_curve25519(self, private_key: Buffer, /) -> bytes:
        """clamp(SHA-512(seed)[0:32]) of a 64-byte private key (checked). Raises `InvalidKey`."""

    def curve25519_public_key(self, private_key: Buffer, /) -> bytes:
        """X25519 of a 32-byte private key and the base point."""

    def curve25519(self, private_key: Buffer, public_key: Buffer, /) -> bytes:
        """X25519 (RFC 7748). Raises `InvalidKey` where the shared secret is all zero."""

    def check_curve25519_public_key(self, public_key: Buffer, /) -> None:
        """Raises `InvalidKey` unless 32 bytes that give no all-zero shared secret."""

    def encode_command(self, opcode: int, first: Buffer = b"", second: Buffer = b"", /) -> bytes:
        """opcode ‖ first ‖ second. Raises `InvalidCommand` for lengths that the opcode does not have."""

    def parse_command(self, data: Buffer, /) -> tuple[int, bytes, bytes]:
        """The opcode and its fields, in wire order; ``b""`` for those it does not have.

        Raises:
            InvalidCommand: unknown opcode, or a length that is not exactly right.
        """


def get(name: str | None = None) -> Backend:
    """The backend of that name; ``None`` takes it from ``E4_BACKEND``, and ``native`` where that is not set.

    Raises:
        BackendError: no such backend, or its packages are not installed.
    """
    return _load(name or os.environ.get("E4_BACKEND") or "native")


@functools.cache  # one-off calls ask for the backend several times each
def _load(name: str) -> Backend:
    if name not in get_args(BackendName):
        raise BackendError(f"unknown crypto backend {name!r}: choose 'native' or 'reference'")
    module = "e4._native" if name == "native" else "e4.reference"
    try:
        return cast("Backend", importlib.import_module(module))
    except ImportError as error:
        text = f"crypto backend {name!r} is not available ({error})"
        if isinstance(error, ModuleNotFoundError):
            text += (
                ": build the package with 'pip install .'"
                if name == "native"
                else ": install the extra 'reference'"
            )
        raise BackendError(text) from None
