"""A data folder: made whole or not at all, locked by the server that uses it, opened with its passphrase.

::

    DIR/                 mode 0700, every file 0600
      config.toml        settings
      c2.db              the SQLite database (none where the settings name a PostgreSQL one)
      server.pem, .key   the server's certificate, made here unless another is given
      lock               locked while a server or another exclusive command runs on SQLite

Lives here: the folder's files and the server's certificate. Knows no API and no broker.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import shutil
import ssl
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from e4.c2.model import Actor, Call, Mode, Role
from e4.c2.service import Service, setup
from e4.c2.settings import FILE, Configuration, load, render_file
from e4.c2.storage import Store
from e4.c2.vault import Vault
from e4.errors import Conflict, DatabaseError, InvalidPassword, InvalidSettings, StoreError

__all__ = [
    "Made",
    "certificate_end",
    "change_passphrase",
    "check_certificate",
    "check_free",
    "check_passphrase",
    "fingerprint",
    "lock",
    "make",
    "migrate",
    "open_database",
    "write_secret",
]

CERTIFICATE, KEY, LOCK, PASSPHRASE = "server.pem", "server.key", "lock", "passphrase"
MIN_PASSPHRASE = 16  # bytes, as for clients' passwords
_RSA_BITS = 3072
_YEARS = 10


@dataclass(frozen=True, slots=True)
class Made:
    """What `make` has made.

    Args:
        token: the secret of the first token, of an administrator; it is nowhere else.
        certificate: the file of the server's certificate, which clients are to trust.
        c2_public_key: 32 bytes in public-key mode.
    """

    folder: Path
    mode: Mode
    token: str = field(repr=False)
    certificate: Path
    fingerprint: str
    c2_public_key: bytes | None


def check_passphrase(passphrase: str) -> None:
    """Whether a new passphrase is long enough. Raises `InvalidPassword`."""
    if len(passphrase.encode(errors="surrogateescape")) < MIN_PASSPHRASE:
        raise InvalidPassword(f"the passphrase must be at least {MIN_PASSPHRASE} bytes of UTF-8")


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
    path = path.expanduser().absolute()
    values: dict[str, object] = {}
    if database is not None:
        values["database.url"] = database
    if certificate is not None:
        chain, key = (file.expanduser().absolute() for file in certificate)
        check_certificate(chain, key)
        values |= {"tls.certificate": chain, "tls.key": key}
    if keep_passphrase:
        values["server.passphrase_file"] = PASSPHRASE
    try:
        with _building(path) as building:
            write_secret(building / FILE, render_file(values).encode())
            if certificate is None:
                _make_certificate(building / CERTIFICATE, building / KEY, hosts)
            if keep_passphrase:
                write_secret(building / PASSPHRASE, f"{passphrase}\n".encode())
            write_secret(building / LOCK, b"")
            token, public_key = _fill(load(building), mode, passphrase)
    except OSError as error:
        raise StoreError(f"cannot make {path}: {error.strerror}") from error
    final = load(path).path(load(path).settings.tls.certificate)
    return Made(path, mode, token, final, fingerprint(final), public_key)


def check_free(path: Path) -> None:
    """Whether a data folder can be made there. Raises `Conflict` where something is."""
    path = path.expanduser().absolute()
    if os.path.lexists(path) and not (path.is_dir() and not any(path.iterdir())):
        raise Conflict(f"{path} exists and is not an empty folder: give another")


@contextlib.contextmanager
def _building(path: Path) -> Iterator[Path]:
    """A folder beside the final one, that becomes it at the end; or inside it, where only that can be."""
    check_free(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The folder may be there for us, as a volume is, with a parent that is not ours to write to.
    inside = path.is_dir() and (path.is_mount() or not os.access(path.parent, os.W_OK))
    building = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path if inside else path.parent))
    try:
        yield building
        for file in building.iterdir():
            _sync(file)
        _sync(building)
        if inside:
            # The settings last: without them it is no data folder.
            for file in sorted(building.iterdir(), key=lambda file: file.name == FILE):
                file.rename(path / file.name)
            building.rmdir()
            path.chmod(0o700)
        else:
            with contextlib.suppress(FileNotFoundError):
                path.rmdir()  # only ever an empty one
            building.rename(path)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    _sync(path.parent)


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


def _fill(configuration: Configuration, mode: Mode, passphrase: str) -> tuple[str, bytes | None]:
    """Make the database: its vault, its first token, in public-key mode C2's key pair."""
    store = Store.create(configuration.database_url())
    try:
        vault = setup.initialise(store, mode, passphrase, time.time_ns() // 1_000_000)
        service = Service(store, vault)
        call = Call(Actor("init", Role.ADMIN, protect=True), request_id="init")
        _, token = service.tokens.new_token(call, "admin", Role.ADMIN, True, None)
        return token, service.keys.c2_public_key(call) if mode == "pubkey" else None
    finally:
        store.close()


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


def check_certificate(certificate: Path, key: Path) -> ssl.SSLContext:
    """The server's side of TLS 1.2 or newer, with this certificate. Raises `InvalidSettings`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for file in (certificate, key):
        try:
            file.read_bytes()
        except OSError as error:
            raise InvalidSettings(f"cannot read {file}: {error.strerror}") from None
    try:
        # An encrypted key must fail, not ask on the terminal.
        context.load_cert_chain(certificate, key, lambda: "")
    except (OSError, ValueError):
        raise InvalidSettings(
            f"{certificate} and {key} are not a certificate and its key, PEM and without a password"
        ) from None
    return context


def certificate_end(certificate: Path) -> float:
    """When the first certificate in a file ends; seconds since the epoch. Raises `InvalidSettings`."""
    return _read_certificate(certificate).not_valid_after_utc.timestamp()


def fingerprint(certificate: Path) -> str:
    """SHA-256 of the first certificate in a file, as tools print it. Raises `InvalidSettings`."""
    return _read_certificate(certificate).fingerprint(hashes.SHA256()).hex(":").upper()


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        raise InvalidSettings(f"{path} does not hold a certificate") from None


def _make_certificate(path: Path, key_path: Path, hosts: Sequence[str]) -> None:
    """A self-signed certificate for this machine, and its RSA key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "e4 c2")])
    now = datetime.datetime.now(datetime.UTC)
    names = [_general_name(host) for host in dict.fromkeys(["localhost", "127.0.0.1", "::1", *hosts])]
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clients' clocks differ
        .not_valid_after(now + datetime.timedelta(days=365 * _YEARS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    write_secret(path, certificate.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_secret(key_path, pem)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError:
        raise InvalidSettings(f"{host!r} is neither a host's name nor an address") from None


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
