"""The command line as a user has it: processes with pipes, or with a terminal of their own."""

from __future__ import annotations

import base64
import codecs
import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests._broker import Broker
from tests.unit.cli._screen import Screen

E4 = [sys.executable, "-m", "e4"]
# Makes its standard input its terminal, as a shell's is, and becomes the command.
_AT_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
PATIENCE = 20.0  # seconds; the machine may be busy


class Live:
    """``e4 client`` through pipes: commands go in when the test wants, lines come out."""

    def __init__(self, arguments: list[str], folder: Path, env: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [*E4, *arguments], cwd=folder, env=env,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.out: list[str] = []
        self.err: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(pipe, lines), daemon=True)
            for pipe, lines in ((self._process.stdout, self.out), (self._process.stderr, self.err))
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(pipe: Any, lines: list[str]) -> None:
        for line in pipe:
            lines.append(line.decode().removesuffix("\n"))

    def send(self, *lines: str) -> Live:
        """Give it commands."""
        assert self._process.stdin is not None
        self._process.stdin.write("".join(f"{line}\n" for line in lines).encode())
        self._process.stdin.flush()
        return self

    def sees(self, text: str, times: int = 1) -> Live:
        """Wait for a line on stdout that is this text."""
        return self._until(lambda: self.out.count(text) >= times, text)

    def complains(self, text: str) -> Live:
        """Wait for a line on stderr that holds this text."""
        return self._until(lambda: any(text in line for line in self.err), text)

    def event(self, **members: Any) -> dict[str, Any]:
        """Wait for a JSON event with these members."""

        def found() -> dict[str, Any] | None:
            events = (json.loads(line) for line in list(self.out))
            return next((event for event in events if members.items() <= event.items()), None)

        self._until(found, str(members))
        event = found()
        assert event is not None
        return event

    def finish(self, *lines: str) -> int:
        """Give it the last commands and the end of the input; its exit code."""
        self.send(*lines)
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self.wait()

    def wait(self) -> int:
        """Its exit code."""
        code = self._process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        return code

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait(PATIENCE)

    def _until(self, condition: Callable[[], object], what: str) -> Live:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline or (self._process.poll() is not None and not self._alive()):
                if condition():
                    break
                pytest.fail(f"{what!r} did not come; stdout {self.out}, stderr {self.err}")
            time.sleep(0.01)
        return self

    def _alive(self) -> bool:
        return any(reader.is_alive() for reader in self._readers)


class Typist:
    """A process at a terminal: what is on the screen, and keys pressed one after the other."""

    def __init__(
        self, arguments: list[str], folder: Path, env: dict[str, str], columns: int, rows: int
    ) -> None:
        self.screen = Screen(columns, rows)
        self.raw = ""
        self._terminal, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-c", _AT_TERMINAL, *E4, *arguments], cwd=folder, env=env,
            stdin=inside, stdout=inside, stderr=inside, start_new_session=True,
        )  # fmt: skip
        os.close(inside)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def press(self, keys: str) -> Typist:
        """Type; ``\\r`` is Enter, ``\\t`` Tab, ``\\x03`` Ctrl-C, ``\\x04`` Ctrl-D."""
        os.write(self._terminal, keys.encode())
        return self

    def until(self, condition: Callable[[list[str]], object], what: str) -> Typist:
        """Wait for the screen to look like this."""
        deadline = time.monotonic() + PATIENCE
        while not condition(self.screen.lines):
            if time.monotonic() > deadline:
                pytest.fail(f"{what}: not on the screen, which is {self.screen.lines}")
            self._read(0.05)
        return self

    def sees(self, line: str) -> Typist:
        """Wait for a line of the screen that is this one."""
        return self.until(lambda lines: line in lines, line)

    def ready(self, line: str) -> Typist:
        """Wait for a line of the screen that begins like this, and for a prompt after it.

        What is typed earlier than that, the terminal itself echoes.
        """
        return self.until(
            lambda lines: lines[-1:] and lines[-1].endswith(">") and any(s.startswith(line) for s in lines),
            line,
        )

    def exits(self, code: int) -> None:
        """Wait for its end, with this exit code."""
        deadline = time.monotonic() + PATIENCE
        while self._process.poll() is None:
            if time.monotonic() > deadline:
                pytest.fail(f"does not end; the screen is {self.screen.lines}")
            self._read(0.05)
        self._read(0.05)
        assert self._process.returncode == code, self.screen.lines

    def end(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE)
        os.close(self._terminal)

    def _read(self, timeout: float) -> None:
        if not select.select([self._terminal], [], [], timeout)[0]:
            return
        with contextlib.suppress(OSError):  # Linux's way to say that the other end is closed
            text = self._decoder.decode(os.read(self._terminal, 65536))
            self.raw += text
            self.screen.feed(text)


class Cli:
    """Runs ``e4`` in a folder of its own.

    Args:
        folder: for the files and the states of the clients.
        broker: given to every command that takes one.
    """

    def __init__(self, folder: Path, broker: Broker | None = None) -> None:
        self.folder = folder
        self.broker = broker
        self.env = {
            key: value
            for key, value in os.environ.items()
            if key not in ("E4_PASSWORD", "NO_COLOR", "COLUMNS")
        } | {"XDG_STATE_HOME": str(folder / "state"), "TERM": "xterm"}
        self._made: list[Live | Typist] = []
        self.printed = ""

    def run(self, *arguments: object, input: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        words = self._with_broker([str(argument) for argument in arguments])
        result = subprocess.run(
            [*E4, *words], cwd=self.folder, env=self.env, input=input or "", capture_output=True,
            text=True, timeout=3 * PATIENCE, check=False,
        )  # fmt: skip
        self.printed += result.stdout + result.stderr
        assert "Traceback" not in result.stderr
        return result

    def ok(self, *arguments: object, input: str | None = None) -> str:
        """Run a command that succeeds; what it prints."""
        result = self.run(*arguments, input=input)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def fails(self, code: int, text: str, *arguments: object) -> None:
        """Run a command that ends with this code and with one line about it on stderr."""
        result = self.run(*arguments)
        assert result.returncode == code, (result.returncode, result.stderr)
        assert result.stderr.startswith("e4: ")
        assert result.stderr.count("\n") == 1, result.stderr
        assert text in result.stderr

    def live(self, *arguments: object) -> Live:
        """Start ``e4 client`` with pipes."""
        words = self._with_broker(["client", *(str(argument) for argument in arguments)])
        made = Live(words, self.folder, self.env)
        self._made.append(made)
        return made

    def typist(self, *arguments: object, columns: int = 70, rows: int = 12, **env: str) -> Typist:
        """Start ``e4`` at a terminal."""
        words = self._with_broker([str(argument) for argument in arguments])
        made = Typist(words, self.folder, self.env | env, columns, rows)
        self._made.append(made)
        return made

    def end(self) -> None:
        """End what still runs."""
        for process in self._made:
            process.end()

    def assert_no_secret(self, *secrets: bytes) -> None:
        """None of these is in anything printed, in any form."""
        text = self.printed
        for made in self._made:
            text += made.raw if isinstance(made, Typist) else "\n".join([*made.out, *made.err])
        for secret in secrets:
            for form in (secret.hex(), base64.b64encode(secret).decode(), repr(secret)[2:-1]):
                assert form not in text

    def _with_broker(self, words: list[str]) -> list[str]:
        takes_it = (
            words[:1] in (["client"], ["command"]) and "--help" not in words and "--broker" not in words
        )
        if self.broker is None or not takes_it:
            return words
        return [*words, "--broker", f"{self.broker.host}:{self.broker.port}"]
