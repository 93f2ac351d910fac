"""``python -m benches``: run the suite, and print every case side by side."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

from benches import report

_FOLDER = Path(__file__).parent
_PAGE = _FOLDER.parent / "docs" / "benchmarks.md"

# Turns, seconds in each, payload sizes.
_FULL = 11, 0.015, ""
_QUICK = 5, 0.01, "64,1024,65536"


class _Watcher:
    """Counts the measurements, shows on a terminal how far they are, and keeps what went wrong."""

    def __init__(self) -> None:
        self.count = 0
        self.done = 0
        self.failures: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.count = len(session.items)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failures.append(report.longreprtext)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failures.append(report.longreprtext)
        if report.when == "teardown":
            self.done += 1
            self._show(f"measuring: {100 * self.done // self.count} %")

    def pytest_sessionfinish(self) -> None:
        self._show("")

    def _show(self, text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r{text:20}\r{text}", end="", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; gives 1 where that failed, or with ``--check`` where the target is not reached."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.report and (options.quick or options.only):
        parser.error("--report wants all cases, without --quick and --only")
    turns, seconds, sizes = _QUICK if options.quick else _FULL
    turns = options.turns or turns
    document = _measure(turns, options.seconds or seconds, sizes, options.only)
    if document is None:
        return 1
    rows = report.read(document)
    about = _about(document, turns)
    facts = {**about["machine"], **about["versions"]}
    print(" · ".join(f"{name} {value}" for name, value in facts.items()))
    print(f"ns per message, command or load: the median of {report.turns(turns)}")
    print("× reference, × composed: how many times as fast native is\n")
    print("\n".join(report.table(rows)), end="\n\n")
    print("\n".join(report.TARGET.lines(rows)))
    if options.json:
        options.json.write_text(json.dumps(report.as_json(rows, about), indent=1) + "\n", encoding="utf-8")
    if options.report:
        _PAGE.write_text(report.page(rows, about), encoding="utf-8")
    return int(options.check and not report.TARGET.reached(rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benches",
        description="Measures e4: both backends, and the same messages composed by hand with cryptography.",
        epilog="example: python -m benches --quick --only 'protect_message and SK'",
    )
    parser.add_argument("--quick", action="store_true", help="three payload sizes, shorter turns: about 20 s")
    parser.add_argument("--only", metavar="WORDS", default="", help="only these cases, as for pytest -k")
    parser.add_argument("--turns", type=_turns, metavar="N", help="how often the implementations take turns")
    parser.add_argument("--seconds", type=float, metavar="S", help="how long a turn lasts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to a file as well")
    parser.add_argument("--report", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--check", action="store_true", help="exit with 1 unless the target is reached")
    return parser


def _turns(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a number from 1 on")
    return int(text)


def _measure(turns: int, seconds: float, sizes: str, only: str) -> dict[str, Any] | None:
    """Run the suite in this process; None where something failed, which has been printed."""
    watcher = _Watcher()
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "benches.json"
        status = pytest.main(
            [
                str(_FOLDER),
                *("-p", "no:terminal", "-p", "no:cacheprovider", "-o", "addopts=--import-mode=importlib"),
                *("-W", "ignore::pytest_benchmark.logger.PytestBenchmarkWarning", "--benchmark-quiet"),
                *("-k", only, f"--turns={turns}", f"--sizes={sizes}"),
                *(f"--benchmark-max-time={seconds}", "--benchmark-min-rounds=3"),
                f"--benchmark-json={output}",
            ],
            plugins=[watcher],
        )
        if watcher.failures or status != pytest.ExitCode.OK:
            empty = status == pytest.ExitCode.NO_TESTS_COLLECTED
            reason = "no case has these words" if empty else "nothing could be measured"
            print("\n\n".join(watcher.failures) or f"error: {reason}", file=sys.stderr)
            return None
        document: dict[str, Any] = json.loads(output.read_bytes())
        return document


def _about(document: dict[str, Any], turns: int) -> dict[str, Any]:
    """Where, when, and with what it was measured."""
    machine = document["machine_info"]
    cpu = machine.get("cpu", {})
    return {
        "date": document["datetime"].partition("T")[0],
        "turns": turns,
        "machine": {
            "processor": cpu.get("brand_raw") or machine.get("processor") or machine["machine"],
            "system": f"{machine['system']} {machine['machine']}",
        },
        "versions": {
            "Python": machine["python_version"],
            **{name: _version(name) for name in ("e4", "cryptography", "PyNaCl", "numpy")},
        },
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
