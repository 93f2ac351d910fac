"""A private mosquitto for one test: on a free port, killed and started again at will."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")


def find(program: str) -> str | None:
    """The path of mosquitto, or of one of its tools."""
    return shutil.which(program) or shutil.which(program, path=os.pathsep.join(_PLACES))


def require(program: str) -> str:
    """The path of a program; without it the test is skipped, or fails where services are required."""
    path = find(program)
    if path is not None:
        return path
    if os.environ.get("E4_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{program} is not installed, and E4_REQUIRE_SERVICES=1")
    pytest.skip(f"{program} is not installed")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def until(condition: Callable[[], object], timeout: float = 15.0, what: str = "condition") -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {timeout} seconds: {what}")
        time.sleep(0.005)


@dataclass
class Broker:
    """One mosquitto on 127.0.0.1.

    Args:
        folder: for its configuration, its log and, with `persistent`, its database.
        persistent: whether sessions and messages survive a kill.
        lines: more lines of configuration.
        cafile: a client's way to trust it, where it speaks TLS.
    """

    folder: Path
    persistent: bool = False
    lines: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    host: str = "127.0.0.1"
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> Broker:
        """Start it, and wait until it listens."""
        program = require("mosquitto")
        lines = [f"listener {self.port} 127.0.0.1", *self.lines]
        if not any(line.startswith(("password_file", "allow_anonymous")) for line in lines):
            lines.append("allow_anonymous true")
        if self.persistent:
            lines += [
                "persistence true",
                f"persistence_location {self.folder}/",
                "autosave_on_changes true",
                "autosave_interval 1",
            ]
        if os.getuid() == 0:
            lines.append("user root")  # otherwise it gives up root, and cannot read the folder
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join([*lines, ""]))
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen([program, "-v", "-c", config], stdout=log, stderr=log)
        until(self._listens, what=f"mosquitto listens; its log: {self.log()[-2000:]}")
        return self

    def kill(self) -> None:
        """End it as a crash or a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Kill it, and start it again on the same port."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Have it answer nothing more; a kill still works."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Have it go on after `pause`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def save(self) -> None:
        """Have it write its database now."""
        assert self._process is not None
        database = self.folder / "mosquitto.db"
        before = database.stat().st_mtime_ns if database.exists() else 0
        self._process.send_signal(signal.SIGUSR1)
        until(lambda: database.exists() and database.stat().st_mtime_ns > before, what="mosquitto has saved")

    def log(self) -> str:
        """Its log so far."""
        return (self.folder / "mosquitto.log").read_text(errors="replace")

    def _listens(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            pytest.fail(f"mosquitto has ended: {self.log()[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 0.2):
            return True
        return False

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(number)
            if number == signal.SIGTERM:
                process.send_signal(signal.SIGCONT)
            process.wait(10)


class Brokers:
    """Makes the brokers of one test, and ends them with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[Broker] = []

    def __call__(self, *lines: str, persistent: bool = False, start: bool = True) -> Broker:
        """A new broker.

        Args:
            lines: of its configuration, beside the listener.
            persistent: whether sessions and messages survive a kill.
            start: whether it runs already.
        """
        require("mosquitto")
        folder = self._folder / f"mosquitto-{len(self._made)}"
        folder.mkdir()
        broker = Broker(folder, persistent, lines)
        self._made.append(broker)
        return broker.start() if start else broker

    def close(self) -> None:
        for broker in self._made:
            broker.kill()


def brokers(folder: Path) -> Iterator[Brokers]:
    """The body of the fixture."""
    made = Brokers(folder)
    try:
        yield made
    finally:
        made.close()
