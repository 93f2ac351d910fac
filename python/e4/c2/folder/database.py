"""What is done to the database of a data folder: opened, given a passphrase, copied, migrated, filled."""

from __future__ import annotations

import time
from pathlib import Path

from e4.c2.folder.files import lock
from e4.c2.model import Actor, Call, Mode, Role
from e4.c2.service import Service, setup
from e4.c2.service.legacy import TakenOver
from e4.c2.settings import Configuration
from e4.c2.storage import Store, copy
from e4.c2.storage.copy import Progress
from e4.c2.storage.legacy import LegacyDatabase
from e4.c2.vault import Vault
from e4.errors import InvalidPassword, InvalidRequest

__all__ = [
    "back_up",
    "change_passphrase",
    "check_passphrase",
    "fill",
    "import_legacy",
    "migrate",
    "open_database",
]

MIN_PASSPHRASE = 16  # bytes, as for clients' passwords


def check_passphrase(passphrase: str) -> None:
    """Whether a new passphrase is long enough. Raises `InvalidPassword`."""
    if len(passphrase.encode(errors="surrogateescape")) < MIN_PASSPHRASE:
        raise InvalidPassword(f"the passphrase must be at least {MIN_PASSPHRASE} bytes of UTF-8")


def open_database(configuration: Configuration, passphrase: str) -> tuple[Store, Vault]:
    """The database of a folder, and its vault.

    Raises:
        DatabaseError: it is not there, not of this version, or holds no key server.
        WrongPassphrase: the passphrase is another one's.
    """
    store = Store.open(configuration.database_url())
    try:
        return store, setup.open_vault(store, passphrase)
    except BaseException:
        store.close()
        raise


def change_passphrase(configuration: Configuration, old: str, new: str) -> None:
    """Change the passphrase; a running server goes on.

    Raises:
        InvalidPassword: the new one is too short.
        WrongPassphrase: the old one is another database's.
        DatabaseError: see `open_database`.
    """
    check_passphrase(new)
    store = Store.open(configuration.database_url())
    try:
        setup.change_passphrase(store, old, new)
    finally:
        store.close()


def migrate(configuration: Configuration) -> None:
    """Bring the database up to this version. Raises `DatabaseError`, also while a server uses it."""
    with lock(configuration):
        Store.migrate(configuration.database_url()).close()


def back_up(configuration: Configuration, path: Path, progress: Progress | None = None) -> None:
    """Write a copy of a folder's database to a new file, while a server uses it or not.

    Raises:
        DatabaseError: there is a file already, or the copy cannot be made.
    """
    store = Store.open(configuration.database_url())
    try:
        copy.backup(store, path.absolute(), progress)
    finally:
        store.close()


def import_legacy(
    configuration: Configuration,
    passphrase: str,
    source: str,
    legacy_passphrase: str,
    c2_private_key: bytes | None,
    progress: Progress,
) -> TakenOver:
    """Take over a deployed server's database; no server may use the folder meanwhile.

    Args:
        configuration: of a folder without clients and topics.
        passphrase: of the folder.
        source: URL of the deployed server's database.
        legacy_passphrase: of the deployed server.
        c2_private_key: in public-key mode the deployed server's, 32 bytes.
        progress: is told how far it is: the table, rows done, rows in all.

    Raises:
        Conflict: there are clients or topics already.
        InvalidRequest: public-key mode, and its key is not given.
        WrongPassphrase: one of the two is not the database's.
        DatabaseError: a database cannot be read or written, or holds what is not valid in this mode.
    """
    with lock(configuration), LegacyDatabase(source) as legacy:
        store, vault = open_database(configuration, passphrase)
        try:
            service = Service(store, vault)
            if service.mode == "pubkey" and c2_private_key is None:
                raise InvalidRequest(
                    "clients in public-key mode know the old server's key: give it with --c2-key"
                )
            return service.import_legacy(
                _call("import-legacy"),
                legacy,
                legacy_passphrase,
                c2_private_key=c2_private_key,
                progress=progress,
            )
        finally:
            store.close()


def fill(configuration: Configuration, mode: Mode, passphrase: str) -> tuple[str, bytes | None]:
    """Make the database: its vault, its first token, in public-key mode C2's key pair."""
    store = Store.create(configuration.database_url())
    try:
        vault = setup.initialise(store, mode, passphrase, time.time_ns() // 1_000_000)
        service = Service(store, vault)
        call = _call("init")
        _, token = service.tokens.new_token(call, "admin", Role.ADMIN, True, None)
        return token, service.keys.c2_public_key(call) if mode == "pubkey" else None
    finally:
        store.close()


def _call(what: str) -> Call:
    """By whoever may read the folder."""
    return Call(Actor(what, Role.ADMIN, protect=True), request_id=what)
