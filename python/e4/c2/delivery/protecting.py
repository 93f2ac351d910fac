"""From a command in the outbox to the bytes that a client opens. Keys are in the clear here, and briefly.

A queued command names its topic, client or key version; the key itself is looked up with it when it is
claimed, and unsealed when it is about to leave. Knows no database and no broker.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from e4 import commands, crypto
from e4.backend import SymKey, get
from e4.c2.model import CommandKind
from e4.errors import C2Error, DatabaseError

if TYPE_CHECKING:
    from e4.c2.storage import Outgoing, StoredC2Key
    from e4.c2.vault import Table, Vault

__all__ = ["Damaged", "Gone", "Protector"]

T = TypeVar("T")

_SHARED_KEYS = 10_000  # in PK mode a client's key with C2 costs a curve multiplication: kept for so many


class Gone(C2Error):
    """What the command refers to is no longer there: its client, its topic, or a version of a key."""

    default = "what the command is about is no longer there"


class Damaged(C2Error):
    """A stored key does not open: this one command cannot be protected."""

    default = "a stored key does not open"


class Protector:
    """Makes the messages of one sender's commands.

    Args:
        vault: opens the stored keys.
        c2_keys: reads C2's own keys by version; None in SK mode.
    """

    def __init__(self, vault: Vault, c2_keys: Callable[[], Mapping[int, StoredC2Key]] | None) -> None:
        self._vault = vault
        self._read_c2_keys = c2_keys
        self._backend = get()
        self._plain: dict[tuple[int, int | None, int | None], bytes] = {}
        self._c2_keys: Mapping[int, StoredC2Key] = {}
        self._c2_private: dict[int, bytes] = {}
        self._shared: OrderedDict[tuple[int, int, int], SymKey] = OrderedDict()

    def forget(self) -> None:
        """Drop the unsealed keys of the commands so far; at the end of a batch."""
        self._plain.clear()
        self._c2_private.clear()

    def protect(self, out: Outgoing, timestamp: int) -> bytes:
        """The protected message of a command.

        Args:
            out: as claimed; not of the kind CLEAR_RETAINED.
            timestamp: seconds since the epoch.

        Raises:
            Gone: it can never be sent.
            Damaged: a stored key does not open.
            InvalidKey: a stored key is not one.
            DatabaseError: C2's own keys cannot be read now.
        """
        return self._key(out).protect(self._plaintext(out), timestamp)

    def _key(self, out: Outgoing) -> SymKey:
        """What the client will open it with."""
        if out.client_key is None:
            raise Gone
        if self._read_c2_keys is None:
            return self._backend.SymKey(self._client_key(out, out.client_key))
        index = (out.client_row, out.key_version, out.c2_key_version)
        key = self._shared.get(index)
        if key is not None:
            self._shared.move_to_end(index)
            return key
        public = crypto.public_ed25519_key_to_curve25519(self._client_key(out, out.client_key))
        key = self._backend.SymKey(crypto.c2_shared_key(self._private_key(out.c2_key_version), public))
        self._shared[index] = key
        if len(self._shared) > _SHARED_KEYS:
            self._shared.popitem(last=False)
        return key

    def _client_key(self, out: Outgoing, sealed: bytes) -> bytes:
        return self._open("client_keys", out.client_row, out.key_version, sealed)

    def _open(self, table: Table, row: int, version: int, sealed: bytes) -> bytes:
        try:
            return self._vault.open_key(table, row, version, sealed)
        except DatabaseError as error:
            raise Damaged(str(error)) from None

    def _private_key(self, version: int) -> bytes:
        private = self._c2_private.get(version)
        if private is None:
            stored = self._c2_key(version)
            private = self._open("c2_keys", version, version, stored.sealed)
            self._c2_private[version] = private
        return private

    def _c2_key(self, version: int) -> StoredC2Key:
        if version not in self._c2_keys and self._read_c2_keys is not None:
            self._c2_keys = self._read_c2_keys()
        if version not in self._c2_keys:
            raise Gone
        return self._c2_keys[version]

    def _plaintext(self, out: Outgoing) -> bytes:
        """The command, as its client reads it; made once per batch where many clients get the same."""
        kind = int(out.kind)
        index: tuple[int, int | None, int | None]
        if kind == CommandKind.SET_TOPIC_KEY:
            index = (kind, out.topic_row, out.topic_version)
        elif kind == CommandKind.SET_PUB_KEY:
            index = (kind, out.source_row, out.source_version)
        elif kind == CommandKind.SET_C2_KEY:
            index = (kind, 0, out.new_version)
        else:
            return self._command(out).encode()
        plain = self._plain.get(index)
        if plain is None:
            plain = self._plain[index] = self._command(out).encode()
        return plain

    def _command(self, out: Outgoing) -> commands.Command:
        match out.kind:
            case CommandKind.SET_TOPIC_KEY:
                row, version, sealed = _there(out.topic_row, out.topic_version, out.topic_key)
                key = self._open("topic_keys", row, version, sealed)
                return commands.SetTopicKey(key, _given(out.topic_hash))
            case CommandKind.REMOVE_TOPIC:
                return commands.RemoveTopic(_given(out.topic_hash))
            case CommandKind.RESET_TOPICS:
                return commands.ResetTopics()
            case CommandKind.SET_ID_KEY:
                return commands.SetIdKey(self._new_key(out))
            case CommandKind.SET_PUB_KEY:
                row, version, sealed = _there(out.source_row, out.source_version, out.source_key)
                key = self._open("client_keys", row, version, sealed)
                return commands.SetPubKey(key, _given(out.source_id))
            case CommandKind.REMOVE_PUB_KEY:
                return commands.RemovePubKey(_given(out.source_id))
            case CommandKind.RESET_PUB_KEYS:
                return commands.ResetPubKeys()
            case CommandKind.SET_C2_KEY:
                return commands.SetC2Key(self._c2_key(_given(out.new_version)).public)
            case _:
                raise Gone  # no such command; CLEAR_RETAINED has no payload

    def _new_key(self, out: Outgoing) -> bytes:
        """The client's next key: symmetric, or in PK mode the private key kept until it is sent."""
        version, sealed = _given(out.new_version), _given(out.new_key)
        if self._read_c2_keys is None:
            return self._open("client_keys", out.client_row, version, sealed)
        return self._open("client_keys.transit", out.client_row, version, sealed)


def _given(value: T | None) -> T:
    if value is None:
        raise Gone
    return value


def _there(row: int | None, version: int | None, sealed: bytes | None) -> tuple[int, int, bytes]:
    return _given(row), _given(version), _given(sealed)
