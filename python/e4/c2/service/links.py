"""Operations on links and on public keys sent from client to client (C2, section 2).

A link from a source to a target: the target should hold the source's public key. The links of a client are
those whose target it is.
"""

from __future__ import annotations

from collections.abc import Callable

from e4.c2.model import Call, Client, EventKind, Page
from e4.c2.service._change import Change
from e4.c2.service._checks import Ref, label, page_size, read_name_cursor, read_ref, window
from e4.c2.service._core import Attempt, Core
from e4.c2.service._reading import find_client, name_page

__all__ = ["Links"]


class Links:
    """Linking clients, and sending one the public key of another."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def link_client(self, call: Call, source: Ref, target: Ref) -> None:
        """Record a link; nothing is sent.

        Raises:
            NotFound: one of them is not known.
        """

        def work(change: Change, source: Client, target: Client) -> None:
            if change.tx.links.add(source.row, target.row, change.now):
                change.event(EventKind.LINK_ADDED, source.name, target.name)

        with self._core.attempt(call, "link_client", _label(source, target)) as attempt:
            _commit(attempt, source, target, work)

    def unlink_client(self, call: Call, source: Ref, target: Ref) -> None:
        """Remove a link; nothing is sent.

        Raises:
            NotFound: one of them is not known.
        """

        def work(change: Change, source: Client, target: Client) -> None:
            if change.tx.links.remove(source.row, target.row):
                change.event(EventKind.LINK_REMOVED, source.name, target.name)

        with self._core.attempt(call, "unlink_client", _label(source, target)) as attempt:
            _commit(attempt, source, target, work)

    def count_linked_clients(self, call: Call, client: Ref) -> int:
        """How many clients are linked to this one. Raises `NotFound`."""
        ref = read_ref(client)
        with self._core.reading(call) as tx:
            return tx.links.count(find_client(tx, ref).row)

    def get_linked_clients(self, call: Call, client: Ref, offset: int, count: int) -> list[Client]:
        """Some of the clients linked to this one by name; none where `count` is 0.

        Raises:
            NotFound: it is not known.
            InvalidRequest: a negative number.
        """
        ref, (offset, count) = read_ref(client), window(offset, count)
        with self._core.reading(call) as tx:
            row = find_client(tx, ref).row
            return tx.links.sources_offset(row, offset, count) if count else []

    def page_linked_clients(self, call: Call, client: Ref, cursor: str | None, limit: int) -> Page[Client]:
        """A page of the clients linked to this one by name; see `Clients.page_clients`."""
        ref, after, size = read_ref(client), read_name_cursor(cursor), page_size(limit)
        with self._core.reading(call) as tx:
            return name_page(tx.links.sources_page(find_client(tx, ref).row, after, size + 1), size)

    def send_client_pubkey(self, call: Call, target: Ref, source: Ref) -> None:
        """Send the target the source's public key.

        Raises:
            FailedPrecondition: the database is in SK mode.
            NotFound: one of them is not known.
        """

        def work(change: Change, source: Client, target: Client) -> None:
            change.set_pub_key([target], source)

        with self._core.attempt(call, "send_client_pubkey", _label(source, target)) as attempt:
            self._core.require_public_keys()
            _commit(attempt, source, target, work)

    def remove_client_pubkey(self, call: Call, target: Ref, source: Ref) -> None:
        """Make the target forget the source's public key. Raises as `send_client_pubkey`."""

        def work(change: Change, source: Client, target: Client) -> None:
            change.remove_pub_key(target, source)

        with self._core.attempt(call, "remove_client_pubkey", _label(source, target)) as attempt:
            self._core.require_public_keys()
            _commit(attempt, source, target, work)

    def reset_client_pubkeys(self, call: Call, target: Ref) -> None:
        """Make the target forget all public keys. Raises as `send_client_pubkey`."""
        with self._core.attempt(call, "reset_client_pubkeys", label(target)) as attempt:
            self._core.require_public_keys()
            ref = read_ref(target)
            attempt.commit(lambda change: change.reset_pub_keys(change.client(ref)))


def _label(source: Ref, target: Ref) -> str:
    return f"{label(source)} → {label(target)}"


def _commit(
    attempt: Attempt, source: Ref, target: Ref, work: Callable[[Change, Client, Client], None]
) -> None:
    """Do some work on two clients, both locked."""
    refs = read_ref(source), read_ref(target)

    def both(change: Change) -> None:
        found = change.clients(refs)
        work(change, found[refs[0]], found[refs[1]])

    attempt.commit(both)
