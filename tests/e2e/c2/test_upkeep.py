"""Backup, restore, and taking over a deployed server, by the command line and with servers that run."""

from __future__ import annotations

import base64
import json
import sqlite3
import stat
import subprocess
import threading
from pathlib import Path

import pytest
from sqlalchemy import create_engine

import e4
from e4 import crypto
from e4.backend import get
from e4.c2.storage import migrations
from e4.mqtt import SecureClient
from tests._broker import Brokers, until
from tests._databases import PostgreSQL
from tests.e2e._c2_server import PASSPHRASE, PATIENCE, C2Servers, run_c2

pytestmark = pytest.mark.mosquitto

KEY = "aLNrm1TpE0QsVIa3DFm8sDvvD1UeQ7PJwEpTUWRHR2I="


def run(*words: object, **env: str) -> subprocess.CompletedProcess[str]:
    return run_c2(*words, **{"E4_C2_PASSPHRASE": PASSPHRASE} | env)


def test_a_backup_of_a_running_server_is_a_server_again(
    c2_server: C2Servers, mosquitto: Brokers, tmp_path: Path
) -> None:
    server = c2_server(mosquitto())
    out = tmp_path / "c2.backup"
    stop = threading.Event()

    def write() -> None:
        with server.client() as client:
            number = 0
            while not stop.is_set():
                client.post(f"/e4/client/during-{number}", json={"key": KEY})
                number += 1

    with server.client() as client:
        for number in range(50):
            assert client.post(f"/e4/client/before-{number}", json={"key": KEY}).status_code == 200
        client.post("/e4/topic/room")
        client.put("/e4/client/before-7/topic/room")
        writer = threading.Thread(target=write)
        writer.start()
        try:
            backup = run("backup", "--data", server.data, "--out", out)
        finally:
            stop.set()
            writer.join()
        assert (backup.returncode, backup.stderr) == (0, "")
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        client.post("/e4/client/after", json={"key": KEY})
    again = run("backup", "--data", server.data, "--out", out)
    assert again.returncode == 1
    assert "exists already" in again.stderr
    server.kill()

    restored = tmp_path / "restored"
    words = ("restore", "--data", restored, "--from", out, "--json")
    files = ("--certificate", server.data / "server.pem", "--key", server.data / "server.key")
    made = run(*words, *files)
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["token"] is None
    copy = c2_server(server.broker, data=restored, token=server.token, start=False)
    copy.ca = server.ca
    copy.start()
    copy.ca = server.ca
    with copy.client() as client:
        assert client.get("/e4/client/before-7/topics", params={"count": 9}).json() == {"topics": ["room"]}
        assert client.get("/e4/client/after/topics/count").status_code == 404
        names = client.get("/e4/clients", params={"count": 100}).json()["clients"]
        assert {f"before-{number}" for number in range(50)} <= {each["name"] for each in names}
        assert client.post("/e4/topic/room").status_code == 200
    assert (
        run("audit", "verify", E4_C2_URL=copy.url, E4_C2_TOKEN=copy.token, E4_C2_CA=str(copy.ca)).returncode
        == 0
    )


