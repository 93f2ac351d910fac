"""A new data folder: fresh, or from a backup."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from e4.c2.folder.certificate import check_certificate, fingerprint, make_certificate
from e4.c2.folder.database import check_passphrase, fill
from e4.c2.folder.files import LOCK, building, write_secret
from e4.c2.model import Mode
from e4.c2.service import setup
from e4.c2.settings import FILE, Configuration, load, render_file
from e4.c2.storage import Store, copy
from e4.c2.storage.copy import Progress
from e4.errors import DatabaseError, StoreError

__all__ = ["Made", "make", "restore"]

CERTIFICATE, KEY, PASSPHRASE = "server.pem", "server.key", "passphrase"


@dataclass(frozen=True, slots=True)
class Made:
    """What `make` has made.

    Args:
        token: the secret of the first token, of an administrator; it is nowhere else. None after `restore`.
        certificate: the file of the server's certificate, which clients are to trust.
        c2_public_key: 32 bytes in public-key mode; None after `restore`.
    """

    folder: Path
    mode: Mode
    token: str | None = field(repr=False)
    certificate: Path
    fingerprint: str
    c2_public_key: bytes | None


def make(
    path: Path,
    *,
    mode: Mode,
    passphrase: str,
    database: str | None = None,
    certificate: tuple[Path, Path] | None = None,
    hosts: Sequence[str] = (),
    keep_passphrase: bool = False,
) -> Made:
    """Make a data folder, whole or not at all.

    Args:
        path: not there yet, or an empty folder.
        mode: for good; ``symkey`` or ``pubkey``.
        passphrase: closes the database's keys; at least 16 bytes.
        database: URL of a PostgreSQL database that holds no key server yet; without it a SQLite file.
        certificate: the files of the server's certificate and of its key; without it one is made.
        hosts: more names and addresses for the certificate that is made.
        keep_passphrase: write it into the folder, for trying out.

    Raises:
        Conflict: the folder is not empty, or the database is in use.
        InvalidPassword: the passphrase is too short.
        InvalidSettings: the certificate or the database's URL is not valid.
        DatabaseError: the database cannot be made.
        StoreError: the folder cannot be written.
    """
    check_passphrase(passphrase)
    with _new(path, database, certificate, hosts, passphrase if keep_passphrase else None) as configuration:
        token, public_key = fill(configuration, mode, passphrase)
    return _made(path, mode, token, public_key)


def restore(
    path: Path,
    backup: Path,
    *,
    database: str | None = None,
    certificate: tuple[Path, Path] | None = None,
    hosts: Sequence[str] = (),
    progress: Progress | None = None,
) -> Made:
    """Make a data folder from a backup, whole or not at all; its passphrase and tokens are the backup's.

    Args:
        path: not there yet, or an empty folder.
        backup: the file.
        database: see `make`; likewise `certificate` and `hosts`.
        progress: is told how far it is: the table, rows done, rows in all.

    Raises:
        Conflict: see `make`; likewise `InvalidSettings` and `StoreError`.
        DatabaseError: the backup cannot be read, or the database is not empty or cannot be written.
    """
    if not backup.is_file():
        raise DatabaseError(f"there is no file {backup}")
    with _new(path, database, certificate, hosts, None) as configuration:
        copy.restore(backup.absolute(), configuration.database_url(), progress)
        store = Store.open(configuration.database_url())
        try:
            mode = setup.mode_of(store)
        finally:
            store.close()
    return _made(path, mode, None, None)


def _made(path: Path, mode: Mode, token: str | None, public_key: bytes | None) -> Made:
    configuration = load(path.expanduser().absolute())
    certificate = configuration.path(configuration.settings.tls.certificate)
    return Made(configuration.folder, mode, token, certificate, fingerprint(certificate), public_key)


@contextlib.contextmanager
def _new(
    path: Path,
    database: str | None,
    certificate: tuple[Path, Path] | None,
    hosts: Sequence[str],
    passphrase: str | None,
) -> Iterator[Configuration]:
    """A new folder, all but its database; it appears at the end of the block."""
    path = path.expanduser().absolute()
    values: dict[str, object] = {}
    if database is not None:
        values["database.url"] = database
    if certificate is not None:
        chain, key = (file.expanduser().absolute() for file in certificate)
        check_certificate(chain, key)
        values |= {"tls.certificate": chain, "tls.key": key}
    if passphrase is not None:
        values["server.passphrase_file"] = PASSPHRASE
    try:
        with building(path) as place:
            write_secret(place / FILE, render_file(values).encode())
            if certificate is None:
                make_certificate(place / CERTIFICATE, place / KEY, hosts)
            if passphrase is not None:
                write_secret(place / PASSPHRASE, f"{passphrase}\n".encode())
            write_secret(place / LOCK, b"")
            yield load(place)
    except OSError as error:
        raise StoreError(f"cannot make {path}: {error.strerror}") from error
