"""Keys at rest: sealed, bound to their rows, under a passphrase that can be changed."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest

from e4.c2.service.setup import change_passphrase, initialise, mode_of, open_vault
from e4.c2.storage import Store
from e4.c2.vault import Kdf, Vault
from e4.errors import Conflict, DatabaseError, InvalidPassword, WrongPassphrase

CHEAP = Kdf(time_cost=1, memory_kib=64, lanes=1)
PASSPHRASE = "correct horse battery"
KEY = bytes(range(32))


@pytest.fixture
def vault() -> Vault:
    return Vault.create(PASSPHRASE, "symkey", 5, kdf=CHEAP)[0]


class TestVault:
    def test_seal_and_open(self, vault: Vault) -> None:
        sealed = vault.seal("client_keys", 1, 2, KEY)
        assert len(sealed) == 16 + 32
        assert KEY not in sealed
        assert vault.open_key("client_keys", 1, 2, sealed) == KEY

    def test_rows_cannot_be_exchanged(self, vault: Vault) -> None:
        sealed = vault.seal("client_keys", 1, 2, KEY)
        places = [
            ("client_keys", 2, 2),
            ("client_keys", 1, 3),
            ("client_keys.transit", 1, 2),
            ("topic_keys", 1, 2),
            ("c2_keys", 1, 2),
        ]
        for table, row, version in places:
            with pytest.raises(DatabaseError, match=f"table {table}, row {row}, version {version}") as caught:
                vault.open_key(table, row, version, sealed)  # type: ignore[arg-type]
            assert KEY.hex() not in str(caught.value)

    def test_damaged(self, vault: Vault) -> None:
        sealed = vault.seal("topic_keys", 1, 1, KEY)
        for changed in (b"", sealed[:15], sealed[:-1], sealed + b"\0", bytes([sealed[0] ^ 1]) + sealed[1:]):
            with pytest.raises(DatabaseError):
                vault.open_key("topic_keys", 1, 1, changed)

    def test_opens_with_its_passphrase_only(self) -> None:
        vault, stored = Vault.create(PASSPHRASE, "pubkey", 5, kdf=CHEAP)
        sealed = vault.seal("c2_keys", 1, 1, KEY)
        assert Vault.open(stored, PASSPHRASE).open_key("c2_keys", 1, 1, sealed) == KEY
        for wrong in ("", "correct horse batterz", PASSPHRASE + " "):
            with pytest.raises(WrongPassphrase):
                Vault.open(stored, wrong)

    def test_the_default_cost(self) -> None:
        vault, stored = Vault.create(PASSPHRASE, "symkey", 5)
        assert (stored.time_cost, stored.memory_kib, stored.lanes) == (3, 65536, 4)
        assert (len(stored.salt), len(stored.database_id), len(stored.wrapped)) == (16, 16, 80)
        assert Vault.open(stored, PASSPHRASE).database_id == vault.database_id

    def test_everything_stored_counts(self) -> None:
        _, stored = Vault.create(PASSPHRASE, "symkey", 5, kdf=CHEAP)
        other = Vault.create(PASSPHRASE, "symkey", 5, kdf=CHEAP)[1]
        for changes in (
            {"mode": "pubkey"},
            {"salt": other.salt},
            {"database_id": other.database_id},
            {"wrapped": other.wrapped},
            {"wrapped": b""},
            {"time_cost": 2},
            {"memory_kib": 72},
        ):
            with pytest.raises(WrongPassphrase):
                Vault.open(dataclasses.replace(stored, **changes), PASSPHRASE)
        for changes in (
            {"memory_kib": 1 << 30},
            {"memory_kib": 0},
            {"time_cost": 0},
            {"lanes": 0},
            {"salt": b""},
            {"database_id": b""},
        ):
            with pytest.raises(DatabaseError, match="damaged"):
                Vault.open(dataclasses.replace(stored, **changes), PASSPHRASE)

    def test_another_passphrase(self) -> None:
        vault, stored = Vault.create(PASSPHRASE, "symkey", 5, kdf=CHEAP)
        sealed = vault.seal("topic_keys", 1, 1, KEY)
        changed = vault.rewrap(stored, "a passphrase that is new")
        assert (changed.salt != stored.salt, changed.wrapped != stored.wrapped) == (True, True)
        with pytest.raises(WrongPassphrase):
            Vault.open(changed, PASSPHRASE)
        opened = Vault.open(changed, "a passphrase that is new")
        assert opened.open_key("topic_keys", 1, 1, sealed) == KEY
        with pytest.raises(InvalidPassword):
            vault.rewrap(stored, "only 15 bytes..")

    def test_short_passphrases(self) -> None:
        with pytest.raises(InvalidPassword):
            Vault.create("only 15 bytes..", "symkey", 5, kdf=CHEAP)
        Vault.create("é" * 8, "symkey", 5, kdf=CHEAP)

    def test_passphrases_of_any_bytes(self) -> None:
        passphrase = b"\xff\xfe not UTF-8, but long".decode(errors="surrogateescape")
        _, stored = Vault.create(passphrase, "symkey", 5, kdf=CHEAP)
        Vault.open(stored, passphrase)

    def test_shows_no_secret(self, vault: Vault) -> None:
        _, stored = Vault.create(PASSPHRASE, "symkey", 5, kdf=CHEAP)
        assert repr(vault) == f"<Vault of database {vault.database_id.hex()}>"
        assert PASSPHRASE not in repr(stored)
        for function in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError):
                function(vault)


class TestSetup:
    def test_initialise_and_open(self, store: Store) -> None:
        with pytest.raises(DatabaseError, match="init"):
            open_vault(store, PASSPHRASE)
        made = initialise(store, "pubkey", PASSPHRASE, 5, kdf=CHEAP)
        assert mode_of(store) == "pubkey"
        vault = open_vault(store, PASSPHRASE)
        assert vault.database_id == made.database_id
        with store.read() as tx:
            (key,) = tx.keys.c2_keys()
        assert len(vault.open_key("c2_keys", 1, 1, key.sealed)) == 32
        with pytest.raises(WrongPassphrase):
            open_vault(store, PASSPHRASE + "!")
        with pytest.raises(Conflict):
            initialise(store, "symkey", PASSPHRASE, 5, kdf=CHEAP)

    def test_change_passphrase(self, store: Store) -> None:
        initialise(store, "symkey", PASSPHRASE, 5, kdf=CHEAP)
        new = "another long passphrase"
        with pytest.raises(WrongPassphrase):
            change_passphrase(store, new, PASSPHRASE)
        with pytest.raises(InvalidPassword):
            change_passphrase(store, PASSPHRASE, "short")
        change_passphrase(store, PASSPHRASE, new)
        open_vault(store, new)
        with pytest.raises(WrongPassphrase):
            open_vault(store, PASSPHRASE)
