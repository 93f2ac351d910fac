"""Where a client's state is kept: in memory, or in a file that survives a kill at any moment.

A store holds bytes and knows nothing of what they mean.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from pathlib import Path
from typing import BinaryIO, Protocol

from e4.errors import StoreError, StoreLocked

__all__ = ["FileStore", "MemoryStore", "Store"]

_logger = logging.getLogger("e4.client")

_BINARY = getattr(os, "O_BINARY", 0)  # Windows


class Store(Protocol):
    """Keeps one client's state. Implement it to keep states elsewhere, in a database for example."""

    def read(self) -> bytes | None:
        """The state as last written, ``None`` where there is none. Raises `StoreError`."""

    def write(self, state: bytes) -> None:
        """Replace the state, whole and durably, or raise `StoreError` and leave it as it was."""

    def close(self) -> None:
        """Let another client open the state; the store may be opened again by reading or writing."""


class MemoryStore:
    """Keeps the state in memory, for tests and for clients that are made anew at each start."""

    def __init__(self) -> None:
        self._state: bytes | None = None

    def read(self) -> bytes | None:
        """The state as last written, ``None`` where there is none."""
        return self._state

    def write(self, state: bytes) -> None:
        """Replace the state."""
        self._state = state

    def close(self) -> None:
        """Does nothing."""


class FileStore:
    """Keeps the state in a file, mode 0600, in the format of deployed Go clients.

    A write goes to ``PATH.tmp``, which is synced and renamed over ``PATH``, and the folder is
    synced: after a kill or a power cut the file holds the old state or the new one. While a client
    has the state open, ``PATH.lock`` is locked (the file stays, the lock ends with the process).

    Args:
        path: the state file; its folder must exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        # A link is followed once, so that a rename replaces the file and not the link.
        self._path = Path(os.path.realpath(path))
        self._temporary = self._path.with_name(self._path.name + ".tmp")
        self._lock_path = self._path.with_name(self._path.name + ".lock")
        self._lock: BinaryIO | None = None
        self._guard = threading.Lock()

    def __repr__(self) -> str:
        return f"FileStore({str(self._path)!r})"

    @property
    def path(self) -> Path:
        """The state file."""
        return self._path

    def exists(self) -> bool:
        """Whether there is a state file; needs no lock."""
        return self._path.exists()

    def read(self) -> bytes | None:
        """The state as last written, ``None`` where there is none.

        Raises:
            StoreLocked: another client has this state open.
            StoreError: the file cannot be read.
        """
        with self._guard:
            self._open()
            try:
                return self._path.read_bytes()
            except FileNotFoundError:
                return None
            except OSError as error:
                raise StoreError(f"cannot read {self._path}: {error.strerror}") from error

    def write(self, state: bytes) -> None:
        """Replace the state, atomically and durably.

        Raises:
            StoreLocked: another client has this state open.
            StoreError: the file cannot be written; it holds the state from before.
        """
        with self._guard:
            self._open()
            try:
                self._write_temporary(state)
                os.replace(self._temporary, self._path)
            except OSError as error:
                self._discard_temporary()
                raise StoreError(f"cannot write {self._path}: {error.strerror}") from error
            # The rename is the commit: from here on the file holds the new state.
            try:
                _sync_folder(self._path.parent)
            except OSError as error:
                _logger.warning("%s is written, but may not outlast a power cut: %s", self._path, error)

    def close(self) -> None:
        """Let another client open the state."""
        with self._guard:
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    def _open(self) -> None:
        if self._lock is not None:
            return
        try:
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | _BINARY, 0o600)
        except OSError as error:
            raise StoreError(f"cannot open {self._lock_path}: {error.strerror}") from error
        lock = os.fdopen(descriptor, "r+b", buffering=0)
        try:
            _lock_file(lock)
        except OSError:
            lock.close()
            raise StoreLocked(
                f"{self._path} is open in another client: close that one first, or give this one its own file"
            ) from None
        self._lock = lock
        self._discard_temporary()  # what a killed process left half written

    def _discard_temporary(self) -> None:
        with contextlib.suppress(OSError):
            self._temporary.unlink()

    def _write_temporary(self, state: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
        with os.fdopen(os.open(self._temporary, flags, 0o600), "wb") as file:
            file.write(state)
            file.flush()
            os.fsync(file.fileno())


if sys.platform == "win32":
    import msvcrt

    def _lock_file(file: BinaryIO) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

    def _sync_folder(folder: Path) -> None:
        """Windows has no such call; its rename is journalled."""

else:
    import fcntl

    def _lock_file(file: BinaryIO) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _sync_folder(folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
