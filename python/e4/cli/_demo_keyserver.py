"""The demo's key server, a process of its own: ``e4 c2 init`` and ``serve``, in a folder that goes with it.

It prints one line of JSON, ``{"url": …, "token": …, "ca": …}`` or ``{"error": …}``, and runs until its
standard input ends. Knows nothing of the story.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

_SHUTDOWN = 5.0  # seconds

# Of the settings that the user may have in the environment, none; of the demo's own, these.
_SETTINGS = {
    "E4_C2_BROKER_RETAIN": "false",  # nothing stays on a broker of others
    "E4_C2_BROKER_VERSION": "3.1.1",  # the most that the demo's own broker speaks
    # One command after the other: who reads is to have a new key before who writes.
    "E4_C2_BROKER_WINDOW": "1",
    "E4_C2_PASSPHRASE": secrets.token_urlsafe(24),
}


class _Failed(Exception):
    """The server does not start. The text says why."""


class _Host:
    """Starts the server in a folder, and ends both, whatever it is doing then."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="e4-demo-"))
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def start(self, host: str, port: int) -> None:
        """Make a data folder, start the server, say where it is."""
        try:
            data = self._folder / "c2"
            made = json.loads(self._output(self._run("init", "--data", str(data), "--json")))
            words = "--data", str(data), "--broker", f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            server = self._run("serve", *words, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
            assert server.stdout is not None
            url = self._listening(server.stdout)
            _say(url=url, token=made["token"], ca=made["certificate"])
            for _ in server.stdout:  # its log, which nobody reads
                pass
        except _Failed as error:
            _say(error=str(error))

    def close(self) -> None:
        """End the server, remove the folder."""
        with self._lock:
            self._closed = True
            process = self._process
        if process is not None:
            process.terminate()
            try:
                process.wait(_SHUTDOWN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, *words: str) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("E4_C2_")}
        with self._lock:
            if self._closed:
                raise _Failed("it was ended")
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "e4", "c2", *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=(self._folder / "stderr").open("wb"),
                env=environment | _SETTINGS,
            )
            return self._process

    def _output(self, process: subprocess.Popen[bytes]) -> bytes:
        output, _ = process.communicate()
        if process.returncode != 0:
            raise self._why()
        return output

    def _listening(self, log: IO[bytes]) -> str:
        """The address that the server has logged."""
        for line in log:
            entry: dict[str, Any] = json.loads(line)
            if entry.get("event") == "listening":
                return str(entry["http"])
        raise self._why()

    def _why(self) -> _Failed:
        lines = (self._folder / "stderr").read_text(errors="replace").splitlines()
        return _Failed(lines[-1].removeprefix("e4: ") if lines else "it says nothing")


def main() -> None:
    """Run the server until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the demo, which then ends us
    host, port = sys.argv[1:]
    server = _Host()
    threading.Thread(target=server.start, args=(host, int(port)), daemon=True).start()
    sys.stdin.buffer.read()
    server.close()
    os._exit(0)  # without waiting for a thread that waits for the server


def _say(**members: object) -> None:
    sys.stdout.write(json.dumps(members) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
