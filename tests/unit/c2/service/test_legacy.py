"""Taking over a deployed server's database, in both modes into both databases."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

import e4
from e4 import crypto
from e4.backend import Backend, get
from e4.c2.model import Call, Mode
from e4.c2.storage.legacy import LegacyDatabase
from e4.errors import (
    Conflict,
    DatabaseError,
    FailedPrecondition,
    InvalidKey,
    PermissionDenied,
    WrongPassphrase,
)
from tests.unit.c2._world import World, new_key, pubkey_only, symkey_only
from tests.unit.c2.service.test_operations import ACTORS

PASSPHRASE = "very_secure_testpass"
# Given with the description of the deployed format: the key of that passphrase, and it sealed under itself.
DERIVED = "38a562479512cfaed28c81737d0c105c764a907c76aa1c30f80957b1f03251b4"
SEALED = "cbf3156504c52dbbd85bc093660aace4073babdff08a6221dd8cf93752e448f36357f917e022303d47663cb17791fda3"


class Deployed:
    """A deployed server's database, as its tables are described."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.key = crypto.derive_sym_key(PASSPHRASE)
        self.database = sqlite3.connect(path)
        self.database.executescript("""
            CREATE TABLE clients (id INTEGER PRIMARY KEY, e4_id BLOB, name TEXT, key BLOB);
            CREATE TABLE topic_keys (id INTEGER PRIMARY KEY, topic TEXT, key BLOB);
            CREATE TABLE clients_topickeys (client_id INTEGER, topic_key_id INTEGER);
            CREATE TABLE clients_clientkeys (client_id INTEGER, clientkey_id INTEGER);
        """)

    def seal(self, key: bytes) -> bytes:
        return get().siv_seal(self.key * 2, [b""], key)

    def client(self, name: str, key: bytes, id: bytes | None = None) -> int:
        values = (id or crypto.hash_id_alias(name), name, self.seal(key))
        return self._insert("INSERT INTO clients (e4_id, name, key) VALUES (?, ?, ?)", values)

    def topic(self, name: str, key: bytes) -> int:
        return self._insert("INSERT INTO topic_keys (topic, key) VALUES (?, ?)", (name, self.seal(key)))

    def member(self, client: int, topic: int) -> None:
        self._insert("INSERT INTO clients_topickeys VALUES (?, ?)", (client, topic))

    def link(self, source: int, target: int) -> None:
        self._insert("INSERT INTO clients_clientkeys VALUES (?, ?)", (target, source))

    def _insert(self, sql: str, values: tuple[object, ...]) -> int:
        with self.database:
            return self.database.execute(sql, values).lastrowid or 0

    def open(self) -> LegacyDatabase:
        return LegacyDatabase(f"sqlite:///{self.path}")


@pytest.fixture
def deployed(tmp_path: Path):  # type: ignore[no-untyped-def]
    database = Deployed(tmp_path / "deployed.db")
    yield database
    database.database.close()


def test_check_value(backend: Backend, backend_name: str) -> None:
    key = crypto.derive_sym_key(PASSPHRASE, backend=backend_name)
    assert key.hex() == DERIVED
    assert backend.siv_open(key * 2, [b""], bytes.fromhex(SEALED)) == key


