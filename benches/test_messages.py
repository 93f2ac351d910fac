"""Measures the cases of `benches.messages`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benches.messages import CASES as CASES

if TYPE_CHECKING:
    from collections.abc import Callable

    from benches.suite import Run


@pytest.mark.benchmark(disable_gc=True)
def test_messages(run: Run, measure: Callable[[Run], None]) -> None:
    measure(run)
