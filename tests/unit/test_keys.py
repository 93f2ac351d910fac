"""Key files: raw bytes, private ones 0600, nothing replaced unasked, nothing left half written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from e4 import errors, keys

KEY = bytes(range(32))
PUBLIC = bytes(range(32, 64))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_private_key_is_raw_bytes_that_only_its_owner_can_read(tmp_path: Path) -> None:
    path = tmp_path / "room.key"
    keys.write_key_file(path, KEY)
    assert path.read_bytes() == KEY
    assert mode(path) == 0o600
    assert keys.read_key_file(path) == KEY
    assert os.listdir(tmp_path) == ["room.key"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        keys.write_key_file(tmp_path / "c2.key", KEY, public_key=PUBLIC)
    finally:
        os.umask(before)
    assert mode(tmp_path / "c2.key") == 0o600
    assert mode(tmp_path / "c2.key.pub") == 0o644


def test_a_pair_is_two_files(tmp_path: Path) -> None:
    path = tmp_path / "alice.key"
    keys.write_key_file(path, KEY + PUBLIC, public_key=PUBLIC)
    assert keys.public_path(path) == tmp_path / "alice.key.pub"
    assert keys.read_key_file(path, 64) == KEY + PUBLIC
    assert keys.read_key_file(keys.public_path(path), 32) == PUBLIC


@pytest.mark.parametrize("there", ["alice.key", "alice.key.pub"])
def test_neither_file_is_replaced_unasked(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_bytes(b"mine")
    with pytest.raises(errors.StoreError, match=rf"{there} exists already: .*--force"):
        keys.write_key_file(tmp_path / "alice.key", KEY, public_key=PUBLIC)
    assert os.listdir(tmp_path) == [there]
    assert (tmp_path / there).read_bytes() == b"mine"


def test_a_dangling_link_counts_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "room.key").symlink_to(tmp_path / "nowhere")
    with pytest.raises(errors.StoreError, match="exists already"):
        keys.write_key_file(tmp_path / "room.key", KEY)
    assert not (tmp_path / "nowhere").exists()


def test_force_replaces_both_and_mends_the_mode(tmp_path: Path) -> None:
    for name in ("alice.key", "alice.key.pub"):
        (tmp_path / name).write_bytes(b"old")
        (tmp_path / name).chmod(0o666)
    keys.write_key_file(tmp_path / "alice.key", KEY, public_key=PUBLIC, force=True)
    assert (tmp_path / "alice.key").read_bytes() == KEY
    assert (tmp_path / "alice.key.pub").read_bytes() == PUBLIC
    assert mode(tmp_path / "alice.key") == 0o600
    assert sorted(os.listdir(tmp_path)) == ["alice.key", "alice.key.pub"]


@pytest.mark.parametrize("where", ["no/such/folder/room.key", "folder"])
def test_a_place_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path: Path, where: str) -> None:
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(errors.StoreError, match=f"cannot write .*{where}: "):
        keys.write_key_file(tmp_path / where, KEY, public_key=PUBLIC, force=True)
    assert sorted(os.listdir(tmp_path)) == ["folder"]


def test_neither_file_is_replaced_where_one_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "alice.key").write_bytes(b"old")
    (tmp_path / "alice.key.pub").mkdir()
    with pytest.raises(errors.StoreError, match=r"cannot write .*alice\.key\.pub: it is a folder"):
        keys.write_key_file(tmp_path / "alice.key", KEY, public_key=PUBLIC, force=True)
    assert (tmp_path / "alice.key").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["alice.key", "alice.key.pub"]


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(source: str, target: Path) -> None:
        if target.exists():
            raise FileExistsError
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    keys.write_key_file(tmp_path / "room.key", KEY)
    assert keys.read_key_file(tmp_path / "room.key") == KEY
    with pytest.raises(errors.StoreError, match="exists already"):
        keys.write_key_file(tmp_path / "room.key", KEY)
    assert os.listdir(tmp_path) == ["room.key"]


def test_an_interrupted_write_leaves_no_key_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        keys.write_key_file(tmp_path / "room.key", KEY)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("size", "length"), [(0, 32), (31, 32), (33, 32), (64, 32), (65, 32), (32, 64), (65, 64)]
)
def test_another_number_of_bytes_is_refused_with_both_numbers(tmp_path: Path, size: int, length: int) -> None:
    path = tmp_path / "room.key"
    path.write_bytes(b"\x5a" * size)
    with pytest.raises(
        errors.InvalidKey, match=rf"room\.key holds {size} bytes, not the {length} of a raw key"
    ):
        keys.read_key_file(path, length)


def test_no_error_repeats_the_key(tmp_path: Path) -> None:
    path = tmp_path / "room.key"
    path.write_bytes(b"secret-secret-secret")
    with pytest.raises(errors.InvalidKey) as caught:
        keys.read_key_file(path)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.StoreError, match=r"cannot read .*room\.key: No such file"):
        keys.read_key_file(tmp_path / "room.key")
    with pytest.raises(errors.StoreError, match=r"cannot read .*: Is a directory"):
        keys.read_key_file(tmp_path)
