"""A key server as its operator has it: a data folder, and `e4 c2 serve` as a process on free ports."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from e4.c2 import folder
from e4.c2.model import Mode
from tests._broker import Broker, until

E4 = [sys.executable, "-m", "e4"]
FREE = ("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0")  # any ports
PASSPHRASE = "a long passphrase of the test"
PATIENCE = 60.0  # seconds; the machine may be busy


def clean_environment() -> dict[str, str]:
    """This process's environment without what would configure a server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("E4_")}


def run_c2(*words: object, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `e4 c2` to its end, without a terminal."""
    return subprocess.run(
        [*E4, "c2", *map(str, words)],
        env=clean_environment() | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def children(pid: int) -> list[int]:
    """The processes that a process has started and not waited for."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@dataclass
class C2Server:
    """One key server on 127.0.0.1.

    Args:
        data: its data folder; made at the first `start`.
        broker: where it sends commands; None: an address where nobody listens.
        mode: of its database.
        database: URL of an empty PostgreSQL database; None for SQLite.
        auth: whether it asks for tokens.
        settings: more of them, by name: ``{"delivery.poll_seconds": 0.1}``.
        token: of the administrator.
        ca: what its clients are to trust.
        log: what it has logged since the last start.
        complaints: its stderr since the last start.
    """

    data: Path
    broker: Broker | None = None
    mode: Mode = "symkey"
    database: str | None = None
    auth: bool = True
    settings: Mapping[str, object] = field(default_factory=dict)
    token: str = field(default="", repr=False)
    ca: Path = Path()
    log: list[dict[str, Any]] = field(default_factory=list, repr=False)
    complaints: list[str] = field(default_factory=list, repr=False)
    _ports: tuple[int, int] = (0, 0)
    _process: subprocess.Popen[bytes] | None = None
    _readers: list[threading.Thread] = field(default_factory=list)
    _clients: list[httpx.Client] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Of HTTP."""
        return f"https://127.0.0.1:{self._ports[0]}"

    @property
    def grpc(self) -> str:
        """``HOST:PORT`` of gRPC."""
        return f"127.0.0.1:{self._ports[1]}"

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    def make(self) -> C2Server:
        """Make the data folder, as `e4 c2 init` does, if there is none."""
        if not self.data.exists():
            made = folder.make(self.data, mode=self.mode, passphrase=PASSPHRASE, database=self.database)
            self.token = made.token or ""
        self.ca = self.data / "server.pem"
        return self

    def start(self, *arguments: str) -> C2Server:
        """Start it, and wait until it listens; a later start takes the same ports.

        Args:
            arguments: more of them, for `e4 c2 serve`.
        """
        self.launch(*arguments)
        until(self._listening, PATIENCE, f"the server listens; it says {self.log} {self.complaints}")
        return self

    def launch(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start it and wait for nothing."""
        self.make()
        broker = f"{self.broker.host}:{self.broker.port}" if self.broker else "127.0.0.1:9"
        words = [
            *("c2", "serve", "--data", str(self.data), "--broker", broker),
            *("--http", f"127.0.0.1:{self._ports[0]}", "--grpc", f"127.0.0.1:{self._ports[1]}"),
            *([] if self.auth else ["--auth", "none"]),
        ]
        settings = {f"E4_C2_{name.replace('.', '_').upper()}": _text(v) for name, v in self.settings.items()}
        self.log, self.complaints = [], []
        self._process = process = subprocess.Popen(
            [*E4, *words, *arguments],
            env=clean_environment() | settings | {"E4_C2_PASSPHRASE": PASSPHRASE},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._readers = [
            threading.Thread(target=_read_log, args=(process.stdout, self.log), daemon=True),
            threading.Thread(target=_read_text, args=(process.stderr, self.complaints), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        return process

    def until_ready(self) -> C2Server:
        """Wait until it is connected to its broker."""
        with self.client() as client:
            until(lambda: client.get("/readyz").json()["status"] == "ready", PATIENCE, "the server is ready")
        return self

    def client(self, token: str | None = None) -> httpx.Client:
        """For its HTTP API: trusts it, and presents a token, the administrator's if none is given."""
        headers = {"Authorization": f"Bearer {token or self.token}"} if self.auth else {}
        client = httpx.Client(base_url=self.url, verify=tls(self.ca), headers=headers, timeout=PATIENCE)
        self._clients.append(client)
        return client

    def logged(self, event: str) -> list[dict[str, Any]]:
        """What it has logged of an event."""
        return [line for line in list(self.log) if line.get("event") == event]

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit code, once it has ended; all it has said is then in `log` and `complaints`."""
        assert self._process is not None
        code = self._process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        return code

    def kill(self) -> None:
        """End it as a crash would."""
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        """End it in order; its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def restart(self) -> C2Server:
        """Kill it, and start it again."""
        self.kill()
        return self.start()

    def close(self) -> None:
        """End what is left."""
        for client in self._clients:
            client.close()
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def _listening(self) -> bool:
        assert self._process is not None
        for line in self.logged("listening"):
            self._ports = (_port(line["http"]), _port(line["grpc"]))
            return True
        if self._process.poll() is not None:
            self.wait()
            pytest.fail(f"the server has ended: {self.complaints}, its log: {self.log}")
        return False


def tls(ca: Path) -> Any:
    """A client's TLS context that trusts one file."""
    import ssl

    return ssl.create_default_context(cafile=ca)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _read_log(pipe: Any, lines: list[dict[str, Any]]) -> None:
    for line in pipe:
        with contextlib.suppress(ValueError):
            lines.append(json.loads(line))
            continue
        lines.append({"event": "not JSON", "text": line.decode(errors="replace")})


def _read_text(pipe: Any, lines: list[str]) -> None:
    for line in pipe:
        lines.append(line.decode().removesuffix("\n"))


class C2Servers:
    """Makes the servers of one test, and ends them with it. The arguments are those of `C2Server`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[C2Server] = []

    def __call__(self, broker: Broker | None = None, *, start: bool = True, **arguments: Any) -> C2Server:
        """A new server, which runs already unless `start` is false."""
        arguments.setdefault("data", self._folder / f"c2-{len(self._made)}")
        server = C2Server(broker=broker, **arguments)
        self._made.append(server)
        return server.start() if start else server

    def close(self) -> None:
        for server in self._made:
            server.close()


def servers(folder: Path) -> Iterator[C2Servers]:
    """The body of the fixture."""
    made = C2Servers(folder)
    try:
        yield made
    finally:
        made.close()
