"""From pytest-benchmark's JSON to one row per case and size: ratios, the table, the page in ``docs``.

Measures nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from benches.suite import IMPLEMENTATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benches.suite import Implementation

__all__ = ["TARGET", "Row", "Target", "as_json", "page", "read", "table", "turns"]

_COMPARED: tuple[Implementation, ...] = ("reference", "composed")
_NOTHING = "–"


@dataclass
class Row:
    """One case at one size: nanoseconds per message (or command, …) of each implementation, turn by turn."""

    case: str
    size: int
    unit: str
    turns: dict[Implementation, list[float]] = field(default_factory=dict)

    def ns(self, implementation: Implementation) -> float | None:
        """The median over all turns."""
        turns = self.turns.get(implementation)
        return median(turns) if turns else None

    def ratios(self, other: Implementation) -> list[float]:
        """How many times as fast as another implementation the native one was, in each turn that both had."""
        pairs = zip(self.turns.get("native", ()), self.turns.get(other, ()), strict=False)
        return [theirs / native for native, theirs in pairs]

    def ratio(self, other: Implementation) -> float | None:
        """The median of the ratios: what slows the machine for a turn or two does not move it."""
        ratios = self.ratios(other)
        return median(ratios) if ratios else None


class Target(NamedTuple):
    """How fast the native implementation has to be."""

    case: str
    size: int
    other: Implementation
    ratio: float

    def found(self, rows: Sequence[Row]) -> list[float]:
        """The ratios of the turns; none where it was not measured."""
        for row in rows:
            if (row.case, row.size) == (self.case, self.size):
                return row.ratios(self.other)
        return []

    def reached(self, rows: Sequence[Row]) -> bool:
        """Whether the median of the ratios is high enough."""
        found = self.found(rows)
        return bool(found) and median(found) >= self.ratio

    def lines(self, rows: Sequence[Row]) -> list[str]:
        """What was found, and whether it is enough."""
        found = self.found(rows)
        if not found:
            return [f"target {self.ratio:.1f}×: not measured"]
        return [
            f"{self.case}, {self.size} B: native is {median(found):.2f}× as fast as {self.other} "
            f"({min(found):.2f}× to {max(found):.2f}× in {turns(len(found))})",
            f"target {self.ratio:.1f}×: {'reached' if self.reached(rows) else 'not reached'}",
        ]


TARGET = Target("protect_message, SK", 64, "composed", 4.0)


def read(document: dict[str, Any]) -> list[Row]:
    """The rows of a JSON document of pytest-benchmark, in its order."""
    rows: dict[tuple[str, int], Row] = {}
    for benchmark in document["benchmarks"]:
        info = benchmark["extra_info"]
        key = info["case"], info["size"]
        row = rows.setdefault(key, Row(*key, info["unit"]))
        row.turns.setdefault(info["implementation"], []).append(benchmark["stats"]["median"] * 1e9)
    return list(rows.values())


def turns(count: int) -> str:
    """``1 turn``, ``2 turns``."""
    return "1 turn" if count == 1 else f"{count} turns"


_HEADINGS = ("case", "size", *(f"{name} ns" for name in IMPLEMENTATIONS), *(f"× {o}" for o in _COMPARED))


def _cells(row: Row) -> tuple[str, ...]:
    times = [row.ns(name) for name in IMPLEMENTATIONS]
    ratios = [row.ratio(other) for other in _COMPARED]
    return (
        row.case,
        f"{row.size} {row.unit}" if row.unit else "",
        *(_NOTHING if time is None else f"{time:,.0f}" for time in times),
        *(_NOTHING if ratio is None else f"{ratio:.1f}×" for ratio in ratios),
    )


def table(rows: Sequence[Row]) -> list[str]:
    """Lines of plain text, a blank one between cases."""
    cells = [_HEADINGS, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines: list[str] = []
    previous = None
    for line in cells:
        if line[0] != previous:
            lines.append("")
        previous = line[0]
        first, *others = (f"{cell:{'>' if i else '<'}{widths[i]}}" for i, cell in enumerate(line))
        lines.append("  ".join([first, *others]))
    return lines[1:]


def as_json(rows: Sequence[Row], about: dict[str, Any]) -> dict[str, Any]:
    """The whole result, for other programs."""
    found = TARGET.found(rows)
    return {
        **about,
        "rows": [
            {
                "case": row.case,
                "size": row.size,
                "unit": row.unit,
                "ns": {name: row.ns(name) for name in row.turns},
                "native_times_as_fast_as": {other: row.ratio(other) for other in _COMPARED},
                "turns_ns": row.turns,
            }
            for row in rows
        ],
        "target": {
            **TARGET._asdict(),
            "found": median(found) if found else None,
            "reached": TARGET.reached(rows),
        },
    }


_PAGE = """\
# Benchmarks

Written by `python -m benches --report`, not by hand; `make bench` measures on your machine.

{about}

| implementation | what it is |
| --- | --- |
| native | `e4` with its cryptography in Rust |
| reference | `e4` with its cryptography in Python, on `cryptography` and PyNaCl (`E4_BACKEND=reference`) |
| composed | the same messages put together by hand, with `AESSIV` and Ed25519 of `cryptography` |

The composed messages are written to be fast: objects are made once per key, and nothing looks up a topic,
checks an argument, or knows of key transitions. The result of every measurement is checked, and what was
protected is opened by another implementation.

Times are nanoseconds per message, or per command or load: the median of many rounds in a turn, and then of
{turns}. The implementations take turns in one process, without garbage collection, so that what slows the
machine slows them alike. A ratio is the median of the ratios within the turns; it says how many times as fast
as the other native is.

AES-SIV authenticates a message block after block, each waiting for the one before. So with one long message
every implementation waits for the processor alike, and they differ in what a message costs beside its blocks.

{target}

{table}
"""


def page(rows: Sequence[Row], about: dict[str, Any]) -> str:
    """A page of the documentation, in Markdown."""
    lines = ["| " + " | ".join(_HEADINGS) + " |", "| --- |" + " ---: |" * (len(_HEADINGS) - 1)]
    previous = None
    for row in rows:
        case, *others = _cells(row)
        lines.append(f"| {'' if case == previous else case} | " + " | ".join(others) + " |")
        previous = case
    facts = [("date", about["date"]), *about["machine"].items(), *about["versions"].items()]
    return _PAGE.format(
        about="\n".join(
            ["| measured | |", "| --- | --- |", *(f"| {name} | {fact} |" for name, fact in facts)]
        ),
        turns=turns(about["turns"]),
        target="\\\n".join(TARGET.lines(rows)),
        table="\n".join(lines),
    )