def test_restore_makes_all_or_nothing(c2_server: C2Servers, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(b"not a database" * 100)
    place = tmp_path / "home"
    place.mkdir()
    for source, text in ((bad, "e4: "), (tmp_path / "none", "there is no file")):
        ended = run("restore", "--data", place / "c2", "--from", source)
        assert ended.returncode == 1
        assert text in ended.stderr
        assert ended.stderr.count("\n") == 1, ended.stderr
        assert list(place.iterdir()) == []


@pytest.mark.postgresql
def test_a_backup_moves_a_server_to_postgresql_and_back(
    c2_server: C2Servers, mosquitto: Brokers, tmp_path: Path, postgresql: PostgreSQL
) -> None:
    broker = mosquitto()
    server = c2_server(broker)
    with server.client() as client:
        client.post("/e4/client/alice", json={"key": KEY})
    server.stop()
    url = postgresql.empty()
    try:
        outs = [tmp_path / "one", tmp_path / "two"]
        moved, back = tmp_path / "moved", tmp_path / "back"
        assert run("backup", "--data", server.data, "--out", outs[0]).returncode == 0
        assert run("restore", "--data", moved, "--from", outs[0], "--database", url).returncode == 0
        second = c2_server(broker, data=moved, token=server.token)
        with second.client() as client:
            client.post("/e4/client/bob", json={"key": KEY})
        assert run("backup", "--data", moved, "--out", outs[1]).returncode == 0
        second.stop()
        assert run("restore", "--data", back, "--from", outs[1]).returncode == 0
        third = c2_server(broker, data=back, token=server.token)
        with third.client() as client:
            names = client.get("/e4/clients", params={"count": 9}).json()["clients"]
        assert names == [{"name": "alice"}, {"name": "bob"}]
    finally:
        postgresql.drop(url)


LEGACY = "very_secure_testpass"
CHECK = "cbf3156504c52dbbd85bc093660aace4073babdff08a6221dd8cf93752e448f36357f917e022303d47663cb17791fda3"


def sealed(key: bytes) -> bytes:
    return get().siv_seal(crypto.derive_sym_key(LEGACY) * 2, [b""], key)


def deployed_database(path: Path, clients: dict[str, bytes], topics: dict[str, bytes]) -> None:
    """A database as deployed servers have it; every client is a member of every topic."""
    with sqlite3.connect(path) as database:
        database.executescript(
            """
            CREATE TABLE clients (id INTEGER PRIMARY KEY, e4_id BLOB, name TEXT, key BLOB);
            CREATE TABLE topic_keys (id INTEGER PRIMARY KEY, topic TEXT, key BLOB);
            CREATE TABLE clients_topickeys (client_id INTEGER, topic_key_id INTEGER);
            CREATE TABLE clients_clientkeys (client_id INTEGER, clientkey_id INTEGER);
            """
        )
        for number, (name, key) in enumerate(clients.items(), 1):
            row = (number, crypto.hash_id_alias(name), name, sealed(key))
            database.execute("INSERT INTO clients VALUES (?, ?, ?, ?)", row)
        for number, (topic, key) in enumerate(topics.items(), 1):
            database.execute("INSERT INTO topic_keys VALUES (?, ?, ?)", (number, topic, sealed(key)))
        database.execute(
            "INSERT INTO clients_topickeys SELECT clients.id, topic_keys.id FROM clients, topic_keys"
        )
    database.close()


def test_a_deployed_server_is_taken_over(c2_server: C2Servers, mosquitto: Brokers, tmp_path: Path) -> None:
    assert sealed(crypto.derive_sym_key(LEGACY)).hex() == CHECK
    keys = {name: crypto.random_key() for name in ("alice", "bob")}
    room = crypto.random_key()
    old = tmp_path / "old.db"
    deployed_database(old, keys, {"room": room})
    before = old.read_bytes()
    passphrase = tmp_path / "old.passphrase"
    passphrase.write_text("not this passphrase\n")
    server = c2_server(mosquitto(), start=False).make()
    words = ("import-legacy", "--data", server.data, "--from", old, "--legacy-passphrase-file", passphrase)
    wrong = run(*words)
    assert wrong.returncode == 1
    assert "the passphrase does not open the deployed server's keys" in wrong.stderr
    passphrase.write_text(f"{LEGACY}\n")
    taken = run(*words, "--json")
    assert taken.returncode == 0, taken.stderr
    counts = {"clients": 2, "topics": 1, "memberships": 2, "links": 0, "dangling": 0}
    assert json.loads(taken.stdout) == {"done": True} | counts
    twice = run(*words)
    assert twice.returncode == 1
    assert "there are clients or topics already" in twice.stderr
    assert old.read_bytes() == before
    printed = taken.stdout + taken.stderr + wrong.stderr + twice.stderr
    for key in (*keys.values(), room):
        assert key.hex() not in printed

    server.start().until_ready()
    run_while = ("migrate", "--data", server.data)
    assert "is in use by another server" in run(*run_while).stderr
    with server.client() as client:
        message = crypto.protect_sym_key(b"hello", room)
        opened = client.post(
            "/e4/unprotect-message",
            json={"topic": "room", "protectedBinaryData": base64.b64encode(message).decode()},
        )
        assert base64.b64decode(opened.json()["binaryData"]) == b"hello"
        # A device that the old server knew takes the new server's commands.
        config = e4.SymIdAndKey(crypto.hash_id_alias("alice"), keys["alice"])
        device = e4.Client.create(config, e4.MemoryStore())
        assert server.broker is not None
        with SecureClient(device, server.broker.host, server.broker.port) as secure:
            secure.connect()
            assert client.post("/e4/topic/room").status_code == 200
            until(lambda: device.has_topic_key("room"), PATIENCE, "it has the new key")


def test_an_older_database_is_refused_and_migrated(
    c2_server: C2Servers, mosquitto: Brokers, tmp_path: Path
) -> None:
    server = c2_server(mosquitto(), start=False).make()
    current, older = server.data / "c2.db", tmp_path / "older.db"
    engine = create_engine(f"sqlite:///{older}")
    with engine.begin() as connection:
        migrations.to_revision(connection, "0001")
    engine.dispose()
    with sqlite3.connect(older) as database:
        database.execute("ATTACH ? AS current", (str(current),))
        for table in ("vault", "tokens"):
            database.execute(f"INSERT INTO {table} SELECT * FROM current.{table}")
    database.close()
    older.replace(current)
    server.launch()
    assert server.wait() == 1
    assert server.complaints == ["e4: the database is of an older version: run 'e4 c2 migrate --data DIR'"]
    migrated = run("migrate", "--data", server.data)
    assert (migrated.returncode, migrated.stderr) == (0, "")
    server.start()
    with server.client() as client:
        assert client.get("/e4/topics/count").json() == {"count": "0"}
