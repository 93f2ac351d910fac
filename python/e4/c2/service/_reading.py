"""What several groups do when they read: finding what a name means, and cutting pages."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import TYPE_CHECKING, Protocol, TypeVar

from e4.c2.model import Client, Page, Topic
from e4.c2.service._checks import BATCH_MAX, Ref, id_of, label, plain, write_name_cursor
from e4.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from e4.c2.storage import Transaction

__all__ = [
    "check_batch",
    "find_client",
    "find_topic",
    "name_page",
    "number_page",
    "sources_of",
    "topics_of",
]

_CHUNK = 1000


class _Named(Protocol):
    @property
    def name(self) -> str: ...


class _Numbered(Protocol):
    @property
    def id(self) -> int: ...


N = TypeVar("N", bound=_Named)
M = TypeVar("M", bound=_Numbered)


def find_client(tx: Transaction, ref: Ref) -> Client:
    """A client by its name or id. Raises `NotFound`."""
    found = tx.clients.get(ref)
    if found is None and isinstance(ref, str):
        found = tx.clients.get(id_of(ref))  # registered by its id alone
    if found is None:
        raise NotFound(f"client {label(ref)!r} is not known")
    return found


def find_topic(tx: Transaction, name: str) -> Topic:
    """A topic by its name. Raises `NotFound`."""
    found = tx.topics.get(name)
    if found is None:
        raise NotFound(f"topic {plain(name)!r} is not known")
    return found


def topics_of(tx: Transaction, client: Client) -> Iterator[Topic]:
    """All topics that a client is a member of, by name."""
    after = None
    while page := tx.members.topics_page(client.row, after, _CHUNK):
        yield from page
        after = page[-1].name


def sources_of(tx: Transaction, target: Client) -> Iterator[Client]:
    """All clients linked to a target, by name."""
    after = None
    while page := tx.links.sources_page(target.row, after, _CHUNK):
        yield from page
        after = page[-1].name


def check_batch(items: Sized) -> None:
    """Raises `InvalidRequest` for a batch that is too long for one transaction."""
    if not 0 < len(items) <= BATCH_MAX:
        raise InvalidRequest(f"a batch has 1 to {BATCH_MAX} items")


def name_page(items: list[N], size: int) -> Page[N]:
    """A page in the order of names, from one item more than fits if there are more."""
    page = items[:size]
    return Page(page, write_name_cursor(page[-1].name) if len(items) > size else None)


def number_page(items: list[M], size: int) -> Page[M]:
    """A page in the order of numbers, likewise."""
    page = items[:size]
    return Page(page, str(page[-1].id) if len(items) > size else None)
