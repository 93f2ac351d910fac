"""Measures the cases of `benches.operations`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benches.operations import CASES as CASES

if TYPE_CHECKING:
    from collections.abc import Callable

    from benches.suite import Run


@pytest.mark.benchmark(disable_gc=True)
def test_operations(run: Run, measure: Callable[[Run], None]) -> None:
    measure(run)
