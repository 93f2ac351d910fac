"""Registering clients, one or thousands at once: new ones, and new keys for those that exist."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from e4 import _wire
from e4.c2.model import Client, CommandKind, EventKind, KeyState, Mode
from e4.c2.service._checks import Ref, check_client_key, id_of, read_ref
from e4.c2.storage import NewClient
from e4.errors import Conflict, InvalidRequest

if TYPE_CHECKING:
    from e4.c2.service._change import Change

__all__ = ["Effect", "Registered", "Wanted", "check", "newest_c2_version", "register"]

Effect = Literal["created", "replaced", "unchanged"]


class Registered(NamedTuple):
    """A client after `register`, and what it changed."""

    stored: Client | NewClient
    effect: Effect

    @property
    def client(self) -> Client:
        """The client; made when asked for, as an import of a million never asks."""
        return self.stored if isinstance(self.stored, Client) else Client(*self.stored)


class Wanted(NamedTuple):
    """A client to register: its name or id as given, its id, its name or its id in hex, and its key."""

    ref: Ref
    id: bytes
    name: str
    key: bytes


def check(mode: Mode, client: Ref, key: bytes) -> Wanted:
    """A client and its key, checked. Raises `InvalidName`, `InvalidId`, `InvalidKey`."""
    ref = read_ref(client)
    name = ref if isinstance(ref, str) else ref.hex()
    return Wanted(ref, id_of(ref), name, check_client_key(mode, key))


def register(change: Change, wanted: Sequence[Wanted]) -> list[Registered]:
    """Create the clients that are not there, and give the others their keys.

    Raises:
        InvalidRequest: a client is there twice.
        Conflict: an id in hex is another client's name.
    """
    if change.mode == "pubkey":
        change.tx.keys.hold_c2_keys()  # or a client made now would be missed by a renewal of C2's key
    existing = _existing(change, wanted)
    ids = [existing[want.ref].id if want.ref in existing else want.id for want in wanted]
    if len(set(ids)) < len(ids):
        raise InvalidRequest("a client is given more than once")
    created = _create(change, [want for want in wanted if want.ref not in existing])
    return [
        Registered(created[want.id], "created")
        if want.ref not in existing
        else _replace(change, existing[want.ref], want)
        for want in wanted
    ]


def newest_c2_version(change: Change) -> int:
    """The version of C2's key that new clients begin with; 0 in SK mode."""
    return change.tx.keys.c2_keys()[-1].version if change.mode == "pubkey" else 0


def _existing(change: Change, wanted: Sequence[Wanted]) -> dict[Ref, Client]:
    """Those that are there, locked.

    A name also means the client that was registered by that id in hex, and a client registered by id alone
    is the one whose name gives that id.
    """
    candidates = [want.id for want in wanted]
    for want in wanted:
        if isinstance(want.ref, str):
            candidates += _id_in_hex(want.ref)
        else:
            candidates.append(id_of(want.name))  # somebody may have that name
    found = change.tx.clients.existing(candidates)
    if not found:
        return {}
    locked = change.tx.clients.lock_many(list(found))
    by_id = {client.id: client for client in locked.values()}
    by_name = {client.name: client for client in locked.values()}
    result: dict[Ref, Client] = {}
    for want in wanted:
        client = by_name.get(want.name) if isinstance(want.ref, str) else None
        client = client or by_id.get(want.id)
        if client is not None:
            result[want.ref] = client
        elif want.name in by_name:
            raise Conflict(f"another client has the name {want.name!r}")
    return result


def _id_in_hex(name: str) -> list[bytes]:
    if len(name) != 2 * _wire.ID_LEN:
        return []
    try:
        id = bytes.fromhex(name)
    except ValueError:
        return []
    return [id] if id.hex() == name else []


def _create(change: Change, wanted: Sequence[Wanted]) -> dict[bytes, NewClient]:
    if not wanted:
        return {}
    tx, now, seal = change.tx, change.now, change.vault.seal
    c2_version = newest_c2_version(change)
    rows = tx.clients.reserve(len(wanted))
    new = [
        NewClient(row, want.id, want.name, isinstance(want.ref, bytes), 1, c2_version, now)
        for row, want in zip(rows, wanted, strict=True)
    ]
    tx.clients.insert(new)
    tx.keys.add_client_keys(
        [
            (row, 1, KeyState.CURRENT, seal("client_keys", row, 1, want.key), None, now)
            for row, want in zip(rows, wanted, strict=True)
        ]
    )
    for want in wanted:
        change.event(EventKind.CLIENT_CREATED, want.name)
    return {client.id: client for client in new}


def _replace(change: Change, client: Client, want: Wanted) -> Registered:
    """Give a client the key that the operator has given it already."""
    tx = change.tx
    if client.by_id and isinstance(want.ref, str) and want.ref != client.name:
        tx.clients.set_name(client.row, want.ref)
        client = replace(client, name=want.ref, by_id=False)
    keys = tx.keys.client_keys(client.row)
    newest = keys[-1]
    held = change.vault.open_key("client_keys", client.row, newest.version, newest.sealed)
    if newest.state is KeyState.CURRENT and hmac.compare_digest(held, want.key):
        return Registered(client, "unchanged")
    version = newest.version + 1
    # A key that C2 made and has not sent is of no use any more: the client has this one.
    change.drop_key_commands(client, CommandKind.SET_ID_KEY)
    for key in keys:
        if key.state is KeyState.PENDING:
            tx.keys.delete_client_keys(client.row, version=key.version)
    sealed = change.vault.seal("client_keys", client.row, version, want.key)
    tx.keys.add_client_keys([(client.row, version, KeyState.PENDING, sealed, None, change.now)])
    tx.keys.activate_client_key(client.row, version)
    tx.clients.set_key_version(client.row, version)
    tx.commands.move_key_version(client.id, version)
    change.event(EventKind.CLIENT_REPLACED, client.name)
    return Registered(replace(client, key_version=version), "replaced")
