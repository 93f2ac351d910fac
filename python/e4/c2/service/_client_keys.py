"""A client's next key: made here, pending until the command that brings it has been sent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from e4 import crypto
from e4.c2.model import Client, EventKind, JobKind, KeyState
from e4.c2.service._expand import start
from e4.errors import FailedPrecondition

if TYPE_CHECKING:
    from e4.c2.service._change import Change

__all__ = ["confirm", "next_client_key", "tell_linked"]


def next_client_key(change: Change, client: Client) -> Client:
    """Make and store the next version; every command queued from now on is under it.

    In PK mode C2 keeps the public half, and the private half until it was sent.

    Args:
        change: the transaction.
        client: its row is locked.

    Returns:
        The client with its new version.
    """
    version = change.tx.keys.client_keys(client.row)[-1].version + 1
    seal, transit = change.vault.seal, None
    if change.mode == "pubkey":
        private = crypto.random_ed25519_private_key()
        key = crypto.ed25519_public_key(private)
        transit = seal("client_keys.transit", client.row, version, private)
    else:
        key = crypto.random_key()
    sealed = seal("client_keys", client.row, version, key)
    change.tx.keys.add_client_keys([(client.row, version, KeyState.PENDING, sealed, transit, change.now)])
    change.tx.clients.set_key_version(client.row, version)
    change.event(EventKind.KEY_CLIENT_PENDING, client.name, str(version))
    return replace(client, key_version=version)


def tell_linked(change: Change, client: Client) -> None:
    """PK mode: send a client's new public key to the clients that it is linked to.

    After its own commands: it may be linked to itself.
    """
    if change.mode == "pubkey":
        targets = change.tx.links.count_targets(client.row)
        if targets:
            start(change, JobKind.CLIENT_PUBLIC_KEY, client.row, client.name, client.key_version, targets)


def confirm(change: Change, client: Client) -> None:
    """Forget a client's older keys: its newest is known to be in use.

    Raises:
        FailedPrecondition: the newest has not been sent yet.
    """
    keys = change.tx.keys.client_keys(client.row)
    newest = keys[-1]
    if newest.state is not KeyState.CURRENT:
        raise FailedPrecondition("the client's new key has not been sent yet")
    if len(keys) > 1:
        change.tx.keys.delete_client_keys(client.row, below=newest.version)
        change.event(EventKind.KEY_CLIENT_CONFIRMED, client.name, str(newest.version))
