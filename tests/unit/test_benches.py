"""The benches do right work and the table computes right; how fast anything is, no test asks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import e4
from benches import __main__ as command
from benches import messages, operations, report
from benches.report import Row
from benches.suite import Case, Implementation, Run, Subject, calls_per_round, repeated, runs

ROOT = Path(__file__).parents[2]
CASES = [*messages.CASES, *operations.CASES]


def smallest_runs() -> list[Run]:
    """Every case and implementation once, but for those that take seconds and are tested elsewhere."""
    smallest = [Case(**{**vars(case), "sizes": case.sizes[:1]}) for case in CASES]
    return [run for run in runs(smallest, 1) if run.implementation not in run.case.slow]


@pytest.mark.parametrize("run", smallest_runs(), ids=str)
def test_every_subject_does_right_work(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = "native" if run.implementation == "composed" else run.implementation
    monkeypatch.setenv("E4_BACKEND", backend)
    subject = run.case.build(run.implementation, run.size)
    subject.check(subject.once())
    subject.check(subject.once())  # rounds repeat it


@pytest.mark.parametrize("case", messages.CASES, ids=lambda case: case.name)
def test_a_check_of_a_message_finds_a_wrong_one(case: Case) -> None:
    subject = case.build("composed", case.sizes[0])
    result = subject.once()
    with pytest.raises((AssertionError, e4.E4Error)):
        subject.check(result[1:])


def test_sizes_are_from_16_bytes_to_64_kib() -> None:
    assert (messages.SIZES[0], messages.SIZES[-1]) == (16, 64 * 1024)
    assert all(set(case.sizes) <= set(messages.SIZES) for case in messages.CASES)


def test_the_target_is_a_case() -> None:
    cases = [case for case in CASES if case.name == report.TARGET.case]
    assert len(cases) == 1
    assert report.TARGET.size in cases[0].sizes
    assert {"native", report.TARGET.other} <= set(cases[0].implementations)
    assert (report.TARGET.size, report.TARGET.ratio) == (64, 4.0)


def never(implementation: Implementation, size: int) -> Subject:
    raise AssertionError("this subject is not to be built")


def test_compared_measurements_take_turns() -> None:
    case = Case("c", (16, 64), never, implementations=("native", "reference"), slow=("reference",))
    fast = Case("d", (64,), never)
    order = [(run.case.name, run.size, run.turn, run.implementation) for run in runs([case, fast], 2)]
    assert order == [
        ("c", 16, 0, "native"),
        ("c", 16, 0, "reference"),
        ("c", 16, 1, "native"),
        ("c", 64, 0, "native"),
        ("c", 64, 0, "reference"),
        ("c", 64, 1, "native"),
        *(("d", 64, turn, name) for turn in range(2) for name in ("native", "reference", "composed")),
    ]


def test_chosen_sizes_are_those_of_payloads() -> None:
    topics = Case("topics", (1, 100), never, unit="topics", implementations=("native",))
    payloads = Case("payloads", (16, 64), never, implementations=("native",))
    chosen = [(run.case.name, run.size) for run in runs([topics, payloads], 1, frozenset({64}))]
    assert chosen == [("topics", 1), ("topics", 100), ("payloads", 64)]


@pytest.mark.parametrize("args", [(), ("a",), ("a", "b"), ("a", "b", "c")])
def test_repeated_calls_so_often(args: tuple[str, ...]) -> None:
    calls: list[tuple[str, ...]] = []
    repeated(lambda *given: calls.append(given), args, 7)
    assert calls == [args] * 7


def test_a_round_is_a_power_of_two_of_calls() -> None:
    count = 0

    def call() -> None:
        nonlocal count
        count += 1

    calls = calls_per_round(Subject(call, lambda result: None))
    assert calls.bit_count() == 1
    assert count == 2 * calls - 1  # 1 + 2 + 4 + …


def measured(case: str, size: int, unit: str, **turns: list[float]) -> list[dict[str, Any]]:
    """What pytest-benchmark writes of a case, in nanoseconds here and in seconds there."""
    return [
        {
            "extra_info": {"case": case, "size": size, "unit": unit, "implementation": name, "turn": turn},
            "stats": {"median": ns * 1e-9},
        }
        for name, times in turns.items()
        for turn, ns in enumerate(times)
    ]


DOCUMENT = {
    "benchmarks": [
        *measured(
            "protect_message, SK",
            64,
            "B",
            native=[250, 1000, 260],
            reference=[1500, 6000, 1820],
            composed=[1250, 4400, 1300],
        ),
        *measured("protect_message, SK", 65536, "B", native=[60_000], reference=[66_000], composed=[63_000]),
        *measured("derive_sym_key", 0, "", native=[50e6, 60e6], reference=[2e9]),
        *measured("apply", 100, "topics", reference=[123]),
    ]
}

ABOUT = {
    "date": "2026-01-31",
    "turns": 3,
    "machine": {"processor": "a processor"},
    "versions": {"Python": "3.11.7"},
}


def test_ratios_are_medians_of_those_within_turns() -> None:
    rows = report.read(DOCUMENT)
    first, second, derive, apply = rows
    assert first.ns("native") == pytest.approx(260)
    assert first.ratios("composed") == pytest.approx([5.0, 4.4, 5.0])
    assert first.ratio("composed") == pytest.approx(5.0)
    assert first.ratio("reference") == pytest.approx(6.0)
    assert second.ratio("composed") == pytest.approx(1.05)
    assert derive.ns("reference") == pytest.approx(2e9)
    assert derive.ratio("reference") == pytest.approx(40)  # both of the one turn that both had
    assert derive.ns("composed") is None
    assert derive.ratio("composed") is None
    assert (apply.ns("native"), apply.ratio("reference")) == (None, None)


def test_the_table_is_side_by_side() -> None:
    assert report.table(report.read(DOCUMENT)) == [
        "case                       size   native ns   reference ns  composed ns  × reference  × composed",
        "",
        "protect_message, SK        64 B         260          1,820        1,300         6.0×        5.0×",
        "protect_message, SK     65536 B      60,000         66,000       63,000         1.1×        1.1×",
        "",
        "derive_sym_key                   55,000,000  2,000,000,000            –        40.0×           –",
        "",
        "apply                100 topics           –            123            –            –           –",
    ]


@pytest.mark.parametrize(
    ("native", "lines"),
    [
        ([250.0], ["native is 5.20× as fast as composed (5.20× to 5.20× in 1 turn)", "target 4.0×: reached"]),
        (
            [325.0, 325.0],
            ["native is 4.00× as fast as composed (4.00× to 4.00× in 2 turns)", "target 4.0×: reached"],
        ),
        (
            [1300.0, 326.0, 325.0],
            ["native is 3.99× as fast as composed (1.00× to 4.00× in 3 turns)", "target 4.0×: not reached"],
        ),
    ],
)
def test_the_target_is_judged_by_the_median(native: list[float], lines: list[str]) -> None:
    rows = [Row("protect_message, SK", 64, "B", {"native": native, "composed": [1300.0] * len(native)})]
    first, second = report.TARGET.lines(rows)
    assert first == f"protect_message, SK, 64 B: {lines[0]}"
    assert second == lines[1]
    assert report.TARGET.reached(rows) is second.endswith(": reached")


def test_a_target_that_was_not_measured_is_not_reached() -> None:
    rows = [Row("protect_message, SK", 16, "B", {"native": [1.0], "composed": [100.0]})]
    assert report.TARGET.lines(rows) == ["target 4.0×: not measured"]
    assert not report.TARGET.reached(rows)


def test_json_has_every_number() -> None:
    document = json.loads(json.dumps(report.as_json(report.read(DOCUMENT), ABOUT)))
    assert document["machine"] == ABOUT["machine"]
    assert document["target"] == {
        "case": "protect_message, SK",
        "size": 64,
        "other": "composed",
        "ratio": 4.0,
        "found": pytest.approx(5.0),
        "reached": True,
    }
    assert document["rows"][2] == {
        "case": "derive_sym_key",
        "size": 0,
        "unit": "",
        "ns": {"native": pytest.approx(55e6), "reference": pytest.approx(2e9)},
        "native_times_as_fast_as": {"reference": pytest.approx(40), "composed": None},
        "turns_ns": {"native": pytest.approx([50e6, 60e6]), "reference": pytest.approx([2e9])},
    }


def test_the_page_has_machine_versions_target_and_rows() -> None:
    page = report.page(report.read(DOCUMENT), ABOUT)
    for line in (
        "| date | 2026-01-31 |",
        "| processor | a processor |",
        "| Python | 3.11.7 |",
        "target 4.0×: reached",
        "| protect_message, SK | 64 B | 260 | 1,820 | 1,300 | 6.0× | 5.0× |",
        "|  | 65536 B | 60,000 | 66,000 | 63,000 | 1.1× | 1.1× |",
    ):
        assert line in page.splitlines()


def run_benches(*arguments: str) -> subprocess.CompletedProcess[str]:
    # Pytest tells its children which test runs, and xdist whose worker they are: not so here.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "E4_"))}
    return subprocess.run(
        [sys.executable, "-m", "benches", *arguments],
        cwd=ROOT,
        env=environment | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_the_command_measures_and_writes_json(tmp_path: Path) -> None:
    output = tmp_path / "benches.json"
    words = "protect_message and SK and 64 and not unprotect and not 256 and not 65536"
    run = run_benches("--only", words, "--turns", "2", "--seconds", "0.001", "--json", str(output))
    assert (run.returncode, run.stderr) == (0, "")
    lines = run.stdout.splitlines()
    assert "\r" not in run.stdout
    assert "\x1b" not in run.stdout
    assert lines[-1] in ("target 4.0×: reached", "target 4.0×: not reached")
    document = json.loads(output.read_bytes())
    (row,) = document["rows"]
    assert (row["case"], row["size"]) == ("protect_message, SK", 64)
    assert all(len(row["turns_ns"][name]) == 2 for name in ("native", "reference", "composed"))
    # A time is that of one message, not of a round.
    assert all(10 < ns < 1e6 for ns in row["ns"].values())


def test_words_that_no_case_has_are_an_error() -> None:
    run = run_benches("--only", "nothing-like-it")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == "error: no case has these words\n"


@pytest.mark.parametrize(
    "arguments", [("--turns", "0"), ("--report", "--quick"), ("--report", "--only", "SK")]
)
def test_arguments_that_make_no_sense_are_refused(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        command.main(list(arguments))
    assert refused.value.code == 2
    assert "error: " in capsys.readouterr().err
