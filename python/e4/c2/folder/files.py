"""Files of a data folder: none that is half there, none that others can read, and the lock."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from e4.c2.settings import FILE, Configuration
from e4.errors import Conflict, DatabaseError

__all__ = ["LOCK", "building", "check_free", "lock", "write_secret"]

LOCK = "lock"


def check_free(path: Path) -> None:
    """Whether a data folder can be made there. Raises `Conflict` where something is."""
    path = path.expanduser().absolute()
    if os.path.lexists(path) and not (path.is_dir() and not any(path.iterdir())):
        raise Conflict(f"{path} exists and is not an empty folder: give another")


@contextlib.contextmanager
def building(path: Path) -> Iterator[Path]:
    """A folder beside the final one, that becomes it at the end; or inside it, where only that can be."""
    check_free(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The folder may be there for us, as a volume is, with a parent that is not ours to write to.
    inside = path.is_dir() and (path.is_mount() or not os.access(path.parent, os.W_OK))
    place = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path if inside else path.parent))
    try:
        yield place
        for file in place.iterdir():
            _sync(file)
        _sync(place)
        if inside:
            # The settings last: without them it is no data folder.
            for file in sorted(place.iterdir(), key=lambda file: file.name == FILE):
                file.rename(path / file.name)
            place.rmdir()
            path.chmod(0o700)
        else:
            with contextlib.suppress(FileNotFoundError):
                path.rmdir()  # only ever an empty one
            place.rename(path)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    _sync(path.parent)


@contextlib.contextmanager
def lock(configuration: Configuration) -> Iterator[None]:
    """Keep every other process from using the folder's SQLite database as a server does.

    A PostgreSQL database may be shared: nothing is locked. The lock ends with the process.

    Raises:
        DatabaseError: another process holds it, or the folder cannot be written.
    """
    if configuration.database_file() is None:
        yield
        return
    path = configuration.folder / LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    except OSError as error:
        raise DatabaseError(f"cannot open {path}: {error.strerror}") from error
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        try:
            _lock_file(file)
        except OSError:
            raise DatabaseError(
                f"{configuration.folder} is in use by another server: stop that one first"
            ) from None
        yield


def write_secret(path: Path, content: bytes) -> None:
    """Write a new file that only its owner can read."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)


if sys.platform == "win32":
    import msvcrt

    def _lock_file(file: BinaryIO) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

    def _sync(path: Path) -> None:
        """Windows has no such call; its rename is journalled."""

else:
    import fcntl

    def _lock_file(file: BinaryIO) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _sync(path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
