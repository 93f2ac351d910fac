"""Argon2i version 1.3 (RFC 9106) on numpy: any salt, also none, which common libraries refuse.

Argon2i's references do not depend on the data, so all that one segment will read is known before it
is filled, and the lanes of a segment are filled side by side: one numpy call works on every lane.
Not constant-time in any strict sense and slow beside Rust; knows nothing of passwords or keys.
"""

from __future__ import annotations

import hashlib
from struct import pack
from typing import TYPE_CHECKING, Any, Final

from e4.errors import BackendError, InvalidInput
from e4.reference._arguments import read_bytes, whole_number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Buffer

    Words = NDArray[np.uint64]
    Indexes = NDArray[np.intp]

__all__ = ["argon2i"]

_VERSION: Final = 0x13
_TYPE_I: Final = 1
_SLICES: Final = 4
_WORDS: Final = 128  # of 64 bits, in a block of 1 KiB
_HASH_LEN: Final = 64
_LIMIT: Final = 1 << 32


def argon2i(
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

    Args:
        password: the message P.
        salt: the nonce S.
        time_cost: passes over the memory, from 1.
        memory_kib: memory in KiB, from 8 for each lane.
        lanes: degree of parallelism, from 1 to 2**24 - 1.
        length: bytes of output, from 4.
        secret: the key K.
        associated_data: the data X.

    Returns:
        ``length`` bytes.

    Raises:
        InvalidInput: a parameter outside RFC 9106, section 3.1.
        BackendError: numpy is not installed.
    """
    inputs = [read_bytes(data) for data in (password, salt, secret, associated_data)]
    lanes = _check("lanes", lanes, 1, (1 << 24) - 1)
    length = _check("length", length, 4)
    memory_kib = _check("memory_kib", memory_kib, 8 * lanes)
    time_cost = _check("time_cost", time_cost, 1)
    if max(map(len, inputs)) >= _LIMIT:
        raise InvalidInput("Argon2 inputs must be under 2**32 bytes")

    h0 = hashlib.blake2b(pack("<6I", lanes, length, memory_kib, time_cost, _VERSION, _TYPE_I))
    for data in inputs:
        h0.update(pack("<I", len(data)) + data)
    return _Memory(lanes, memory_kib, time_cost).fill(h0.digest(), length)


def _check(name: str, value: int, least: int, most: int = _LIMIT - 1) -> int:
    number = whole_number(value)
    if not least <= number <= most:
        raise InvalidInput(f"{name} must be from {least} to {most}")
    return number


def _long_hash(data: bytes, length: int) -> bytes:
    """H' of RFC 9106, section 3.3: BLAKE2b with an output of any length."""
    data = pack("<I", length) + data
    if length <= _HASH_LEN:
        return hashlib.blake2b(data, digest_size=length).digest()
    out = b""
    while length - len(out) > _HASH_LEN:
        data = hashlib.blake2b(data).digest()
        out += data[: _HASH_LEN // 2]
    return out + hashlib.blake2b(data, digest_size=length - len(out)).digest()


class _Memory:
    """The matrix of blocks of RFC 9106, section 3.2, as columns × lanes × 128 words."""

    def __init__(self, lanes: int, memory_kib: int, passes: int) -> None:
        self.np = np = _numpy()
        self.lanes = lanes
        self.passes = passes
        self.segment = memory_kib // (_SLICES * lanes)
        self.columns = _SLICES * self.segment
        self.blocks: Words = np.empty((self.columns, lanes, _WORDS), np.uint64)
        self.compressor = _Compressor(np, lanes)

    def fill(self, h0: bytes, length: int) -> bytes:
        """Steps 3 to 8 of RFC 9106, section 3.2."""
        np = self.np
        for lane in range(self.lanes):
            for column in range(2):
                first = _long_hash(h0 + pack("<2I", column, lane), 8 * _WORDS)
                self.blocks[column, lane] = np.frombuffer(first, "<u8")
        for number in range(self.passes):
            for slice_ in range(_SLICES):
                self._fill_segment(number, slice_)
        last = np.bitwise_xor.reduce(self.blocks[-1], axis=0)
        return _long_hash(last.astype("<u8").tobytes(), length)

    def _fill_segment(self, number: int, slice_: int) -> None:
        """One slice of every lane. Other lanes' blocks are read only from slices that are full."""
        start = 2 if number == slice_ == 0 else 0
        references = self._references(number, slice_)
        flat = self.blocks.reshape(-1, _WORDS)
        compress, take = self.compressor.compress, self.np.take
        block: Words = self.np.empty((self.lanes, _WORDS), self.np.uint64)
        for index in range(start, self.segment):
            column = slice_ * self.segment + index
            take(flat, references[index], axis=0, out=block, mode="clip")
            target = self.blocks[column]
            compress(self.blocks[column - 1], block, target, keep=number > 0)

    def _references(self, number: int, slice_: int) -> Indexes:
        """Which block each block of a segment reads, as an index into all blocks: segment × lanes.

        RFC 9106, sections 3.4.1.2 (Argon2i) and 3.4.2.
        """
        np, segment = self.np, self.segment
        pseudorandom = self._addresses(number, slice_)
        j1, j2 = pseudorandom & np.uint64(0xFFFF_FFFF), pseudorandom >> np.uint64(32)
        index = np.arange(segment, dtype=np.uint64)[:, None]
        own = np.arange(self.lanes, dtype=np.uint64)[None, :]

        first_slice = number == slice_ == 0
        lane = np.broadcast_to(own, j2.shape) if first_slice else j2 % np.uint64(self.lanes)
        # The blocks that may be read: all full segments, and of the own lane this one's as well.
        full = np.uint64((slice_ if number == 0 else _SLICES - 1) * segment)
        one = np.uint64(1)
        area = np.where(lane == own, full + index - one, full - (index == 0).astype(np.uint64))
        oldest = 0 if number == 0 else (slice_ + 1) % _SLICES * segment
        squared = (j1 * j1) >> np.uint64(32)
        position = area - one - ((area * squared) >> np.uint64(32))
        column = (position + np.uint64(oldest)) % np.uint64(self.columns)
        flat: Indexes = (column * np.uint64(self.lanes) + lane).astype(np.intp)
        return flat

    def _addresses(self, number: int, slice_: int) -> Words:
        """J2 ‖ J1 of each block of a segment: segment × lanes (RFC 9106, section 3.4.1.2)."""
        np = self.np
        count = -(-self.segment // _WORDS)
        counters = np.arange(1, count + 1, dtype=np.uint64)
        zero: Words = np.zeros((count, _WORDS), np.uint64)
        compress = _Compressor(np, count).compress
        addresses: Words = np.empty((self.lanes, count * _WORDS), np.uint64)
        for lane in range(self.lanes):
            words = zero.copy()
            words[:, :6] = (number, lane, slice_, self.columns * self.lanes, self.passes, _TYPE_I)
            words[:, 6] = counters
            once, twice = np.empty_like(zero), np.empty_like(zero)
            compress(zero, words, once, keep=False)
            compress(zero, once, twice, keep=False)
            addresses[lane] = twice.reshape(-1)
        return addresses[:, : self.segment].T


class _Compressor:
    """The compression function G of RFC 9106, section 3.5, of many pairs of blocks at once.

    The words stand as four rows, a, b, c and d of the round function: so each of its additions,
    multiplications and rotations is one call for every column or diagonal of every block. Between
    half rounds, one ``take`` moves the words to where the next needs them.
    """

    def __init__(self, np: Any, count: int) -> None:
        self.np = np
        self.state: Words = np.empty((4, 32 * count), np.uint64)
        self.moved: Words = np.empty_like(self.state)
        self.scratch: tuple[Words, Words] = (np.empty_like(self.state[0]), np.empty_like(self.state[0]))
        self.mixed: Words = np.empty((count, _WORDS), np.uint64)
        self.moves = _moves(np, count)
        self.low = np.uint64(0xFFFF_FFFF)
        self.rotations = [(np.uint64(r), np.uint64(64 - r)) for r in (32, 24, 16, 63)]

    def compress(self, x: Words, y: Words, out: Words, *, keep: bool) -> None:
        """G(x, y) into ``out``, or onto it by XOR where the second and later passes ``keep`` it."""
        np, mixed, state, moved = self.np, self.mixed, self.state, self.moved
        np.bitwise_xor(x, y, out=mixed)
        source = mixed
        for move in self.moves[:-1]:
            np.take(source, move, out=moved, mode="clip")
            state, moved = moved, state
            source = state
            self._half_round(*state)
        if keep:
            np.bitwise_xor(mixed, out, out=mixed)
        last = np.take(state, self.moves[-1], out=moved, mode="clip")
        np.bitwise_xor(last.reshape(mixed.shape), mixed, out=out)

    def _half_round(self, a: Words, b: Words, c: Words, d: Words) -> None:
        """GB of RFC 9106, section 3.6, in place."""
        (r1, l1), (r2, l2), (r3, l3), (r4, l4) = self.rotations
        self._mix(a, b, d, r1, l1)
        self._mix(c, d, b, r2, l2)
        self._mix(a, b, d, r3, l3)
        self._mix(c, d, b, r4, l4)

    def _mix(self, x: Words, y: Words, z: Words, right: Any, left: Any) -> None:
        """x += y + 2·low(x)·low(y); z = (z ^ x) >>> right."""
        np, low = self.np, self.low
        s, t = self.scratch
        np.bitwise_and(x, low, s)
        np.bitwise_and(y, low, t)
        np.multiply(s, t, s)
        np.add(s, s, s)
        np.add(x, y, x)
        np.add(x, s, x)
        np.bitwise_xor(z, x, z)
        np.right_shift(z, right, s)
        np.left_shift(z, left, z)
        np.bitwise_or(z, s, z)


def _moves(np: Any, count: int) -> list[Indexes]:
    """The five ``take`` indexes of `_Compressor`: before each half round, and back to blocks.

    Each stands for a matrix of 4 × (32 · count): in row r, where the r-th word of every GB is.
    """
    words = np.arange(count * _WORDS).reshape(count, 8, 8, 2)  # block, row, column, half of 16 bytes
    by_rows = words.reshape(count * 8, 4, 4)  # P over each row of eight 16-byte registers
    by_columns = words.transpose(0, 2, 1, 3).reshape(count * 8, 4, 4)  # P over each column

    def columns_of(matrices: Any) -> Any:
        return matrices.transpose(1, 0, 2).reshape(4, -1)

    def diagonals_of(matrices: Any) -> Any:
        return columns_of(np.stack([np.roll(matrices[:, r], -r, axis=1) for r in range(4)], axis=1))

    places = [columns_of(by_rows), diagonals_of(by_rows), columns_of(by_columns), diagonals_of(by_columns)]
    moves = []
    before = np.arange(count * _WORDS)  # where each word stands now, by its place in the blocks
    for place in places:
        moves.append(before[place])
        before = np.empty_like(before)
        before[place.reshape(-1)] = np.arange(count * _WORDS)
    return [*moves, before.reshape(4, -1)]


def _numpy() -> Any:
    try:
        import numpy
    except ImportError:
        raise BackendError(
            "crypto backend 'reference' needs numpy for Argon2: install the extra 'reference'"
        ) from None
    return numpy
