"""Operations on clients (C2, section 2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from e4.c2.auth import require
from e4.c2.model import (
    Call,
    Client,
    ClientDetails,
    EventKind,
    ExportedClient,
    ImportProgress,
    JobKind,
    KeyInfo,
    Page,
    Right,
)
from e4.c2.service._change import Change
from e4.c2.service._checks import (
    DEPLOYED_PAGE_MAX,
    Ref,
    label,
    page_size,
    read_name_cursor,
    read_ref,
    window,
)
from e4.c2.service._core import Core
from e4.c2.service._imports import ClientRow, import_clients
from e4.c2.service._reading import check_batch, find_client, name_page
from e4.c2.service._registering import check, register
from e4.c2.service._resync import resync

__all__ = ["Clients"]

_LAST_COMMANDS = 10
_EXPORT_CHUNK = 500


class Clients:
    """Creating, replacing, resetting and removing clients; reading what there is of them."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def new_client(self, call: Call, client: Ref, key: bytes) -> Client:
        """Store a client and its key, which the device was given already; or an existing client's new key.

        Args:
            call: who asks.
            client: a name; or an id, 16 bytes, for a client without a name.
            key: 32 bytes: the symmetric key, or in PK mode the Ed25519 public key.

        Raises:
            InvalidName: and `InvalidId`, `InvalidKey`: not valid in this mode.
            Conflict: the id in hex is another client's name.
        """
        with self._core.attempt(call, "new_client", label(client)) as attempt:
            wanted = [check(self._core.mode, client, key)]
            return attempt.commit(lambda change: register(change, wanted)[0].client)

    def new_clients(self, call: Call, clients: Sequence[tuple[Ref, bytes]]) -> list[Client]:
        """As `new_client` for many; all or none.

        Raises:
            InvalidRequest: a client is given more than once, or there are too many.
        """
        with self._core.attempt(call, "new_client", f"{len(clients)} clients") as attempt:
            check_batch(clients)
            wanted = [check(self._core.mode, client, key) for client, key in clients]
            return attempt.commit(
                lambda change: [done.client for done in register(change, wanted)],
                each=lambda done: [client.name for client in done],
            )

    def import_clients(
        self, call: Call, rows: Iterable[ClientRow], chunk: int = 1000
    ) -> Iterator[ImportProgress]:
        """As `new_client` for any number, streaming; a row that is refused is left out and reported.

        Args:
            call: who asks.
            rows: line number, client and key; or line number and why the line could not be read.
            chunk: rows of one transaction.

        Returns:
            A report after each chunk. The import goes on as the reports are taken.
        """
        with self._core.attempt(call, "import_clients"):
            check_batch(range(chunk))
        return import_clients(self._core, call, rows, chunk)

    def remove_client(self, call: Call, client: Ref) -> None:
        """Forget a client, its keys, memberships, links and waiting commands; clear its retained command.

        Raises:
            NotFound: it is not known.
        """
        with self._core.attempt(call, "remove_client", label(client)) as attempt:
            ref = read_ref(client)

            def work(change: Change) -> None:
                found = change.client(ref)
                change.clear_retained(found)
                change.tx.jobs.supersede_running(JobKind.CLIENT_PUBLIC_KEY, found.row, change.now)
                change.tx.clients.delete(found.row)
                change.event(EventKind.CLIENT_REMOVED, found.name)

            attempt.commit(work)

    def reset_client(self, call: Call, client: Ref) -> None:
        """Make a client forget all topics; its memberships end.

        Raises:
            NotFound: it is not known.
        """
        with self._core.attempt(call, "reset_client", label(client)) as attempt:
            ref = read_ref(client)
            attempt.commit(lambda change: _reset(change, [change.client(ref)]))

    def reset_clients(self, call: Call, clients: Sequence[Ref]) -> None:
        """As `reset_client` for many; all or none."""
        with self._core.attempt(call, "reset_client", f"{len(clients)} clients") as attempt:
            check_batch(clients)
            refs = list(dict.fromkeys(map(read_ref, clients)))
            attempt.commit(
                lambda change: _reset(change, change.clients(refs).values()),
                each=lambda _: [label(ref) for ref in refs],
            )

    def resync_client(self, call: Call, client: Ref) -> None:
        """Send a client all that it should hold, from nothing, whichever kept key it has.

        Raises:
            NotFound: it is not known.
        """
        with self._core.attempt(call, "resync_client", label(client)) as attempt:
            ref = read_ref(client)
            attempt.commit(lambda change: resync(change, change.client(ref)))

    def get_client(self, call: Call, client: Ref) -> ClientDetails:
        """All about a client but its keys. Raises `NotFound`."""
        ref = read_ref(client)
        with self._core.reading(call) as tx:
            found = find_client(tx, ref)
            return ClientDetails(
                found,
                tuple(KeyInfo(k.version, k.state, k.created_at) for k in tx.keys.client_keys(found.row)),
                tx.members.count_of_client(found.row),
                tx.links.count(found.row),
                tx.commands.count_pending_of(found.id),
                tuple(tx.commands.page(client=found.id, limit=_LAST_COMMANDS, newest_first=True)),
            )

    def count_clients(self, call: Call) -> int:
        """How many there are."""
        with self._core.reading(call) as tx:
            return tx.clients.count()

    def get_clients(self, call: Call, offset: int, count: int) -> list[Client]:
        """Some clients by name, at most 100; none where `count` is 0. Raises `InvalidRequest`."""
        offset, count = window(offset, count, DEPLOYED_PAGE_MAX)
        with self._core.reading(call) as tx:
            return tx.clients.offset(offset, count) if count else []

    def page_clients(self, call: Call, cursor: str | None, limit: int, prefix: str = "") -> Page[Client]:
        """A page of clients by name, however many come before it.

        Args:
            call: who asks.
            cursor: `next` of the page before; None for the first.
            limit: 1 to 1000.
            prefix: only names that begin so.

        Raises:
            InvalidRequest: the cursor or the limit is not valid.
        """
        after, size = read_name_cursor(cursor), page_size(limit)
        with self._core.reading(call) as tx:
            return name_page(tx.clients.page(after, size + 1, prefix), size)

    def export_clients(self, call: Call) -> Iterator[ExportedClient]:
        """Every client with its memberships and links, in one snapshot; never a key."""
        require(call.actor, Right.VIEW)
        return self._export()

    def _export(self) -> Iterator[ExportedClient]:
        with self._core.store.read() as tx:
            clients = tx.clients.iterate()
            while chunk := list(islice(clients, _EXPORT_CHUNK)):
                rows = [client.row for client in chunk]
                topics, links = tx.members.topic_names(rows), tx.links.source_names(rows)
                for client in chunk:
                    yield ExportedClient(
                        client.name,
                        client.id,
                        client.by_id,
                        client.created_at,
                        tuple(topics.get(client.row, ())),
                        tuple(links.get(client.row, ())),
                    )


def _reset(change: Change, clients: Iterable[Client]) -> None:
    distinct = list({client.row: client for client in clients}.values())
    change.reset_topics(distinct)
    for client in distinct:
        change.tx.members.remove_all_of_client(client.row)
        change.event(EventKind.CLIENT_RESET, client.name)
