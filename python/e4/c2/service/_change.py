"""One transaction that changes something: the commands it queues, its events and audit rows.

What a command is protected under is fixed here, when it is queued: the versions of the client's and of
C2's key that the client will hold when the command's turn comes. So whoever queues holds the client's row
locked. Locks are taken in one order: topic, clients by their rows, jobs, then the log of events and audit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from e4.c2.audit import chain_hash
from e4.c2.model import Call, Client, CommandKind, EventKind, JobKind, KeyState, Mode, Topic
from e4.c2.service._checks import Ref, id_of, label, plain
from e4.c2.storage import NewCommand
from e4.errors import NotFound

if TYPE_CHECKING:
    from e4.c2.storage import Transaction
    from e4.c2.vault import Vault

__all__ = ["Change"]

_TOPIC_COMMANDS: Final = (CommandKind.SET_TOPIC_KEY, CommandKind.REMOVE_TOPIC)
_PUB_KEY_COMMANDS: Final = (CommandKind.SET_PUB_KEY, CommandKind.REMOVE_PUB_KEY)


class Change:
    """A transaction under way.

    Args:
        tx: the storage's.
        vault: seals what is stored.
        mode: of the database.
        now: milliseconds since the epoch; the one time of all that the transaction writes.
    """

    def __init__(self, tx: Transaction, vault: Vault, mode: Mode, now: int) -> None:
        self.tx = tx
        self.vault = vault
        self.mode: Mode = mode
        self.now = now
        self.news = False
        self._jobs = False
        self._events: list[tuple[EventKind, str, str]] = []
        self._audit: list[tuple[Call, str, str, str]] = []

    # What it is about.

    def client(self, ref: Ref) -> Client:
        """A client, its row locked. Raises `NotFound`."""
        found = self.tx.clients.lock(ref)
        if found is None and isinstance(ref, str):
            found = self.tx.clients.lock(id_of(ref))  # registered by its id alone
        if found is None:
            raise NotFound(f"client {label(ref)!r} is not known")
        return found

    def clients(self, refs: Sequence[Ref]) -> dict[Ref, Client]:
        """Many clients, their rows locked in order. Raises `NotFound` for the first that is missing."""
        found = self.known_clients(refs)
        for ref in refs:
            if ref not in found:
                raise NotFound(f"client {label(ref)!r} is not known")
        return found

    def known_clients(self, refs: Sequence[Ref]) -> dict[Ref, Client]:
        """Those of many clients that are known, their rows locked in order."""
        found = self.tx.clients.lock_many(refs)
        missing = {id_of(ref): ref for ref in refs if isinstance(ref, str) and ref not in found}
        if missing:
            by_id = self.tx.clients.lock_many(list(missing))
            found |= {missing[id]: client for id, client in by_id.items() if isinstance(id, bytes)}
        return found

    def topic(self, name: str) -> Topic:
        """A topic, its row locked. Raises `NotFound`."""
        found = self.tx.topics.lock(name)
        if found is None:
            raise NotFound(f"topic {plain(name)!r} is not known")
        return found

    def topics(self, names: Sequence[str]) -> dict[str, Topic]:
        """Many topics that nobody can rotate or remove meanwhile. Raises `NotFound` for the first missing."""
        found = self.known_topics(names)
        for name in names:
            if name not in found:
                raise NotFound(f"topic {plain(name)!r} is not known")
        return found

    def known_topics(self, names: Sequence[str]) -> dict[str, Topic]:
        """Those of many topics that are known; nobody can rotate or remove them meanwhile."""
        return self.tx.topics.lock_many(names, share=True)

    # Commands. Each makes older ones needless that say something else about the same, if they still wait.

    def set_topic_key(self, clients: Sequence[Client], topic: Topic, job: int | None = None) -> None:
        """SetTopicKey, with whatever key the topic has when it is sent."""
        self._supersede(clients, _TOPIC_COMMANDS, topic_hash=topic.hash)
        self._queue(clients, CommandKind.SET_TOPIC_KEY, topic_row=topic.row, topic_hash=topic.hash, job=job)

    def remove_topic(self, clients: Sequence[Client], topic: Topic) -> None:
        """RemoveTopic."""
        self._supersede(clients, _TOPIC_COMMANDS, topic_hash=topic.hash)
        self._queue(clients, CommandKind.REMOVE_TOPIC, topic_row=topic.row, topic_hash=topic.hash)

    def reset_topics(self, clients: Sequence[Client]) -> None:
        """ResetTopics."""
        self._supersede(clients, (*_TOPIC_COMMANDS, CommandKind.RESET_TOPICS))
        self._queue(clients, CommandKind.RESET_TOPICS)

    def set_pub_key(self, targets: Sequence[Client], source: Client, job: int | None = None) -> None:
        """SetPubKey, with the public key that the source has when it is sent."""
        self._supersede(targets, _PUB_KEY_COMMANDS, source_id=source.id)
        self._queue(targets, CommandKind.SET_PUB_KEY, source_row=source.row, source_id=source.id, job=job)

    def remove_pub_key(self, target: Client, source: Client) -> None:
        """RemovePubKey."""
        self._supersede([target], _PUB_KEY_COMMANDS, source_id=source.id)
        self._queue([target], CommandKind.REMOVE_PUB_KEY, source_row=source.row, source_id=source.id)

    def reset_pub_keys(self, target: Client) -> None:
        """ResetPubKeys."""
        self._supersede([target], (*_PUB_KEY_COMMANDS, CommandKind.RESET_PUB_KEYS))
        self._queue([target], CommandKind.RESET_PUB_KEYS)

    def set_id_key(self, client: Client, new_version: int) -> None:
        """SetIdKey, under the versions that `client` has."""
        self._queue([client], CommandKind.SET_ID_KEY, new_version=new_version)

    def set_c2_key(self, clients: Sequence[Client], new_version: int, job: int | None = None) -> None:
        """SetC2Key, under the versions that the clients have."""
        self._queue(clients, CommandKind.SET_C2_KEY, new_version=new_version, job=job)

    def clear_retained(self, client: Client) -> None:
        """No command follows for this client: all that wait are dropped, the retained one is cleared."""
        self._supersede([client], None)
        self._queue([client], CommandKind.CLEAR_RETAINED)

    def drop_topic_commands(self, topic: Topic) -> None:
        """Drop waiting commands that bring anybody this topic's key."""
        kinds = (CommandKind.SET_TOPIC_KEY,)
        if self.tx.commands.supersede(at=self.now, kinds=kinds, topic_hash=topic.hash):
            self._jobs = True

    def drop_key_commands(self, client: Client, *kinds: CommandKind) -> None:
        """Drop waiting commands that bring the client a key of its own or of C2's."""
        self._supersede([client], kinds)

    # What is told, and kept, of it.

    def event(self, kind: EventKind, source: str, target: str = "") -> None:
        """Tell of something; it is written when the transaction ends."""
        self._events.append((kind, source, target))

    def audit(self, call: Call, operation: str, subject: str, outcome: str) -> None:
        """Keep a row of who did what; it is written when the transaction ends."""
        self._audit.append((call, operation, subject, outcome))

    def touched_jobs(self) -> None:
        """A job may be done with this."""
        self._jobs = True

    def finish(self) -> None:
        """Write what must come last."""
        self.finish_jobs()
        if self._events:
            self.news = True
            self.tx.events.append(self._events, self.now)
        for call, operation, subject, outcome in self._audit:
            self.tx.audit.append(
                self.now, call.actor.name, call.peer, call.request_id, operation, subject, outcome, chain_hash
            )

    def finish_jobs(self) -> None:
        """End the jobs that have nothing left to send."""
        if not self._jobs:
            return
        self._jobs = False
        for job in self.tx.jobs.finish_ready(self.now):
            self.event(EventKind.JOB_DONE, job.subject, str(job.id))
            if job.kind is JobKind.C2_KEY:
                self._c2_key_sent()

    def _c2_key_sent(self) -> None:
        """Every client was sent C2's newest key: it is the current one."""
        *older, newest = self.tx.keys.c2_keys()
        for key in older:
            self.tx.keys.set_c2_key_state(key.version, KeyState.PREVIOUS)
        self.tx.keys.set_c2_key_state(newest.version, KeyState.CURRENT)
        self.event(EventKind.KEY_C2_CURRENT, "", str(newest.version))

    def _queue(
        self,
        clients: Sequence[Client],
        kind: CommandKind,
        *,
        topic_row: int | None = None,
        topic_hash: bytes | None = None,
        source_row: int | None = None,
        source_id: bytes | None = None,
        new_version: int | None = None,
        job: int | None = None,
    ) -> None:
        make = partial(
            NewCommand,
            kind=kind,
            created_at=self.now,
            topic_row=topic_row,
            topic_hash=topic_hash,
            source_row=source_row,
            source_id=source_id,
            new_version=new_version,
            job=job,
        )
        self.tx.commands.queue(
            [make(c.id, c.row, key_version=c.key_version, c2_key_version=c.c2_key_version) for c in clients]
        )
        self.news = True

    def _supersede(
        self,
        clients: Sequence[Client],
        kinds: tuple[CommandKind, ...] | None,
        *,
        topic_hash: bytes | None = None,
        source_id: bytes | None = None,
    ) -> None:
        ids = [client.id for client in clients]
        if self.tx.commands.supersede(
            at=self.now, clients=ids, kinds=kinds, topic_hash=topic_hash, source_id=source_id
        ):
            self._jobs = True
