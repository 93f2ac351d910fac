"""How far long work has come: a bar on a terminal, a line now and then in a pipe. Always on stderr."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from e4.cli._output import colours, shown

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rich.progress import Progress as Bar
    from rich.progress import TaskID

__all__ = ["Progress"]

_INTERVAL = 5.0  # seconds between two lines


class Progress:
    """Shows progress inside a ``with`` block.

    Args:
        label: what is being done.
        total: how much there is to do; None where nobody knows.
    """

    def __init__(self, label: str, total: int | None = None) -> None:
        self._label = shown(label)
        self._total = total
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._started = self._told = time.monotonic()

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._bar = _bar()
            self._task = self._bar.add_task(self._label, total=self._total)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int, total: int | None = None) -> None:
        """Tell how far it is, and how much there is if that has changed."""
        if total is not None:
            self._total = total
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=self._total)
            return
        now = time.monotonic()
        if now - self._told >= _INTERVAL:
            self._told = now
            of = "" if self._total is None else f" of {self._total}"
            rate = done / (now - self._started)
            print(f"{self._label}: {done}{of}, {rate:.0f} per second", file=sys.stderr, flush=True)

    def note(self, line: str) -> None:
        """Print a line on stderr, above the bar."""
        if self._bar is not None:
            self._bar.console.print(line, markup=False, soft_wrap=True)
        else:
            print(line, file=sys.stderr)


def _bar() -> Bar:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True, highlight=False, no_color=not colours(sys.stderr)),
    )
