"""A data folder: what is in it, that it is made whole or not at all, who may use it."""

from __future__ import annotations

import os
import ssl
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from e4.c2 import folder
from e4.c2.auth import Authenticator
from e4.c2.folder import Made, make
from e4.c2.model import Call, Mode, Role
from e4.c2.service import Service, setup
from e4.c2.settings import load
from e4.errors import Conflict, DatabaseError, InvalidPassword, InvalidSettings, WrongPassphrase
from tests._certificates import Authority
from tests._databases import PostgreSQL

PASSPHRASE = "a long passphrase of the test"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Faster than to make an RSA key each time."""
    place = tmp_path / "pki"
    place.mkdir()
    return Authority(place, "ca").issue("c2")


@pytest.fixture
def made(tmp_path: Path, certificate: tuple[Path, Path]) -> Made:
    return make(tmp_path / "c2", mode="symkey", passphrase=PASSPHRASE, certificate=certificate)


def left(place: Path) -> list[str]:
    return sorted(entry.name for entry in place.iterdir())


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_all_is_there_and_for_the_owner_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        made = make(
            tmp_path / "deep" / "c2", mode="symkey", passphrase=PASSPHRASE, hosts=["c2.example", "10.1.2.3"]
        )
    finally:
        os.umask(old)
    assert left(made.folder) == ["c2.db", "config.toml", "lock", "server.key", "server.pem"]
    assert left(tmp_path / "deep") == ["c2"]
    assert mode_of(made.folder) == 0o700
    assert {mode_of(file) for file in made.folder.iterdir()} == {0o600}
    certificate = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 3072
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "c2.example"]
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    assert addresses == ["127.0.0.1", "::1", "10.1.2.3"]
    years = (folder.certificate_end(made.certificate) - time.time()) / 86400 / 365
    assert 9.9 < years < 10.1
    assert made.fingerprint.count(":") == 31
    ssl.create_default_context(cafile=made.certificate)


@pytest.mark.parametrize("mode", ["symkey", "pubkey"])
def test_the_token_is_an_administrators_and_the_mode_is_kept(
    tmp_path: Path, mode: Mode, certificate: tuple[Path, Path]
) -> None:
    made = make(tmp_path / "c2", mode=mode, passphrase=PASSPHRASE, certificate=certificate)
    store, vault = folder.open_database(load(made.folder), PASSPHRASE)
    try:
        actor = Authenticator(store, required=True).actor_of(made.token, "")
        assert (actor.name, actor.role, actor.protect) == ("admin", Role.ADMIN, True)
        service = Service(store, vault)
        assert service.mode == mode
        if mode == "pubkey":
            assert service.keys.c2_public_key(Call(actor, "test")) == made.c2_public_key
            assert made.c2_public_key is not None
        else:
            assert made.c2_public_key is None
    finally:
        store.close()


def test_no_secret_is_shown_or_written_in_the_clear(made: Made) -> None:
    assert made.token not in repr(made)
    for file in made.folder.iterdir():
        content = file.read_bytes()
        assert made.token.encode() not in content
        assert PASSPHRASE.encode() not in content


def test_an_empty_folder_is_taken_and_another_is_not(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    place = tmp_path / "c2"
    place.mkdir(mode=0o755)
    make(place, mode="symkey", passphrase=PASSPHRASE, certificate=certificate)
    assert mode_of(place) == 0o700
    before = left(place)
    with pytest.raises(Conflict, match="not an empty folder"):
        make(place, mode="symkey", passphrase=PASSPHRASE, certificate=certificate)
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(Conflict):
        make(file, mode="symkey", passphrase=PASSPHRASE, certificate=certificate)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(Conflict):
        make(link, mode="symkey", passphrase=PASSPHRASE, certificate=certificate)
    assert (left(place), file.read_text()) == (before, "mine")


@pytest.mark.parametrize("there", [False, True])
def test_nothing_is_left_where_it_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: tuple[Path, Path], there: bool
) -> None:
    place = tmp_path / "home" / "c2"
    place.parent.mkdir()
    if there:
        place.mkdir()

    def fail(*_: object) -> None:
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(setup, "initialise", fail)
    with pytest.raises(DatabaseError, match="the disk is full"):
        make(place, mode="symkey", passphrase=PASSPHRASE, certificate=certificate)
    assert left(place.parent) == (["c2"] if there else [])
    assert not there or left(place) == []
    monkeypatch.undo()
    make(place, mode="symkey", passphrase=PASSPHRASE, certificate=certificate)


def test_a_folder_that_is_there_for_us_is_filled_from_within(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: tuple[Path, Path]
) -> None:
    place = tmp_path / "volume"
    place.mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path == place)
    make(place, mode="symkey", passphrase=PASSPHRASE, certificate=certificate)
    assert left(place) == ["c2.db", "config.toml", "lock"]
    assert mode_of(place) == 0o700
    folder.open_database(load(place), PASSPHRASE)[0].close()


@pytest.mark.parametrize("passphrase", ["", "fifteen bytes..", "é" * 7])
def test_a_short_passphrase_is_refused(tmp_path: Path, passphrase: str) -> None:
    with pytest.raises(InvalidPassword, match="16 bytes"):
        make(tmp_path / "c2", mode="symkey", passphrase=passphrase)
    assert left(tmp_path) == []


def test_another_certificate_stays_where_it_is(made: Made, certificate: tuple[Path, Path]) -> None:
    assert left(made.folder) == ["c2.db", "config.toml", "lock"]
    assert made.certificate == certificate[0]
    tls = load(made.folder).settings.tls
    assert (tls.certificate, tls.key) == certificate


def test_a_certificate_that_cannot_be_used_is_refused(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    place = tmp_path / "pki"
    other = Authority(place, "other").issue("other")
    locked = Authority(place, "third").issue("locked", b"a password")
    for pair, text in (
        ((certificate[0], other[1]), "are not a certificate and its key"),
        (locked, "without a password"),
        ((tmp_path / "none.pem", certificate[1]), "cannot read"),
        ((certificate[1], certificate[1]), "are not a certificate and its key"),
    ):
        with pytest.raises(InvalidSettings, match=text):
            make(tmp_path / "c2", mode="symkey", passphrase=PASSPHRASE, certificate=pair)
    assert left(tmp_path) == ["pki"]


def test_a_host_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="neither a host's name nor an address"):
        make(tmp_path / "c2", mode="symkey", passphrase=PASSPHRASE, hosts=["é"])
    assert left(tmp_path) == []


def test_a_passphrase_is_kept_only_where_that_is_asked_for(
    tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    made = make(
        tmp_path / "c2", mode="symkey", passphrase=PASSPHRASE, certificate=certificate, keep_passphrase=True
    )
    assert (made.folder / "passphrase").read_text() == f"{PASSPHRASE}\n"
    assert load(made.folder).settings.server.passphrase_file == Path("passphrase")


def test_a_wrong_passphrase_opens_nothing(made: Made) -> None:
    with pytest.raises(WrongPassphrase):
        folder.open_database(load(made.folder), f"{PASSPHRASE}.")


def test_the_passphrase_changes_and_the_keys_stay(made: Made) -> None:
    configuration = load(made.folder)
    store, vault = folder.open_database(configuration, PASSPHRASE)
    sealed = vault.seal("topic_keys", 1, 1, bytes(32))
    with pytest.raises(WrongPassphrase):
        folder.change_passphrase(configuration, "not the passphrase", "another long passphrase")
    with pytest.raises(InvalidPassword):
        folder.change_passphrase(configuration, PASSPHRASE, "short")
    folder.change_passphrase(configuration, PASSPHRASE, "another long passphrase")
    store.close()
    with pytest.raises(WrongPassphrase):
        folder.open_database(configuration, PASSPHRASE)
    store, vault = folder.open_database(configuration, "another long passphrase")
    assert vault.open_key("topic_keys", 1, 1, sealed) == bytes(32)
    store.close()


def test_one_process_at_a_time_uses_a_sqlite_folder(made: Made) -> None:
    configuration = load(made.folder)
    with folder.lock(configuration):
        again = f"""
