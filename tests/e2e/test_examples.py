"""The examples do what the tutorial says: each of its boxes is played against mosquitto."""

from __future__ import annotations

import os
import queue
import re
import shlex
import signal
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests._broker import Brokers

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PROGRAMS = sorted(EXAMPLES.glob("*.py"))
TUTORIAL = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
PROMPT = "> "


@dataclass(frozen=True)
class Box:
    """A code block: its language, the word after it (a file, or a terminal), and its lines."""

    language: str
    label: str
    lines: list[str]


BOXES = [
    Box(language, label, text.splitlines())
    for language, label, text in re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", TUTORIAL, flags=re.M | re.S)
]


class Terminal:
    """Runs one program at a time, types into it, and reads what it prints."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._process: subprocess.Popen[str] | None = None
        self._goes_on = False
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader: threading.Thread | None = None

    def play(self, lines: list[str]) -> None:
        """Do what the lines of a box show."""
        for line in lines:
            if line.startswith("$ "):
                self.leave()
                self._start(shlex.split(line[2:]))
            elif line.startswith(PROMPT):
                self._type(line[len(PROMPT) :])
            else:
                self._expect(line)
        if not self._goes_on:
            self.leave()

    def leave(self) -> None:
        """Wait for the program's end; one that would go on gets the Ctrl-C of the tutorial."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert self._reader is not None
        try:
            if self._goes_on:
                process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
            process.stdin.close()
        self._reader.join(20)
        rest = [line for line in map(without_prompts, self._lines.queue) if line]
        assert not rest, "printed, but not in the tutorial"
        self._lines = queue.Queue()

    def kill(self) -> None:
        """After a failure."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _start(self, words: list[str]) -> None:
        self._goes_on = words[0] == "python" and "_send_" not in words[1]
        if words[0] == "python":
            program, *arguments = words[1:]
            words = [
                sys.executable,
                str(EXAMPLES / program),
                *arguments,
                "--broker",
                f"127.0.0.1:{self._port}",
            ]
        else:
            words[0] = str(Path(sysconfig.get_path("scripts")) / words[0])
        self._process = subprocess.Popen(
            words,
            cwd=self._folder,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        self._reader = threading.Thread(target=self._read, args=(self._process, self._lines), daemon=True)
        self._reader.start()

    @staticmethod
    def _read(process: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
        assert process.stdout is not None
        with process.stdout as stdout:
            for line in stdout:
                lines.put(line.rstrip("\n"))

    def _type(self, text: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def _expect(self, line: str) -> None:
        printed = ""
        while not printed:
            printed = without_prompts(self._lines.get(timeout=20))
        if line.endswith("..."):
            assert printed.startswith(line.removesuffix("..."))
        else:
            assert printed == line


def without_prompts(line: str) -> str:
    """What is typed is not echoed here, so the prompts before it stand before what is printed next."""
    while line.startswith(PROMPT):
        line = line.removeprefix(PROMPT)
    return line


@pytest.fixture
def terminals(tmp_path: Path, mosquitto: Brokers) -> Iterator[dict[str, Terminal]]:
    """As many terminals as the tutorial has, in one folder."""
    folder = tmp_path / "examples"
    folder.mkdir()
    port = mosquitto().port
    made = {
        name: Terminal(folder, port) for name in {box.label for box in BOXES if box.language == "console"}
    }
    yield made
    for terminal in made.values():
        terminal.kill()


@pytest.mark.mosquitto
@pytest.mark.slow
def test_the_tutorial_can_be_followed(terminals: dict[str, Terminal]) -> None:
    """Every line shown is printed, in this order in each terminal, and nothing else is."""
    for box in BOXES:
        if box.language == "console":
            terminals[box.label].play(box.lines)
    for terminal in terminals.values():
        terminal.leave()


def test_the_tutorial_shows_the_programs_as_they_are() -> None:
    for box in BOXES:
        assert box.language in ("console", "python")
        if box.language == "python":
            code = (EXAMPLES / box.label).read_text(encoding="utf-8")
            assert "\n" + "\n".join([*box.lines, ""]) in code


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_every_program_is_shown_run_and_listed(program: Path) -> None:
    assert program.name in {box.label for box in BOXES if box.language == "python"}
    assert any(line.startswith(f"$ python {program.name}") for box in BOXES for line in box.lines)
    assert f"[`{program.name}`]({program.name})" in (EXAMPLES / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_every_program_is_small(program: Path) -> None:
    assert len(program.read_text(encoding="utf-8").splitlines()) <= 60


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_every_program_tells_its_options(program: Path) -> None:
    result = subprocess.run(
        [sys.executable, program, "--help"], capture_output=True, encoding="utf-8", timeout=30, check=True
    )
    assert "--broker" in result.stdout
    assert result.stderr == ""


def test_links_of_the_list_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", (EXAMPLES / "README.md").read_text(encoding="utf-8")):
        assert (EXAMPLES / link).exists()
