"""The two files that know the byte layouts, ``e4._wire`` and ``rust/core/src/wire.rs``, say the same."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import pytest

from e4 import _wire
from e4.backend import Backend
from e4.errors import InvalidCommand

T0 = 1_588_888_888
KEY = bytes(range(_wire.KEY_LEN))


@pytest.fixture(scope="session")
def module(backend_name: str) -> ModuleType:
    return importlib.import_module("e4._native" if backend_name == "native" else "e4.reference")


def constants() -> dict[str, Any]:
    """The numbers and texts of ``e4._wire``; its one table is compared by what the backends do."""
    return {k: v for k, v in vars(_wire).items() if k.isupper() and k != "COMMAND_FIELDS"}


def test_every_constant_is_on_both_sides_and_equal(module: ModuleType) -> None:
    assert constants() == module.WIRE


def test_constants_are_numbers_and_texts() -> None:
    assert len(constants()) > 30
    assert {type(v) for v in constants().values()} == {int, str}


@pytest.mark.parametrize("opcode", range(256))
def test_commands_have_the_lengths_of_the_table(backend: Backend, opcode: int) -> None:
    """Every opcode with every length up to 100: parsed where the table has it, into those fields."""
    first_of = {sum(shape): (*shape, 0)[0] for shape in _wire.COMMAND_FIELDS.get(opcode, ())}
    rest = bytes(range(1, 101))
    for length in range(101):
        data = bytes([opcode]) + rest[:length]
        if length in first_of:
            first = first_of[length]
            assert backend.parse_command(data) == (opcode, rest[:first], rest[first:length])
            assert backend.encode_command(opcode, rest[:first], rest[first:length]) == data
        else:
            with pytest.raises(InvalidCommand):
                backend.parse_command(data)
            with pytest.raises(InvalidCommand):
                backend.encode_command(opcode, rest[:length])


def test_the_empty_command(backend: Backend) -> None:
    with pytest.raises(InvalidCommand):
        backend.parse_command(b"")


def test_sk_messages_are_laid_out_by_the_constants(backend: Backend) -> None:
    message = backend.SymKey(KEY).protect(b"payload", T0)
    assert len(message) == _wire.SYM_OVERHEAD + len(b"payload")
    ts, sealed = message[: _wire.TIMESTAMP_LEN], message[_wire.SYM_SIV :]
    assert int.from_bytes(ts, "little") == T0
    assert sealed == backend.siv_seal(KEY + KEY, [ts], b"payload")
    assert _wire.SYM_CIPHERTEXT == _wire.SYM_SIV + _wire.SIV_LEN


def test_pk_messages_are_laid_out_by_the_constants(backend: Backend) -> None:
    public = backend.ed25519_public_key(KEY)
    id = bytes(range(100, 100 + _wire.ID_LEN))
    context = backend.SignedTopicKey(backend.SymKey(KEY), backend.PrivateKey(KEY + public, id), {})
    message = context.protect(b"payload", T0)
    assert len(message) == _wire.PUB_OVERHEAD + len(b"payload")
    ts = message[: _wire.TIMESTAMP_LEN]
    assert int.from_bytes(ts, "little") == T0
    assert message[_wire.PUB_ID : _wire.PUB_SIV] == id
    signed, signature = message[: -_wire.SIGNATURE_LEN], message[-_wire.SIGNATURE_LEN :]
    assert signed[_wire.PUB_SIV :] == backend.siv_seal(KEY + KEY, [ts], b"payload")
    backend.ed25519_verify(public, signed, signature)
    assert _wire.PUB_CIPHERTEXT == _wire.PUB_SIV + _wire.SIV_LEN
