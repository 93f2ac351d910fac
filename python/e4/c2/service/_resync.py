"""Sending one client all that it should hold, from nothing, whichever of the kept keys it has.

First the client is brought under keys that are known. A command under a key that the client does not have
is refused by it and changes nothing, so one is sent under each kept key; then everything follows under the
newest. In PK mode C2 has no private half to send again: a client with older keys gets a new pair.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from e4.c2.model import Client, CommandKind, EventKind
from e4.c2.service._client_keys import next_client_key, tell_linked
from e4.c2.service._reading import sources_of, topics_of

if TYPE_CHECKING:
    from e4.c2.service._change import Change

__all__ = ["resync"]


def resync(change: Change, client: Client) -> None:
    """Queue everything for a client whose row is locked."""
    change.drop_key_commands(client, CommandKind.SET_ID_KEY, CommandKind.SET_C2_KEY)
    # What is on its way under a key that was replaced need not go again: all does.
    change.tx.commands.move_key_version(client.id, 0)
    client = _under_newest_c2_key(change, client) if change.mode == "pubkey" else client
    client = _under_newest_key(change, client)
    change.reset_topics([client])
    for topic in topics_of(change.tx, client):
        change.set_topic_key([client], topic)
    if change.mode == "pubkey":
        change.reset_pub_keys(client)
        for source in sources_of(change.tx, client):
            change.set_pub_key([client], source)
    change.event(EventKind.CLIENT_RESYNCED, client.name)


def _under_newest_c2_key(change: Change, client: Client) -> Client:
    """PK mode: SetC2Key under each older key of C2 with each kept key of the client."""
    *older, newest = change.tx.keys.c2_keys()
    keys = change.tx.keys.client_keys(client.row)
    for c2_key in older:
        for key in keys:
            under = replace(client, key_version=key.version, c2_key_version=c2_key.version)
            change.set_c2_key([under], newest.version)
    change.tx.clients.set_c2_key_version([client.row], newest.version)
    return replace(client, c2_key_version=newest.version)


def _under_newest_key(change: Change, client: Client) -> Client:
    """SetIdKey under each older kept key; the last of them makes it the client's."""
    keys = change.tx.keys.client_keys(client.row)
    if len(keys) == 1:
        return client
    if change.mode == "pubkey":
        changed = next_client_key(change, client)
    else:
        changed, keys = replace(client, key_version=keys[-1].version), keys[:-1]
    for key in keys:
        change.set_id_key(replace(client, key_version=key.version), changed.key_version)
    tell_linked(change, changed)
    return changed
