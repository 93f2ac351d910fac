"""SHA3-256, Ed25519 (RFC 8032), X25519 (RFC 7748), and the conversion from one curve to the other.

Private keys are only ever handled by OpenSSL and libsodium. Public keys are decompressed here, in
plain integers: they are no secret. Knows nothing of messages.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

import nacl.bindings
import nacl.exceptions
from cryptography.exceptions import InvalidSignature as _OpenSslInvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from e4 import _wire
from e4.errors import InvalidKey, InvalidSignature
from e4.reference._arguments import read_bytes

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "check_curve25519_public_key",
    "check_public_key",
    "curve25519",
    "curve25519_public_key",
    "ed25519_public_key",
    "ed25519_sign",
    "ed25519_verify",
    "private_ed25519_key_to_curve25519",
    "public_ed25519_key_to_curve25519",
    "sha3_256",
    "signing_key",
    "verify",
]

_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P
_SQRT_M1: Final = pow(2, (_P - 1) // 4, _P)

# Any scalar does: clamped, it is a multiple of the cofactor of the curve and of its twist, and of
# no other order, so the product is zero exactly for points of low order.
_ANY_SCALAR: Final = bytes(32)


def sha3_256(data: Buffer, /) -> bytes:
    """SHA3-256 (FIPS 202), 32 bytes."""
    return hashlib.sha3_256(read_bytes(data)).digest()


def ed25519_public_key(private_key: Buffer, /) -> bytes:
    """The 32-byte public key of a seed (32 bytes) or of a private key, seed ‖ public (64 bytes).

    Raises:
        InvalidKey: another length, or a public half that does not match the seed.
    """
    raw = read_bytes(private_key)
    if len(raw) == _wire.SEED_LEN:
        return Ed25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw()
    return signing_key(raw).public_key().public_bytes_raw()


def ed25519_sign(private_key: Buffer, message: Buffer, /) -> bytes:
    """The RFC 8032 signature, 64 bytes, by a 64-byte private key, seed ‖ public.

    Raises:
        InvalidKey: another length, or a public half that does not match the seed.
    """
    raw, data = read_bytes(private_key), read_bytes(message)
    return signing_key(raw).sign(data)


def ed25519_verify(public_key: Buffer, message: Buffer, signature: Buffer, /) -> None:
    """Cofactorless verification of RFC 8032, section 5.1.7, over the key's bytes as they were given.

    Raises:
        InvalidKey: the public key is not 32 bytes, not a curve point, or of small order.
        InvalidSignature: the signature does not verify, or is not 64 bytes.
    """
    raw = read_bytes(public_key)
    data, tag = read_bytes(message), read_bytes(signature)
    check_public_key(raw)
    verify(Ed25519PublicKey.from_public_bytes(raw), data, tag)


def public_ed25519_key_to_curve25519(public_key: Buffer, /) -> bytes:
    """The birational map u = (1 + y) / (1 - y) of RFC 7748, section 4.1: 32 bytes to 32 bytes.

    Raises:
        InvalidKey: not 32 bytes, not a curve point, or of small order.
    """
    y = check_public_key(read_bytes(public_key))
    return ((1 + y) * pow(1 - y, -1, _P) % _P).to_bytes(32, "little")  # y = 1 is of small order


def private_ed25519_key_to_curve25519(private_key: Buffer, /) -> bytes:
    """clamp(SHA-512(seed)[0:32]) of a 64-byte private key, seed ‖ public.

    Raises:
        InvalidKey: another length, or a public half that does not match the seed.
    """
    raw = read_bytes(private_key)
    signing_key(raw)
    scalar: bytes = nacl.bindings.crypto_sign_ed25519_sk_to_curve25519(raw)
    return scalar


def curve25519_public_key(private_key: Buffer, /) -> bytes:
    """X25519 of a 32-byte private key, clamped here, and the base point.

    Raises:
        InvalidKey: not 32 bytes.
    """
    public: bytes = nacl.bindings.crypto_scalarmult_base(_x25519_key(read_bytes(private_key)))
    return public


def curve25519(private_key: Buffer, public_key: Buffer, /) -> bytes:
    """X25519 (RFC 7748, section 5) of a 32-byte private and a 32-byte public key, unhashed.

    Raises:
        InvalidKey: not 32 bytes each, or a shared secret that is all zero.
    """
    scalar, point = read_bytes(private_key), read_bytes(public_key)
    try:
        shared: bytes = nacl.bindings.crypto_scalarmult(_x25519_key(scalar), _x25519_key(point))
    except nacl.exceptions.RuntimeError:
        raise InvalidKey("X25519 public key is of low order") from None
    return shared


def check_curve25519_public_key(public_key: Buffer, /) -> None:
    """Raises `InvalidKey` unless 32 bytes that give no all-zero shared secret with any private key."""
    curve25519(_ANY_SCALAR, public_key)


def signing_key(private_key: bytes) -> Ed25519PrivateKey:
    """OpenSSL's key of 64 bytes, seed ‖ public. Raises `InvalidKey` where the halves do not match."""
    if len(private_key) != _wire.PRIVATE_KEY_LEN:
        raise InvalidKey("Ed25519 private key must be 64 bytes")
    seed, public = private_key[: _wire.SEED_LEN], private_key[_wire.SEED_LEN :]
    key = Ed25519PrivateKey.from_private_bytes(seed)
    if not hmac.compare_digest(key.public_key().public_bytes_raw(), public):
        raise InvalidKey("Ed25519 private key's public half does not match its seed")
    return key