class TestTakeOver:
    def test_everything(self, world: World, call: Call, mode: Mode, deployed: Deployed) -> None:
        keys = {name: new_key(mode) for name in ("alice", "bob", "")}
        id = bytes(range(16))
        alice = deployed.client("alice", keys["alice"][1])
        bob = deployed.client("bob", keys["bob"][1])
        deployed.client("", keys[""][1], id)
        topic_key = crypto.random_key()
        topic, other = deployed.topic("t", topic_key), deployed.topic("u/v", crypto.random_key())
        for pair in ((alice, topic), (alice, other), (bob, topic), (99, topic), (alice, 99)):
            deployed.member(*pair)
        deployed.link(alice, bob)
        c2_key = crypto.random_curve25519_private_key() if mode == "pubkey" else None
        told: list[tuple[str, int, int]] = []
        with deployed.open() as source:
            done = world.service.import_legacy(
                call, source, PASSPHRASE, c2_private_key=c2_key, progress=lambda *p: told.append(p)
            )
        assert (done.clients, done.topics, done.memberships, done.links, done.dangling) == (3, 2, 3, 1, 2)
        assert told == [
            ("clients", 3, 3), ("topics", 1, 2), ("topics", 2, 2), ("memberships", 5, 5), ("links", 1, 1),
        ]  # fmt: skip
        assert world.names() == [id.hex(), "alice", "bob"]
        assert world.service.clients.get_client(call, id).client.by_id
        assert world.topic_key("t") == topic_key
        members = world.service.members
        assert [t.name for t in members.get_topics_for_client(call, "alice", 0, 9)] == ["t", "u/v"]
        assert [c.name for c in world.service.links.get_linked_clients(call, "bob", 0, 9)] == ["alice"]
        assert world.audit() == [("import_legacy", "3 clients, 2 topics", "done")]
        assert world.queued() == []
        if c2_key is not None:
            assert world.service.keys.c2_public_key(call) == crypto.curve25519_public_key(c2_key)
        # The devices out there go on with what they have.
        device = world.device("alice", register=False, secret=keys["alice"][0])
        world.service.topics.new_topic(call, "t")
        world.deliver_all()
        assert world.opens(device, "t")
        assert world.refused == []

    def test_wrong_passphrase(self, world: World, call: Call, mode: Mode, deployed: Deployed) -> None:
        deployed.client("alice", new_key(mode)[1])
        with deployed.open() as source, pytest.raises(WrongPassphrase):
            world.service.import_legacy(call, source, "another passphrase")
        with deployed.open() as source, pytest.raises(e4.InvalidPassword):
            world.service.import_legacy(call, source, "short")
        assert world.names() == []

    def test_into_an_empty_database_only(
        self, world: World, call: Call, mode: Mode, deployed: Deployed
    ) -> None:
        deployed.client("alice", new_key(mode)[1])
        world.device("bob")
        with deployed.open() as source, pytest.raises(Conflict):
            world.service.import_legacy(call, source, PASSPHRASE)
        assert world.names() == ["bob"]

    def test_all_or_nothing(self, world: World, call: Call, mode: Mode, deployed: Deployed) -> None:
        deployed.client("alice", new_key(mode)[1])
        damaged = deployed.topic("t", crypto.random_key())
        with deployed.database:
            deployed.database.execute("UPDATE topic_keys SET key = ? WHERE id = ?", (bytes(48), damaged))
        with deployed.open() as source, pytest.raises(DatabaseError, match="topic 't'"):
            world.service.import_legacy(call, source, PASSPHRASE)
        assert world.names() == []

    def test_what_is_not_valid(self, world: World, call: Call, mode: Mode, deployed: Deployed) -> None:
        number = deployed.client("alice", bytes(32))
        with deployed.open() as source, pytest.raises(DatabaseError, match="client 'alice'"):
            world.service.import_legacy(call, source, PASSPHRASE)
        with deployed.database:
            deployed.database.execute("DELETE FROM clients WHERE id = ?", (number,))
        deployed.client("alice", new_key(mode)[1])
        deployed.client("alice", new_key(mode)[1], bytes(16))
        with deployed.open() as source, pytest.raises(DatabaseError, match="same name or id"):
            world.service.import_legacy(call, source, PASSPHRASE)
        assert world.names() == []

    def test_by_administrators_only(self, world: World, deployed: Deployed) -> None:
        from e4.c2.model import Role

        with deployed.open() as source, pytest.raises(PermissionDenied):
            world.service.import_legacy(ACTORS[Role.OPERATOR], source, PASSPHRASE)

    @symkey_only
    def test_symmetric_mode_has_no_key_of_c2(self, world: World, call: Call, deployed: Deployed) -> None:
        with deployed.open() as source, pytest.raises(FailedPrecondition):
            world.service.import_legacy(call, source, PASSPHRASE, c2_private_key=crypto.random_key())

    @pubkey_only
    def test_bad_key_of_c2(self, world: World, call: Call, deployed: Deployed) -> None:
        with deployed.open() as source, pytest.raises(InvalidKey):
            world.service.import_legacy(call, source, PASSPHRASE, c2_private_key=bytes(31))