from pathlib import Path
from e4.c2 import folder
from e4.c2.settings import load
with folder.lock(load(Path({str(made.folder)!r}))):
    pass
"""
        ended = subprocess.run([sys.executable, "-c", again], capture_output=True, text=True, check=False)
        assert "is in use by another server" in ended.stderr
        with pytest.raises(DatabaseError, match="is in use by another server"):
            folder.migrate(configuration)
    subprocess.run([sys.executable, "-c", again], check=True)


def test_without_its_database_a_folder_is_refused(made: Made) -> None:
    (made.folder / "c2.db").unlink()
    with pytest.raises(DatabaseError, match="there is no database at"):
        folder.open_database(load(made.folder), PASSPHRASE)


@pytest.mark.postgresql
def test_a_folder_on_postgresql(
    tmp_path: Path, postgresql: PostgreSQL, certificate: tuple[Path, Path]
) -> None:
    url = postgresql.empty()
    try:
        make(tmp_path / "c2", mode="symkey", passphrase=PASSPHRASE, database=url, certificate=certificate)
        assert left(tmp_path / "c2") == ["config.toml", "lock"]
        configuration = load(tmp_path / "c2")
        assert configuration.database_url() == url
        folder.open_database(configuration, PASSPHRASE)[0].close()
        with folder.lock(configuration), folder.lock(configuration):
            pass  # several servers share it
        with pytest.raises(DatabaseError):
            make(
                tmp_path / "other",
                mode="symkey",
                passphrase=PASSPHRASE,
                database=url,
                certificate=certificate,
            )
        assert not (tmp_path / "other").exists()
    finally:
        postgresql.drop(url)