def verify(key: Ed25519PublicKey, message: bytes, signature: bytes) -> None:
    """OpenSSL's verification, which is cofactorless. Raises `InvalidSignature`."""
    try:
        key.verify(signature, message)
    except _OpenSslInvalidSignature:
        raise InvalidSignature from None


def check_public_key(public_key: bytes) -> int:
    """The y coordinate of an Ed25519 public key that passes the protocol's key checks (section 4).

    A y not below p is reduced, and a sign bit beside x = 0 is let pass, as deployed
    implementations do (RFC 8032 would refuse both); points with a part of small order are points.

    Raises:
        InvalidKey: not 32 bytes, not a curve point, or of small order.
    """
    if len(public_key) != _wire.PUBLIC_KEY_LEN:
        raise InvalidKey("Ed25519 public key must be 32 bytes")
    y = (int.from_bytes(public_key, "little") & ((1 << 255) - 1)) % _P
    x = _recover_x(y)
    if x is None:
        raise InvalidKey("Ed25519 public key is not a point of the curve")
    if _is_small_order(x, y):
        raise InvalidKey("Ed25519 public key is of small order")
    return y


def _x25519_key(key: bytes) -> bytes:
    if len(key) != _wire.KEY_LEN:
        raise InvalidKey("X25519 key must be 32 bytes")
    return key


def _recover_x(y: int) -> int | None:
    """One of the two x with -x² + y² = 1 + d x² y² (RFC 8032, section 5.1.3), if there is one.

    The sign does not matter to the callers: a point and its negative have one order and one u.
    """
    u, v = y * y - 1, _D * y * y + 1
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    if (v * x * x - u) % _P == 0:
        return x
    if (v * x * x + u) % _P == 0:
        return x * _SQRT_M1 % _P
    return None


def _is_small_order(x: int, y: int) -> bool:
    """Whether 8·P is the identity, by three doublings (RFC 8032, section 5.1.4, without T)."""
    z = 1
    for _ in range(3):
        a, b, c = x * x, y * y, 2 * z * z
        h = a + b
        e, g = h - (x + y) ** 2, a - b
        f = c + g
        x, y, z = e * f % _P, g * h % _P, f * g % _P
    return x == 0 and y == z
