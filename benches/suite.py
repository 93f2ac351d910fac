"""What a case is, and how one is measured: the same work, once per implementation.

Knows nothing of messages, of pytest, or of how results are shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = [
    "IMPLEMENTATIONS",
    "Case",
    "Implementation",
    "Run",
    "Subject",
    "calls_per_round",
    "repeated",
    "runs",
]

Implementation = Literal["native", "reference", "composed"]
IMPLEMENTATIONS: tuple[Implementation, ...] = get_args(Implementation)

# A round shorter than this would measure the timer.
_ROUND_SECONDS = 100e-6


@dataclass(frozen=True)
class Subject:
    """One implementation, ready to do a case's work.

    Args:
        call: does the work.
        check: asserts that what ``call`` gave is right.
        args: what ``call`` is given, each time the same.
        fresh: gives arguments that can be used once, where a case needs that; made outside the timed part.
    """

    call: Callable[..., Any]
    check: Callable[[Any], None]
    args: tuple[Any, ...] = ()
    fresh: Callable[[], tuple[Any, ...]] | None = None

    def once(self) -> Any:
        """Do the work once, untimed."""
        return self.call(*(self.args if self.fresh is None else self.fresh()))


@dataclass(frozen=True)
class Case:
    """One thing that is measured.

    Args:
        name: what is measured.
        sizes: of the payload, or of whatever ``unit`` names.
        build: makes the subject of an implementation and a size.
        unit: what a size counts; empty where the case has no sizes.
        units_per_call: messages that one call handles; times are per message.
        implementations: those that can do it.
        slow: those that are measured only once, for they take seconds.
    """

    name: str
    sizes: tuple[int, ...]
    build: Callable[[Implementation, int], Subject]
    unit: str = "B"
    units_per_call: int = 1
    implementations: tuple[Implementation, ...] = IMPLEMENTATIONS
    slow: tuple[Implementation, ...] = ()

    def group(self, size: int) -> str:
        """The name of a case at one size."""
        return f"{self.name}, {size} {self.unit}" if self.unit else self.name


@dataclass(frozen=True)
class Run:
    """One measurement: a case, a size, an implementation, and which turn it is."""

    case: Case
    size: int
    implementation: Implementation
    turn: int

    def __str__(self) -> str:
        return f"{self.case.group(self.size)}, {self.implementation}, turn {self.turn}"


def runs(cases: Sequence[Case], turns: int, sizes: frozenset[int] | None = None) -> Iterator[Run]:
    """All measurements in their order: implementations take turns, so what slows the machine slows each."""
    for case in cases:
        for size in case.sizes:
            if sizes is not None and case.unit == "B" and size not in sizes:
                continue
            for turn in range(turns):
                for implementation in case.implementations:
                    if turn == 0 or implementation not in case.slow:
                        yield Run(case, size, implementation, turn)


def calls_per_round(subject: Subject) -> int:
    """How many calls make a round long enough to time; making sure of it also warms the subject up."""
    calls = 1
    while True:
        start = perf_counter()
        repeated(subject.call, subject.args, calls)
        if perf_counter() - start >= _ROUND_SECONDS:
            return calls
        calls *= 2


def repeated(call: Callable[..., Any], args: tuple[Any, ...], times: int) -> None:
    """Call many times in a loop of its own.

    pytest-benchmark's loop calls with ``*args, **kwargs``, which takes about as long as the cipher.
    """
    if len(args) == 2:
        first, second = args
        for _ in repeat(None, times):
            call(first, second)
    else:
        for _ in repeat(None, times):
            call(*args)
