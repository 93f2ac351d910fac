"""The native crypto backend of e4; `e4.backend.Backend` documents these names.

Kept by hand and compared with the built module by ``python -m mypy.stubtest e4._native``.
"""

from collections.abc import Mapping, Sequence
from typing import Final, final

from typing_extensions import Buffer

from e4.errors import E4Error

__all__ = [
    "ENGINE",
    "NAME",
    "WIRE",
    "PrivateKey",
    "PublicKey",
    "SignedTopicKey",
    "SymKey",
    "argon2i",
    "check_curve25519_public_key",
    "curve25519",
    "curve25519_public_key",
    "ed25519_public_key",
    "ed25519_sign",
    "ed25519_verify",
    "encode_command",
    "parse_command",
    "private_ed25519_key_to_curve25519",
    "public_ed25519_key_to_curve25519",
    "sha3_256",
    "siv_open",
    "siv_seal",
]

NAME: Final = "native"
ENGINE: Final[str]  # "vaes", "aesni" or "portable"; E4_ENGINE forces one
WIRE: Final[dict[str, int | str]]

@final
class SymKey:
    def __new__(
        cls,
        key: Buffer,
        *,
        previous: Buffer | None = None,
        previous_since: int = 0,
        max_ahead: int = 60,
        max_age: int = 600,
        max_previous_age: int = 3600,
    ) -> SymKey: ...
    def protect(self, payload: Buffer, timestamp: int | None = None, /) -> bytes: ...
    def unprotect(self, message: Buffer, now: int | None = None, /) -> bytes: ...
    def protect_many(self, payloads: Sequence[Buffer], timestamp: int | None = None, /) -> list[bytes]: ...
    def unprotect_many(
        self, messages: Sequence[Buffer], now: int | None = None, /
    ) -> list[bytes | E4Error]: ...

@final
class PrivateKey:
    def __new__(cls, private_key: Buffer, id: Buffer, /) -> PrivateKey: ...

@final
class PublicKey:
    def __new__(cls, public_key: Buffer, /) -> PublicKey: ...

@final
class SignedTopicKey:
    def __new__(
        cls, topic_key: SymKey, private_key: PrivateKey, public_keys: Mapping[bytes, PublicKey], /
    ) -> SignedTopicKey: ...
    def protect(self, payload: Buffer, timestamp: int | None = None, /) -> bytes: ...
    def unprotect(self, message: Buffer, now: int | None = None, /) -> bytes: ...
    def protect_many(self, payloads: Sequence[Buffer], timestamp: int | None = None, /) -> list[bytes]: ...
    def unprotect_many(
        self, messages: Sequence[Buffer], now: int | None = None, /
    ) -> list[bytes | E4Error]: ...

def sha3_256(data: Buffer, /) -> bytes: ...
def argon2i(
    password: Buffer,
    salt: Buffer,
    /,
    *,
    time_cost: int,
    memory_kib: int,
    lanes: int,
    length: int,
    secret: Buffer = ...,
    associated_data: Buffer = ...,
) -> bytes: ...
def siv_seal(key: Buffer, associated_data: Sequence[Buffer], plaintext: Buffer, /) -> bytes: ...
def siv_open(key: Buffer, associated_data: Sequence[Buffer], sealed: Buffer, /) -> bytes: ...
def ed25519_public_key(private_key: Buffer, /) -> bytes: ...
def ed25519_sign(private_key: Buffer, message: Buffer, /) -> bytes: ...
def ed25519_verify(public_key: Buffer, message: Buffer, signature: Buffer, /) -> None: ...
def public_ed25519_key_to_curve25519(public_key: Buffer, /) -> bytes: ...
def private_ed25519_key_to_curve25519(private_key: Buffer, /) -> bytes: ...
def curve25519_public_key(private_key: Buffer, /) -> bytes: ...
def curve25519(private_key: Buffer, public_key: Buffer, /) -> bytes: ...
def check_curve25519_public_key(public_key: Buffer, /) -> None: ...
def encode_command(opcode: int, first: Buffer = ..., second: Buffer = ..., /) -> bytes: ...
def parse_command(data: Buffer, /) -> tuple[int, bytes, bytes]: ...
