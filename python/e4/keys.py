"""Key files: raw bytes, private ones with mode 0600 (protocol, section 6).

A file is 32 bytes (symmetric, X25519 private), 64 bytes (Ed25519 private), or 32 bytes in
``NAME.pub`` (public). Lives here: reading and writing them. What makes a key valid is elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from e4 import _wire
from e4.errors import InvalidKey, StoreError

__all__ = ["public_path", "read_key_file", "write_key_file"]


def public_path(path: str | os.PathLike[str]) -> Path:
    """Where the public half of a private key file is kept: ``NAME.pub`` beside it."""
    path = Path(path)
    return path.with_name(path.name + ".pub")


def read_key_file(path: str | os.PathLike[str], length: int = _wire.KEY_LEN) -> bytes:
    """The key in a file.

    Args:
        path: the file.
        length: how many bytes it must hold.

    Raises:
        InvalidKey: the file holds another number of bytes.
        StoreError: the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            key = file.read(length + 1)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise StoreError(f"cannot read {os.fspath(path)}: {error.strerror}") from error
    if len(key) != length:
        raise InvalidKey(f"{os.fspath(path)} holds {size} bytes, not the {length} of a raw key")
    return key


def write_key_file(
    path: str | os.PathLike[str], key: bytes, *, public_key: bytes | None = None, force: bool = False
) -> None:
    """Write a private key with mode 0600 and, where there is one, its public half to ``NAME.pub``.

    Both files are written or neither, and each is whole at any moment.

    Args:
        path: the private key's file.
        key: its raw bytes.
        public_key: the public half's raw bytes.
        force: replace files that exist.

    Raises:
        StoreError: a file exists and `force` is not given, or cannot be written.
    """
    wanted = [(Path(path), key, 0o600)]
    if public_key is not None:
        wanted.append((public_path(path), public_key, 0o644))
    if not force:
        for target, _, _ in wanted:
            if os.path.lexists(target):
                raise StoreError(f"{target} exists already: choose another name, or replace it with --force")
    written: list[tuple[str, Path]] = []
    try:
        for target, data, mode in wanted:
            descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # 0600
            written.append((temporary, target))
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, mode)
        for temporary, target in written:
            os.replace(temporary, target)
    except OSError as error:
        for temporary, _ in written:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise StoreError(f"cannot write {os.fspath(path)}: {error.strerror}") from error
