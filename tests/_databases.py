"""Databases for tests: SQLite files, and databases of a private PostgreSQL server.

The server runs as a plain user (PostgreSQL refuses root), without syncing to disk, once per pytest worker;
each test gets a copy of a database that has its tables already. It ends with pytest, also when that is
killed.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from e4.c2.storage import Store
from tests._broker import free_port

_PASSWORD = "correct horse battery"  # of a server on 127.0.0.1 that lives as long as the tests
_NAME = "e4-postgresql-"
_TEMPLATE = "e4_template"


def find(program: str) -> str | None:
    """The path of one of PostgreSQL's programs."""
    path = shutil.which(program)
    if path is not None:
        return path
    versions = Path("/usr/lib/postgresql").glob(f"*/bin/{program}")
    newest = max(versions, key=lambda path: int(path.parts[-3]), default=None)
    return None if newest is None else str(newest)


def require(program: str) -> str:
    """The path of a program; without it the test is skipped, or fails where services are required."""
    path = find(program)
    if path is not None:
        return path
    if os.environ.get("E4_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{program} is not installed, and E4_REQUIRE_SERVICES=1")
    pytest.skip(f"{program} is not installed")


class PostgreSQL:
    """A PostgreSQL server on 127.0.0.1.

    Args:
        folder: for its data and log; made, and removed by `close`.
    """

    def __init__(self) -> None:
        self._postgres = require("postgres")
        initdb = require("initdb")
        _remove_left_over()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_NAME}{os.getpid()}-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        self._as_plain_user: list[str] = []
        setpriv = shutil.which("setpriv")
        if setpriv is not None:  # has it end when its parent is gone
            self._as_plain_user = [setpriv, "--pdeathsig=QUIT"]
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            self._as_plain_user += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        password = self.folder / "password"
        password.write_text(_PASSWORD)
        password.chmod(0o644)
        try:
            self._run(
                initdb,
                *("--no-sync", "--username=e4", "--encoding=UTF8", "--locale=C.UTF-8"),
                *("--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password}"),
                f"--pgdata={self.folder / 'data'}",
            )
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "64MB",
            "max_connections": 200,
            "max_wal_size": "4GB",
            "lc_messages": "C",
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as_plain_user, self._postgres, "-D", str(self.folder / "data"), *arguments],
                stdout=log,
                stderr=log,
                cwd="/",
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self._admin(), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    text = (self.folder / "log").read_text(errors="replace")[-2000:]
                    pytest.fail(f"PostgreSQL did not start: {text}")
                time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """End it, and every connection to it; SIGQUIT: as a crash would."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(number)
            process.wait(60)

    def restart(self) -> None:
        """End it, and start it again on the same port."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End it for good."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, name: str) -> str:
        """The URL of a database."""
        return f"postgresql://e4:{_PASSWORD.replace(' ', '%20')}@127.0.0.1:{self.port}/{name}"

    def empty(self) -> str:
        """The URL of a new database without tables."""
        return self._create("template0")

    def ready(self) -> str:
        """The URL of a new database of the newest revision."""
        if not self._execute(f"SELECT 1 FROM pg_database WHERE datname = '{_TEMPLATE}'"):
            self._execute(f"CREATE DATABASE {_TEMPLATE} TEMPLATE template0")
            Store.create(self.url(_TEMPLATE)).close()
        return self._create(_TEMPLATE)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected to it."""
        self._execute(f"DROP DATABASE IF EXISTS {url.rsplit('/', 1)[1]} WITH (FORCE)")

    def _create(self, template: str) -> str:
        self._made += 1
        name = f"e4_{self._made}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def _admin(self) -> str:
        return f"host={self.folder} port={self.port} user=e4 dbname=postgres"

    def _execute(self, sql: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self._admin(), autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def _run(self, *command: str) -> None:
        done = subprocess.run([*self._as_plain_user, *command], capture_output=True, text=True, cwd="/")
        if done.returncode:
            pytest.fail(f"{command[0]}: {done.stderr[-2000:]}")


def _remove_left_over() -> None:
    """Remove the folders of servers whose pytest was killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_NAME}*"):
        with contextlib.suppress(ValueError, PermissionError):
            try:
                os.kill(int(folder.name.removeprefix(_NAME).split("-")[0]), 0)
            except ProcessLookupError:
                shutil.rmtree(folder, ignore_errors=True)


def servers() -> Iterator[PostgreSQL]:
    """The body of the fixture `postgresql`."""
    server = PostgreSQL()
    try:
        yield server
    finally:
        server.close()


def urls(request: pytest.FixtureRequest, folder: Path, *, ready: bool = True) -> Iterator[str]:
    """The body of fixtures of a database's URL; the parameter says of which kind.

    Args:
        request: its parameter is ``sqlite`` or ``postgresql``.
        folder: for a SQLite file.
        ready: whether it has its tables.
    """
    if request.param == "sqlite":
        url = f"sqlite:///{folder / 'e4.db'}"
        if ready:
            Store.create(url).close()
        yield url
    else:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        url = server.ready() if ready else server.empty()
        try:
            yield url
        finally:
            server.drop(url)
