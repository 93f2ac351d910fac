"""What becomes of the commands that the sender took from the outbox, written in its own transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from e4.c2.model import CommandKind, EventKind, KeyState
from e4.c2.service._change import Change
from e4.c2.storage import Sent

if TYPE_CHECKING:
    from e4.c2.storage import Outgoing

__all__ = ["settle"]


def settle(
    change: Change,
    sent: Sequence[tuple[Outgoing, int]],
    failed: Sequence[tuple[Outgoing, str, int]],
    superseded: Sequence[Outgoing],
) -> None:
    """Mark commands, make keys that were sent the current ones, end jobs, tell of it."""
    tx = change.tx
    unsettled = tx.commands.mark_sent(
        [Sent(out.command, timestamp, out.key_version) for out, timestamp in sent], change.now
    )
    tx.commands.mark_failed([(out.command, error, retry_at) for out, error, retry_at in failed])
    tx.commands.mark_superseded([out.command for out in superseded], change.now)
    for out, _ in sent:
        if out.command in unsettled:
            continue  # it goes again, under the key that the client was given meanwhile
        change.event(EventKind.COMMAND_SENT, out.client or out.client_id.hex(), out.topic or out.source)
        if out.kind is CommandKind.SET_ID_KEY:
            _key_sent(change, out)
    for out, _, _ in failed:
        if out.attempts == 0:  # not each time it is tried again
            change.event(EventKind.COMMAND_FAILED, out.client or out.client_id.hex(), out.topic or out.source)
    change.touched_jobs()


def _key_sent(change: Change, out: Outgoing) -> None:
    """A client was sent its next key: the current one from now on, if no further copy of it is to be sent."""
    tx, row, version = change.tx, out.client_row, out.new_version
    if version is None or tx.commands.pending_id_keys(out.client_id, version):
        return
    states = {key.version: key.state for key in tx.keys.client_keys(row)}
    if states.get(version) is KeyState.PENDING and tx.keys.activate_client_key(row, version):
        change.event(EventKind.KEY_CLIENT_CURRENT, out.client, str(version))
