"""The crypto backend ``reference``: Python on `cryptography`, PyNaCl and hashlib.

Has the names of `e4.backend.Backend`, and the same results and errors as the Rust backend, at a
fraction of its speed: for comparison, for tests, and for machines the Rust module is not built for.
Knows only the errors and the wire constants; no clock but the system's, no randomness.
"""

from __future__ import annotations

from typing import Final

from e4 import _wire
from e4.reference._argon2 import argon2i
from e4.reference._command import encode_command, parse_command
from e4.reference._curve import (
    check_curve25519_public_key,
    curve25519,
    curve25519_public_key,
    ed25519_public_key,
    ed25519_sign,
    ed25519_verify,
    private_ed25519_key_to_curve25519,
    public_ed25519_key_to_curve25519,
    sha3_256,
)
from e4.reference._message import PrivateKey, PublicKey, SignedTopicKey, SymKey
from e4.reference._siv import siv_open, siv_seal

__all__ = [
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

NAME: Final = "reference"

WIRE: Final[dict[str, int | str]] = {
    name: value for name, value in vars(_wire).items() if name.isupper() and isinstance(value, int | str)
}
