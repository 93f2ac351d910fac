"""The suite as pytest-benchmark runs it: options, the order of measurements, and how one is taken."""

from __future__ import annotations

from math import ceil
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest

from benches.suite import Run, Subject, calls_per_round, repeated, runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_benchmark.fixture import BenchmarkFixture


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("benches of e4")
    group.addoption(
        "--turns",
        type=int,
        default=1,
        help="how often the implementations take turns at each case (default: %(default)s)",
    )
    group.addoption("--sizes", default="", help="payload sizes in bytes, with commas between (default: all)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each run is a test; they stand in the order of `runs`, compared ones side by side."""
    if "run" in metafunc.fixturenames:
        option = metafunc.config.getoption
        sizes = frozenset(int(size) for size in option("sizes").split(",") if size)
        cases = metafunc.module.CASES
        metafunc.parametrize("run", list(runs(cases, option("turns"), sizes or None)), ids=str)


@pytest.fixture
def measure(
    benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[[Run], None]:
    """Takes one measurement; in its statistics a time is that of one unit, e.g. one message."""
    seconds = float(request.config.getoption("benchmark_max_time"))

    def measure(run: Run) -> None:
        case = run.case
        # Functions without an argument for the backend ask the environment.
        monkeypatch.setenv("E4_BACKEND", "native" if run.implementation == "composed" else run.implementation)
        subject = case.build(run.implementation, run.size)
        benchmark.group = case.group(run.size)
        benchmark.name = f"{run.implementation} {run.turn + 1}"
        benchmark.extra_info.update(
            case=case.name,
            size=run.size,
            unit=case.unit,
            implementation=run.implementation,
            turn=run.turn,
        )
        calls, result = _take(benchmark, subject, seconds, once=run.implementation in case.slow)
        subject.check(result)
        if benchmark.stats is not None:  # None with --benchmark-disable
            stats = benchmark.stats.stats
            stats.data = [duration / (calls * case.units_per_call) for duration in stats.data]

    return measure


def _take(benchmark: Any, subject: Subject, seconds: float, *, once: bool) -> tuple[int, Any]:
    """Time rounds for so many seconds, or one round; gives the calls in each, and what a call gave."""
    if once:
        return 1, benchmark.pedantic(subject.call, subject.args)
    if subject.fresh is not None:
        start = perf_counter()
        subject.once()
        rounds = max(3, ceil(seconds / (perf_counter() - start)))
        return 1, benchmark.pedantic(subject.call, setup=lambda: (subject.fresh(), {}), rounds=rounds)
    calls = calls_per_round(subject)
    benchmark(repeated, subject.call, subject.args, calls)
    return calls, subject.once()
