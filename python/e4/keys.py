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
    temporaries: list[str] = []
    placed: list[Path] = []
    try:
        for target, data, mode in wanted:
            if target.is_dir():
                raise IsADirectoryError(0, "it is a folder")
            temporaries.append(_write_temporary(target, data, mode))
        for (target, _, _), temporary in zip(wanted, temporaries, strict=True):
            _place(temporary, target, force)
            if not force:
                placed.append(target)
    except BaseException as error:
        for path_of_ours in placed:
            _discard(path_of_ours)
        if isinstance(error, FileExistsError):
            raise StoreError(
                f"{target} exists already: choose another name, or replace it with --force"
            ) from None
        if isinstance(error, OSError):
            raise StoreError(f"cannot write {target}: {error.strerror}") from error
        raise
    finally:
        for temporary in temporaries:
            _discard(temporary)


def _place(temporary: str, target: Path, force: bool) -> None:
    if not force:
        try:
            return os.link(temporary, target)  # unlike a rename, fails where the target exists
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            if os.path.lexists(target):
                raise FileExistsError from None
    return os.replace(temporary, target)


def _write_temporary(target: Path, data: bytes, mode: int) -> str:
    descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
    except BaseException:
        _discard(temporary)
        raise
    return temporary


def _discard(path: str | os.PathLike[str]) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
