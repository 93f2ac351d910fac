"""Taking over the database of a deployed server: its clients, topics, memberships and links.

A key there is AES-SIV, with one empty associated-data string, under the key that the protocol's section 2
derives from the server's passphrase. In public-key mode a client's key is its Ed25519 public key; C2's own
private key is not in that database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from e4 import crypto
from e4.backend import get
from e4.c2.model import Call, KeyState, Right
from e4.c2.service._change import Change
from e4.c2.service._checks import check_client_key, check_topic, plain, read_ref
from e4.c2.service._core import Core
from e4.c2.service._registering import newest_c2_version
from e4.c2.storage import NewClient, NewTopic, Transient
from e4.errors import Conflict, DatabaseError, InvalidInput, MessageError, WrongPassphrase

if TYPE_CHECKING:
    from e4.c2.storage.legacy import LegacyClient, LegacyDatabase, LegacyTopic

__all__ = ["TakenOver", "take_over"]

_CHUNK: Final = 1000
T = TypeVar("T")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class TakenOver:
    """How much was taken over; `dangling`: memberships and links of what is not there any more."""

    clients: int
    topics: int
    memberships: int
    links: int
    dangling: int


def take_over(
    core: Core,
    call: Call,
    source: LegacyDatabase,
    passphrase: str,
    *,
    c2_private_key: bytes | None = None,
    progress: Progress = lambda table, done, total: None,
) -> TakenOver:
    """See `Service.import_legacy`."""
    with core.attempt(call, "import_legacy", right=Right.ADMINISTER) as attempt:
        key = crypto.derive_sym_key(passphrase)
        if c2_private_key is not None:
            core.require_public_keys()
            crypto.curve25519_public_key(c2_private_key)  # its length, before anything

        def work(change: Change) -> TakenOver:
            if change.tx.clients.count() or change.tx.topics.count():
                raise Conflict("there are clients or topics already: import into a new database")
            if c2_private_key is not None:
                _take_c2_key(change, c2_private_key)
            done = _Import(change, source, key * 2, progress).run()
            attempt.subject = f"{done.clients} clients, {done.topics} topics"
            return done

        try:
            return attempt.commit(work, once=True)
        except Transient:
            raise DatabaseError("two clients or topics in it have the same name or id") from None


def _take_c2_key(change: Change, private: bytes) -> None:
    """C2 is for its clients who it was: the key pair that the new database was made with goes."""
    version = newest_c2_version(change) + 1
    sealed = change.vault.seal("c2_keys", version, version, private)
    public = crypto.curve25519_public_key(private)
    change.tx.keys.add_c2_key(version, KeyState.CURRENT, sealed, public, change.now)
    change.tx.keys.delete_c2_keys(version)


class _Import:
    def __init__(self, change: Change, source: LegacyDatabase, key: bytes, progress: Progress) -> None:
        self._change = change
        self._source = source
        self._key = key
        self._progress = progress
        self._open = get().siv_open
        self._any_opened = False
        self._c2_version = newest_c2_version(change)

    def run(self) -> TakenOver:
        source, tx, now = self._source, self._change.tx, self._change.now
        totals = source.counts()
        clients: dict[int, int] = {}
        for done, chunk in _chunks(source.clients()):
            clients |= self._clients(chunk)
            self._progress("clients", done, totals[0])
        topics: dict[int, int] = {}
        for done, topic in enumerate(source.topics(), 1):
            topics[topic.number] = self._topic(topic)
            self._progress("topics", done, totals[1])
        memberships = links = 0
        for done, pairs in _chunks(source.memberships()):
            known = [(clients[c], topics[t]) for c, t in pairs if c in clients and t in topics]
            memberships += len(tx.members.add_many(known, now))
            self._progress("memberships", done, totals[2])
        for done, pairs in _chunks(source.links()):
            for first, second in pairs:
                if first in clients and second in clients:
                    links += tx.links.add(clients[first], clients[second], now)
            self._progress("links", done, totals[3])
        dangling = totals[2] - memberships + totals[3] - links
        return TakenOver(len(clients), len(topics), memberships, links, dangling)

    def _clients(self, chunk: list[LegacyClient]) -> dict[int, int]:
        """Insert clients; the rows of their numbers."""
        tx, seal, now = self._change.tx, self._change.vault.seal, self._change.now
        rows = tx.clients.reserve(len(chunk))
        new, keys = [], []
        for row, client in zip(rows, chunk, strict=True):
            what = f"client {plain(client.name or client.id.hex())!r}"
            key = self._opened(what, client.key)
            try:
                read_ref(client.id)
                read_ref(client.name or client.id)
                check_client_key(self._change.mode, key)
            except InvalidInput as error:
                raise DatabaseError(f"{what} is not valid in this mode: {error}") from None
            name = client.name or client.id.hex()
            new.append(NewClient(row, client.id, name, not client.name, 1, self._c2_version, now))
            keys.append((row, 1, KeyState.CURRENT, seal("client_keys", row, 1, key), None, now))
        tx.clients.insert(new)
        tx.keys.add_client_keys(keys)
        return {client.number: row for row, client in zip(rows, chunk, strict=True)}

    def _topic(self, topic: LegacyTopic) -> int:
        """Insert a topic; its row."""
        tx, now = self._change.tx, self._change.now
        what = f"topic {plain(topic.name)!r}"
        key = self._opened(what, topic.key)
        try:
            check_topic(topic.name)
            get().SymKey(key)
        except InvalidInput as error:
            raise DatabaseError(f"{what} is not valid: {error}") from None
        row = tx.topics.reserve()
        tx.topics.insert(NewTopic(row, topic.name, crypto.hash_topic(topic.name), 1, now, now))
        tx.keys.add_topic_key(row, 1, self._change.vault.seal("topic_keys", row, 1, key), now)
        return row

    def _opened(self, what: str, sealed: bytes) -> bytes:
        try:
            key = self._open(self._key, [b""], sealed)
        except MessageError:
            if self._any_opened:
                raise DatabaseError(f"the key of {what} does not open: it was damaged") from None
            raise WrongPassphrase("the passphrase does not open the deployed server's keys") from None
        self._any_opened = True
        return key


def _chunks(items: Iterable[T]) -> Iterator[tuple[int, list[T]]]:
    """Items in lists, each with how many there are up to its end."""
    rest, done = iter(items), 0
    while chunk := list(islice(rest, _CHUNK)):
        done += len(chunk)
        yield done, chunk
