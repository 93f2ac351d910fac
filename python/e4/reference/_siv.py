"""AES-SIV of RFC 5297 on `cryptography`, in its two-key form.

Knows nothing of messages. Older `cryptography` refuses an empty plaintext, so that one case is
S2V over its CMAC here; a test compares the two for everything else.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from e4 import _wire
from e4.errors import InvalidInput, InvalidKey, MalformedMessage, NotAuthentic
from e4.reference._arguments import read_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

__all__ = ["Siv", "s2v", "siv_open", "siv_seal"]

_BLOCK = 16
_KEY_LENGTHS = (32, 64)
_MAX_ASSOCIATED = 126  # S2V takes at most 127 strings, the plaintext among them (RFC 5297, section 7)


class Siv:
    """AES-SIV under one key: MAC key ‖ CTR key, 32 or 64 bytes, not checked here."""

    __slots__ = ("_aead", "_mac_key")

    def __init__(self, key: bytes) -> None:
        self._aead = AESSIV(key)
        self._mac_key = key[: len(key) // 2]

    def seal(self, associated_data: list[bytes], plaintext: bytes) -> bytes:
        """SIV(16) ‖ ciphertext, of the plaintext's length."""
        if not plaintext:
            return s2v(self._mac_key, [*associated_data, b""])
        return self._aead.encrypt(plaintext, associated_data)

    def open(self, associated_data: list[bytes], sealed: bytes) -> bytes:
        """The plaintext of at least 16 bytes sealed. Raises `NotAuthentic`."""
        if len(sealed) == _wire.SIV_LEN:
            if not hmac.compare_digest(sealed, s2v(self._mac_key, [*associated_data, b""])):
                raise NotAuthentic
            return b""
        try:
            return self._aead.decrypt(sealed, associated_data)
        except InvalidTag:
            raise NotAuthentic from None


def siv_seal(key: Buffer, associated_data: Sequence[Buffer], plaintext: Buffer, /) -> bytes:
    """AES-SIV of RFC 5297: SIV(16) ‖ ciphertext.

    Args:
        key: MAC key ‖ CTR key: 32 bytes (AES-128) or 64 bytes (AES-256).
        associated_data: at most 126 strings, in order; none is not the same as one empty string.
        plaintext: any length, also empty.

    Raises:
        InvalidKey: a key of another length.
        InvalidInput: more than 126 strings of associated data.
    """
    raw, data = read_bytes(key), read_bytes(plaintext)
    return _siv(raw).seal(_strings(associated_data), data)


def siv_open(key: Buffer, associated_data: Sequence[Buffer], sealed: Buffer, /) -> bytes:
    """The plaintext of what `siv_seal` gave for the same key and associated data.

    Raises:
        InvalidKey: a key of neither 32 nor 64 bytes.
        InvalidInput: more than 126 strings of associated data.
        MalformedMessage: under 16 bytes.
        NotAuthentic: the SIV does not verify.
    """
    raw, data = read_bytes(key), read_bytes(sealed)
    siv = _siv(raw)
    if len(data) < _wire.SIV_LEN:
        raise MalformedMessage
    return siv.open(_strings(associated_data), data)


def s2v(mac_key: bytes, strings: list[bytes]) -> bytes:
    """S2V of RFC 5297, section 2.4, of at least one string: 16 bytes."""
    *head, last = strings
    d = int.from_bytes(_cmac(mac_key, bytes(_BLOCK)))
    for string in head:
        d = _double(d) ^ int.from_bytes(_cmac(mac_key, string))
    if len(last) >= _BLOCK:
        tail = int.from_bytes(last[-_BLOCK:]) ^ d
        return _cmac(mac_key, last[:-_BLOCK] + tail.to_bytes(_BLOCK))
    padded = last + b"\x80" + bytes(_BLOCK - 1 - len(last))
    return _cmac(mac_key, (_double(d) ^ int.from_bytes(padded)).to_bytes(_BLOCK))


def _siv(key: bytes) -> Siv:
    if len(key) not in _KEY_LENGTHS:
        raise InvalidKey("AES-SIV key must be 32 or 64 bytes")
    return Siv(key)


def _strings(associated_data: Sequence[Buffer]) -> list[bytes]:
    strings = [read_bytes(string) for string in associated_data]
    if len(strings) > _MAX_ASSOCIATED:
        raise InvalidInput(f"AES-SIV takes at most {_MAX_ASSOCIATED} strings of associated data")
    return strings


def _cmac(key: bytes, data: bytes) -> bytes:
    mac = CMAC(AES(key))
    mac.update(data)
    return mac.finalize()


def _double(block: int) -> int:
    """Multiply by x in GF(2^128), modulo x^128 + x^7 + x^2 + x + 1, without a branch on the data."""
    return ((block << 1) & ((1 << 128) - 1)) ^ (0x87 * (block >> 127))
