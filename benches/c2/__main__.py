"""``python -m benches.c2``: measure the key server, and print each figure beside its target."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

from benches.c2.fleet import Fleet, fleet

_PAGE = Path(__file__).parents[2] / "docs" / "benchmarks-c2.md"
_ROUND_TRIP = 0.02


@dataclass(frozen=True)
class Figure:
    """A measured figure and what it has to be at least, or at most."""

    what: str
    value: float
    unit: str
    target: str = ""
    reached: bool | None = None


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; gives 1 where a target is not reached and ``--check`` was given."""
    parser = argparse.ArgumentParser(prog="python -m benches.c2", description=__doc__)
    parser.add_argument("--members", type=int, default=10_000, help="of the rotated topic (default 10,000)")
    parser.add_argument("--clients", type=int, default=1_000_000, help="to import (default 1,000,000)")
    parser.add_argument(
        "--rounds", type=int, default=5, help="rotations, and turns of what they are compared with"
    )
    parser.add_argument("--quick", action="store_true", help="2,000 members, 20,000 clients, 2 rounds")
    parser.add_argument("--only", choices=sorted(_PARTS), help="only this part")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file as well")
    parser.add_argument("--report", action="store_true", help=f"write docs/{_PAGE.name}")
    parser.add_argument("--check", action="store_true", help="exit with 1 unless every target is reached")
    options = parser.parse_args(arguments)
    if options.report and (options.quick or options.only):
        parser.error("--report wants all parts, without --quick and --only")
    if options.quick:
        options.members, options.clients, options.rounds = 2_000, 20_000, 2
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part, measure in _PARTS.items():
            if options.only not in (None, part):
                continue
            for figure in measure(folder / part, options):
                figures.append(figure)
                print(_line(figure), flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=1) + "\n")
    if options.report:
        _PAGE.write_text(_page(figures, options), encoding="utf-8")
    return int(options.check and not all(figure.reached in (True, None) for figure in figures))


def _rotations(folder: Path, options: argparse.Namespace) -> list[Figure]:
    """Rotating a topic, the broker on the same machine."""
    with fleet(folder) as it:
        rate, plain = _compare(it, options, options.members)
    members = f"{options.members:,} members"
    return [
        Figure(f"rotation, {members}, loopback", rate, "commands/s", "8,000 (aim)", rate >= 8_000),
        Figure("the same commands one by one, loopback", plain, "commands/s"),
        Figure("ratio, loopback", rate / plain, "×", "1.5", rate / plain >= 1.5),
    ]


def _far_rotations(folder: Path, options: argparse.Namespace) -> list[Figure]:
    """The same with 20 ms of round trip added; one by one only a part, whose time per command is the same."""
    with fleet(folder, _ROUND_TRIP) as it:
        rate, plain = _compare(it, options, min(options.members, 100))
    return [
        Figure(f"rotation, {options.members:,} members, 20 ms away", rate, "commands/s"),
        Figure("the same commands one by one, 20 ms away", plain, "commands/s"),
        Figure("ratio, 20 ms away", rate / plain, "×", "50", rate / plain >= 50),
    ]


def _compare(it: Fleet, options: argparse.Namespace, one_by_one: int) -> tuple[float, float]:
    """Commands a second of rotations, and one by one; medians of rounds that take turns."""
    it.load(options.members)
    it.join(options.members)
    rates, plain = [], []
    for _ in range(options.rounds):
        total, took = it.rotate()
        assert total == options.members
        rates.append(total / took)
        plain.append(it.one_by_one(one_by_one))
    return median(rates), median(plain)


def _large(folder: Path, options: argparse.Namespace) -> list[Figure]:
    """Very many clients: importing them, a page from their middle, and a job over all of them."""
    count = options.clients
    with fleet(folder) as it:
        imported = it.load(count)
        page = it.page_from_the_middle(count) * 1000
        it.join(count)
        memory: list[int] = []
        last = 0.0

        def watch() -> None:
            nonlocal last
            if time.monotonic() - last > 0.5:
                last = time.monotonic()
                memory.append(it.memory())

        before = it.memory()
        _, took = it.rotate(watch)
        growth = (max(memory, default=before) - before) / 2**20
    clients = f"{count:,} clients"
    return [
        Figure(
            f"import of {clients} over HTTPS, SQLite", imported, "clients/s", "20,000", imported >= 20_000
        ),
        Figure(f"page of 100 from the middle of {clients}, over HTTPS", page, "ms", "under 10", page < 10),
        Figure(f"rotation, {count:,} members, loopback", count / took, "commands/s"),
        Figure(f"memory of the server before it, {clients}", before / 2**20, "MiB"),
        Figure("memory it grows by meanwhile", growth, "MiB", "flat: under 32", growth < 32),
    ]


_PARTS = {"near": _rotations, "far": _far_rotations, "large": _large}


def _line(figure: Figure) -> str:
    verdict = "" if figure.reached is None else "reached" if figure.reached else "NOT reached"
    target = f"  target {figure.target}: {verdict}" if figure.target else ""
    return f"{figure.what:62} {_number(figure.value):>10} {figure.unit}{target}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"


def _page(figures: list[Figure], options: argparse.Namespace) -> str:
    rows = [
        f"| {figure.what} | {_number(figure.value)} {figure.unit} | {figure.target} |" for figure in figures
    ]
    processor = next(
        (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")),
        platform.machine(),
    )
    return "\n".join(
        [
            "# Benchmarks of the key server",
            "",
            "Written by `make bench-c2 BENCH_ARGS=--report`: a real server process with SQLite on disk, and",
            "a real mosquitto, on one machine. Rotations and publishing one by one take turns; medians of",
            f"{options.rounds} rounds.",
            "",
            f"{time.strftime('%Y-%m-%d')}, {processor}, Python {platform.python_version()}, "
            f"e4 {version('e4')}.",
            "",
            "| what | measured | target |",
            "| --- | ---: | --- |",
            *rows,
            "",
            "One by one: with paho-mqtt, QoS 2, waiting for each command's PUBCOMP before the next, as a",
            "server without an outbox would. 20 ms away: through a proxy that adds so much to every round",
            "trip.",
            "",
        ]
    )


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


if __name__ == "__main__":
    sys.exit(main())
