"""Commands as bytes: opcode ‖ fields (protocol, section 4). Knows lengths, not meanings."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from e4 import _wire
from e4.errors import InvalidCommand
from e4.reference._arguments import read_bytes, whole_number

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["encode_command", "parse_command"]


def encode_command(opcode: int, first: Buffer = b"", second: Buffer = b"", /) -> bytes:
    """opcode(1) ‖ first ‖ second; a field that the opcode does not have is empty.

    Raises:
        InvalidCommand: unknown opcode, or lengths that it does not have.
    """
    opcode = whole_number(opcode)
    shapes = _wire.COMMAND_FIELDS.get(opcode, ())
    fields = (read_bytes(first), read_bytes(second))
    if tuple(map(len, fields)) not in {_two(shape) for shape in shapes}:
        raise InvalidCommand
    return bytes((opcode,)) + b"".join(fields)


def parse_command(data: Buffer, /) -> tuple[int, bytes, bytes]:
    """The opcode and its fields, in wire order; ``b""`` for those it does not have.

    Raises:
        InvalidCommand: unknown opcode, or a length that is not exactly right.
    """
    raw = read_bytes(data)
    for shape in _wire.COMMAND_FIELDS.get(raw[0], ()) if raw else ():
        cuts = list(accumulate(_two(shape), initial=1))
        if len(raw) == cuts[-1]:
            first, second = (raw[start:end] for start, end in pairwise(cuts))
            return raw[0], first, second
    raise InvalidCommand


def _two(shape: tuple[int, ...]) -> tuple[int, int]:
    first, second, *_ = (*shape, 0, 0)
    return first, second
