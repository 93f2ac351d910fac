"""The stores: what a file store promises of mode, lock, links and failures."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import e4
from e4.errors import StoreError, StoreLocked
from tests._c2 import Clock, sym_device

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX modes, links and limits")


def test_a_new_store_is_empty(tmp_path: Path) -> None:
    store = e4.FileStore(tmp_path / "alice.json")
    assert store.read() is None
    assert not store.exists()
    store.write(b"state")
    assert store.exists()
    assert store.read() == b"state"
    assert str(store.path) in repr(store)


@posix
def test_mode_and_neighbours(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        store = e4.FileStore(tmp_path / "alice.json")
        store.write(b"one")
        store.write(b"two")
    finally:
        os.umask(previous)
    assert {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir()} == {
        "alice.json": 0o600,
        "alice.json.lock": 0o600,
    }


def test_two_clients_cannot_have_one_state(tmp_path: Path) -> None:
    path = tmp_path / "alice.json"
    device = sym_device(store=e4.FileStore(path))
    with pytest.raises(StoreLocked, match="close that one first"):
        e4.Client.load(e4.FileStore(path))
    program = f"import e4; e4.Client.load(e4.FileStore({str(path)!r}))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert f"StoreLocked: {path} is open in another client" in result.stderr
    device.client.close()
    with e4.Client.load(e4.FileStore(path)) as client:
        assert client.id == device.client.id
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_client_that_cannot_be_made_holds_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "alice.json"
    with pytest.raises(e4.InvalidKey):
        e4.Client.create(e4.SymIdAndKey(bytes(16), bytes(32)), e4.FileStore(path))
    with pytest.raises(StoreError):
        e4.Client.load(e4.FileStore(path))
    assert not path.exists()
    sym_device(store=e4.FileStore(path))
    assert path.exists()


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "alice.json"
    path.write_bytes(b"whole")
    (tmp_path / "alice.json.tmp").write_bytes(b"hal")
    store = e4.FileStore(path)
    assert store.read() == b"whole"
    assert not (tmp_path / "alice.json.tmp").exists()


@posix
def test_a_link_is_kept(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    link = tmp_path / "alice.json"
    link.symlink_to(tmp_path / "data" / "alice.json")
    e4.FileStore(link).write(b"state")
    assert link.is_symlink()
    assert (tmp_path / "data" / "alice.json").read_bytes() == b"state"


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot open"):
        e4.FileStore(tmp_path / "missing" / "alice.json").read()
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(StoreError, match="cannot read"):
        e4.FileStore(tmp_path / "folder.json").read()


@posix
def test_a_write_that_fails_leaves_the_old_state(tmp_path: Path) -> None:
    """The system's own refusal: a limit on the size of files, in a process of its own."""
    path = tmp_path / "alice.json"
    e4.FileStore(path).write(b"old")
    program = f"""
import resource, signal, e4
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = e4.FileStore({str(path)!r})
store.read()
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
try:
    store.write(b"new" * 100)
except e4.StoreError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == f"cannot write {path}: File too large\n"
    assert path.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["alice.json", "alice.json.lock"]


@posix
def test_a_folder_that_cannot_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The rename is the commit: after it the new state counts, and the doubt is logged."""
    store = e4.FileStore(tmp_path / "alice.json")

    def fail(folder: Path) -> None:
        raise OSError("no sync")

    monkeypatch.setattr("e4.client.stores._sync_folder", fail)
    store.write(b"state")
    assert store.read() == b"state"
    assert "may not outlast a power cut" in caplog.text


def test_stores_can_be_opened_again(tmp_path: Path) -> None:
    store = e4.FileStore(tmp_path / "alice.json")
    device = sym_device(store=store, clock=Clock())
    device.client.close()
    assert e4.Client.load(store).id == device.client.id
