"""Protecting and unprotecting messages on the server, with a topic's key (C2, section 2).

C2 has no key to sign with: it protects in the layout of SK mode, in both modes. It opens both layouts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from e4 import _wire, crypto
from e4.backend import SymKey, get
from e4.c2 import audit
from e4.c2.model import Call, KeyState, Right
from e4.c2.service._change import Change
from e4.c2.service._checks import check_topic
from e4.c2.service._client_keys import confirm
from e4.c2.service._core import Core
from e4.c2.service._reading import find_topic
from e4.errors import InvalidRequest, InvalidSignature, MessageError

if TYPE_CHECKING:
    from e4.c2.model import Client, Topic
    from e4.c2.storage import StoredKey, Transaction

__all__ = ["Messages"]


class Messages:
    """The topics' keys, used here instead of on a client. Asks for the right of its own."""

    def __init__(self, core: Core) -> None:
        self._core = core
        backend = get()
        # What opens signed messages asks for a signer too; this one signs nothing.
        self._signer = backend.PrivateKey(crypto.random_ed25519_private_key(), bytes(_wire.ID_LEN))

    def protect_message(self, call: Call, topic: str, data: bytes) -> bytes:
        """A message for a topic: 24 bytes longer than the data.

        Raises:
            InvalidRequest: there is no data.
            NotFound: the topic is not known.
        """
        check_topic(topic)
        _refuse_empty(data)
        with self._core.reading(call, Right.PROTECT) as tx:
            key = self._topic_key(tx, find_topic(tx, topic))
        return key.protect(data, self._seconds())

    def unprotect_message(self, call: Call, topic: str, data: bytes) -> bytes:
        """The payload of a message, after the checks of the protocol's section 3.

        A client's signature under its newest key, in PK mode, confirms that key.

        Raises:
            InvalidRequest: there is no data.
            NotFound: the topic is not known.
            MessageError: the subclass of the first check that fails.
        """
        check_topic(topic)
        _refuse_empty(data)
        with self._core.reading(call, Right.PROTECT) as tx:
            key = self._topic_key(tx, find_topic(tx, topic))
            client = self._signer_of(tx, data)
            keys = [] if client is None else tx.keys.client_keys(client.row)
        now = self._seconds()
        if client is None:
            return key.unprotect(data, now)
        try:
            payload, signed_by = self._verify(client, keys, key, data, now)
        except InvalidSignature:
            try:
                return key.unprotect(data, now)  # what follows the time may look like an id by chance
            except MessageError:
                pass
            raise
        newest = keys[-1]
        if signed_by is newest and newest.state is KeyState.CURRENT and len(keys) > 1:
            self._confirm(call, client, newest.version)
        return payload

    def _topic_key(self, tx: Transaction, topic: Topic) -> SymKey:
        *older, newest = tx.keys.topic_keys(topic.row)
        key, *previous = (
            self._core.vault.open_key("topic_keys", topic.row, stored.version, stored.sealed)
            for stored in [newest, *older[-1:]]
        )
        return get().SymKey(
            key, previous=previous[0] if previous else None, previous_since=topic.rotated_at // 1000
        )

    def _signer_of(self, tx: Transaction, data: bytes) -> Client | None:
        """PK mode: the client whose id stands where a signed message has its signer's."""
        if self._core.mode != "pubkey" or len(data) < _wire.PUB_OVERHEAD:
            return None
        return tx.clients.get(bytes(data[_wire.PUB_ID : _wire.PUB_SIV]))

    def _verify(
        self, client: Client, keys: list[StoredKey], topic_key: SymKey, data: bytes, now: int
    ) -> tuple[bytes, StoredKey]:
        """Open a signed message by the newest of the client's keys that verifies it."""
        backend = get()
        for stored in reversed(keys):
            raw = self._core.vault.open_key("client_keys", client.row, stored.version, stored.sealed)
            context = backend.SignedTopicKey(topic_key, self._signer, {client.id: backend.PublicKey(raw)})
            try:
                return context.unprotect(data, now), stored
            except InvalidSignature:
                continue
        raise InvalidSignature

    def _confirm(self, call: Call, client: Client, version: int) -> None:
        def work(change: Change) -> None:
            found = change.tx.clients.lock(client.id)
            if found is not None and found.row == client.row and found.key_version == version:
                confirm(change, found)
                change.audit(call, "confirm_client_key", found.name, audit.DONE)

        self._core.transact(work)

    def _seconds(self) -> int:
        return self._core.clock() // 1000


def _refuse_empty(data: bytes) -> None:
    if not data:
        raise InvalidRequest("there is no data")
