"""The audit's chain: whatever is done to its rows shows."""

from __future__ import annotations

import dataclasses
import hashlib
import random
from collections.abc import Iterator

import pytest

from e4.c2.audit import GENESIS, chain_hash, verify
from e4.c2.model import AuditCheck, AuditRow


def chain(count: int) -> list[AuditRow]:
    rows: list[AuditRow] = []
    head = GENESIS
    for number in range(1, count + 1):
        row = AuditRow(number, 1000 + number, "ada", "::1", f"r{number}", "new_topic", "t", "done", b"")
        head = chain_hash(row, head)
        rows.append(dataclasses.replace(row, hash=head))
    return rows


def test_layout() -> None:
    row = AuditRow(1, 2, "a", "bc", "", "é", "x", "done", b"")
    texts = b"\0\0\0\1a\0\0\0\2bc\0\0\0\0\0\0\0\2\xc3\xa9\0\0\0\1x\0\0\0\4done"
    content = bytes(32) + b"\0\0\0\0\0\0\0\1" + b"\0\0\0\0\0\0\0\2" + texts
    assert chain_hash(row, GENESIS) == hashlib.sha256(content).digest()


def test_no_two_rows_encode_alike() -> None:
    row = AuditRow(1, 2, "ab", "c", "", "", "", "", b"")
    moved = dataclasses.replace(row, actor="a", peer="bc")
    assert chain_hash(row, GENESIS) != chain_hash(moved, GENESIS)


def test_whole() -> None:
    rows = chain(50)
    assert verify(rows) == AuditCheck(50, None, rows[-1].hash)
    assert verify([]) == AuditCheck(0, None, GENESIS)
    assert verify(rows, (50, rows[-1].hash)).broken is None


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(AuditRow)])
def test_changed(field: str) -> None:
    rows = chain(9)
    old = getattr(rows[4], field)
    new = {int: lambda: old + 1, str: lambda: old + "x", bytes: lambda: bytes(32)}[type(old)]()
    rows[4] = dataclasses.replace(rows[4], **{field: new})
    assert verify(rows) == AuditCheck(4, 5, rows[3].hash)


def test_changed_with_its_hash() -> None:
    rows = chain(9)
    changed = dataclasses.replace(rows[4], actor="eve")
    rows[4] = dataclasses.replace(changed, hash=chain_hash(changed, rows[3].hash))
    assert verify(rows).broken == 6


def test_removed() -> None:
    rows = chain(9)
    for number in range(8):
        assert verify(rows[:number] + rows[number + 1 :]).broken == number + 1


def test_inserted() -> None:
    rows = chain(9)
    for row in (rows[3], dataclasses.replace(rows[3], number=5), dataclasses.replace(rows[3], number=4)):
        assert verify([*rows[:4], row, *rows[4:]]).broken == min(row.number, 5)


def test_moved() -> None:
    rows = chain(9)
    rows[3], rows[6] = rows[6], rows[3]
    assert verify(rows).broken == 4


def test_cut_off() -> None:
    rows = chain(9)
    assert verify(rows[:6]).broken is None  # the chain alone cannot tell
    assert verify(rows[:6], (9, rows[-1].hash)).broken == 7
    assert verify(rows, (9, rows[-2].hash)).broken == 10
    assert verify([], (9, rows[-1].hash)).broken == 1


def test_streams() -> None:
    def rows() -> Iterator[AuditRow]:
        for taken, row in enumerate(chain(100)):
            assert taken <= 40, "rows after the broken one are not asked for"
            yield dataclasses.replace(row, subject="other") if row.number == 40 else row

    assert verify(rows()).broken == 40


def test_any_shuffle_shows() -> None:
    rows = chain(6)
    generator = random.Random(1)
    for _ in range(100):
        shuffled = generator.sample(rows, k=generator.randint(1, 6))
        if shuffled != rows[: len(shuffled)]:
            assert verify(shuffled).broken is not None
