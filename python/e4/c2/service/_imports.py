"""Importing clients and memberships: any number of rows, in chunks, each chunk one transaction.

A row that is refused is reported with its line, and the rest goes on. What a row says may be so already:
then it changes nothing, and an import can be run again from its start.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from e4.c2 import audit
from e4.c2.model import Call, Client, EventKind, ImportProgress
from e4.c2.service._checks import Ref, check_topic, label, plain, read_ref
from e4.c2.service._core import Core
from e4.c2.service._registering import Wanted, check, register
from e4.errors import DatabaseError, E4Error, InvalidRequest

if TYPE_CHECKING:
    from e4.c2.service._change import Change

__all__ = ["ClientRow", "MembershipRow", "import_clients", "import_memberships"]

ClientRow = tuple[int, Ref, bytes] | tuple[int, E4Error]
MembershipRow = tuple[int, Ref, str] | tuple[int, E4Error]

R = TypeVar("R")
Item = tuple[int, R]  # line number, and a row that was checked
Refusals = list[tuple[int, str]]


def import_clients(core: Core, call: Call, rows: Iterable[ClientRow], chunk: int) -> Iterator[ImportProgress]:
    """See `Clients.import_clients`."""

    def read(row: ClientRow) -> Wanted:
        if len(row) == 2:
            raise row[1]
        return check(core.mode, row[1], row[2])

    def work(change: Change, items: Sequence[Item[Wanted]]) -> tuple[Counter[str], Refusals]:
        done = register(change, [item for _, item in items])
        return Counter(registered.effect for registered in done), []

    return _run(core, call, "import_clients", rows, chunk, read, lambda want: want.id, work)


def import_memberships(
    core: Core, call: Call, rows: Iterable[MembershipRow], chunk: int
) -> Iterator[ImportProgress]:
    """See `Members.import_memberships`."""

    def read(row: MembershipRow) -> tuple[Ref, str]:
        if len(row) == 2:
            raise row[1]
        return read_ref(row[1]), check_topic(row[2])

    return _run(core, call, "import_memberships", rows, chunk, read, lambda item: item, _join)


def _join(change: Change, items: Sequence[Item[tuple[Ref, str]]]) -> tuple[Counter[str], Refusals]:
    topics = change.known_topics([topic for _, (_, topic) in items])
    clients = change.known_clients(list(dict.fromkeys(client for _, (client, _) in items)))
    refusals: Refusals = []
    wanted: dict[int, dict[int, Client]] = defaultdict(dict)  # by topic, then by client
    for line, (ref, name) in items:
        client, topic = clients.get(ref), topics.get(name)
        if client is None or topic is None:
            what = f"client {label(ref)!r}" if client is None else f"topic {plain(name)!r}"
            refusals.append((line, f"{what} is not known"))
        else:
            wanted[topic.row][client.row] = client
    created = 0
    for topic in topics.values():
        of_topic = wanted[topic.row]
        new = change.tx.members.add_many([(row, topic.row) for row in of_topic], change.now)
        joining = [client for row, client in of_topic.items() if (row, topic.row) in new]
        if joining:
            change.set_topic_key(joining, topic)
        for client in joining:
            change.event(EventKind.MEMBERSHIP_ADDED, client.name, topic.name)
        created += len(joining)
    unchanged = len(items) - len(refusals) - created
    return +Counter({"created": created, "unchanged": unchanged}), refusals


def _run(
    core: Core,
    call: Call,
    operation: str,
    rows: Iterable[tuple[int, *tuple[object, ...]]],
    chunk: int,
    read: Callable[..., R],
    identity: Callable[[R], object],
    work: Callable[[Change, Sequence[Item[R]]], tuple[Counter[str], Refusals]],
) -> Iterator[ImportProgress]:
    """Check rows, do them chunk by chunk, and report after each."""
    total: Counter[str] = Counter()
    rows = iter(rows)
    while part := list(itertools.islice(rows, chunk)):
        refusals: Refusals = []
        items: list[Item[R]] = []
        for row in part:
            try:
                items.append((row[0], read(row)))
            except E4Error as error:
                refusals.append((row[0], str(error)))
        for distinct in _distinct(items, identity):
            counts, refused = _transaction(core, call, operation, distinct, work)
            total += counts
            refusals += refused
        if refusals:
            total["refused"] += len(refusals)
            _audit_refusals(core, call, operation, sorted(refusals))
        yield ImportProgress(
            total.total(),
            total["created"],
            total["replaced"],
            total["unchanged"],
            total["refused"],
            tuple(sorted(refusals)),
        )


def _audit_refusals(core: Core, call: Call, operation: str, refusals: Refusals) -> None:
    subject = f"lines {refusals[0][0]}-{refusals[-1][0]}: {len(refusals)} refused"
    core.transact(lambda change: change.audit(call, operation, subject, InvalidRequest.__name__))


def _distinct(items: list[Item[R]], identity: Callable[[R], object]) -> Iterator[list[Item[R]]]:
    """The items in order, in runs that mean no client or membership twice."""
    run: list[Item[R]] = []
    seen: set[object] = set()
    for item in items:
        key = identity(item[1])
        if key in seen:
            yield run
            run, seen = [], set()
        run.append(item)
        seen.add(key)
    if run:
        yield run


def _transaction(
    core: Core,
    call: Call,
    operation: str,
    items: Sequence[Item[R]],
    work: Callable[[Change, Sequence[Item[R]]], tuple[Counter[str], Refusals]],
) -> tuple[Counter[str], Refusals]:
    """One chunk; row by row where a row of it is refused as a whole."""

    def whole(change: Change) -> tuple[Counter[str], Refusals]:
        counts, refusals = work(change, items)
        told = ", ".join(f"{count} {effect}" for effect, count in sorted(counts.items()))
        change.audit(call, operation, f"lines {items[0][0]}-{items[-1][0]}: {told or 'nothing'}", audit.DONE)
        return counts, refusals

    try:
        return core.transact(whole)
    except DatabaseError:
        raise
    except E4Error as error:
        if len(items) == 1:
            return Counter(), [(items[0][0], str(error))]
    counts: Counter[str] = Counter()
    refusals: Refusals = []
    for item in items:
        one, refused = _transaction(core, call, operation, [item], work)
        counts += one
        refusals += refused
    return counts, refusals
