"""What only several processes on one PostgreSQL meet. Two stores stand for two processes here."""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg
import pytest

from e4.c2.model import CommandKind, EventKind, JobKind
from e4.c2.storage import Sent, Store, Transient
from e4.errors import DatabaseError
from tests._broker import until
from tests._databases import PostgreSQL
from tests.unit.c2.storage._fill import (
    NOW,
    add_clients,
    add_topic,
    claimed,
    plain,
    remove_topic,
    set_topic_key,
)

pytestmark = pytest.mark.postgresql


@pytest.fixture
def url(postgresql: PostgreSQL) -> Iterator[str]:
    url = postgresql.ready()
    try:
        yield url
    finally:
        postgresql.drop(url)


@pytest.fixture
def stores(url: str) -> Iterator[tuple[Store, Store]]:
    one, two = Store.open(url), Store.open(url)
    try:
        yield one, two
    finally:
        one.close()
        two.close()


@pytest.fixture
def meanwhile() -> Iterator[Callable[..., Future[object]]]:
    """Runs something in another thread."""
    with ThreadPoolExecutor(4) as pool:
        yield pool.submit


def _waits(url: str) -> bool:
    """Whether a connection waits for another's lock."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchone()
    return row is not None


def test_senders_claim_different_clients(stores: tuple[Store, Store]) -> None:
    one, two = stores
    with one.write() as tx:
        alice, bob, carol = add_clients(tx, "alice", "bob", "carol")
        tx.commands.queue([plain(alice), plain(alice), plain(bob), plain(alice), plain(carol)])
    with one.claim(2, NOW) as first:
        assert [out.client for out in first.outgoing] == ["alice", "alice"]
        # The third of alice's must not overtake the two.
        with two.claim(100, NOW) as second:
            assert [out.client for out in second.outgoing] == ["bob", "carol"]
            with second.write() as tx:
                tx.commands.mark_sent([Sent(out.command, 5, 1) for out in second.outgoing], NOW)
        assert claimed(two) == []
        with first.write() as tx:
            tx.commands.mark_sent([Sent(first.outgoing[0].command, 5, 1)], NOW)
    assert [out.client for out in claimed(two)] == ["alice", "alice"]


def test_many_senders_send_everything_once_and_in_order(url: str) -> None:
    with contextlib.closing(Store.open(url)) as store, store.write() as tx:
        clients = add_clients(tx, *(f"{number:02d}" for number in range(30)))
        for _ in range(10):
            tx.commands.queue([plain(client) for client in clients])
    sent: dict[str, list[int]] = defaultdict(list)
    guard = threading.Lock()

    def send() -> None:
        with contextlib.closing(Store.open(url)) as store:
            while True:
                with store.claim(17, NOW) as claim:
                    with guard:
                        for out in claim.outgoing:
                            sent[out.client].append(out.command)
                    with claim.write() as tx:
                        tx.commands.mark_sent([Sent(out.command, 5, 1) for out in claim.outgoing], NOW)
                        if tx.commands.pending()[0] == 0:
                            return

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(send) for _ in range(4)]:
            future.result()
    assert all(len(ids) == 10 and ids == sorted(set(ids)) for ids in sent.values())
    assert len(sent) == 30


def test_a_refusal_does_not_wait_for_a_sender_that_has_looked_at_what_follows(
    stores: tuple[Store, Store],
) -> None:
    one, two = stores
    with one.write() as tx:
        (alice,) = add_clients(tx, "alice")
        tx.commands.queue([plain(alice), plain(alice)])
    with one.claim(1, NOW) as first, two.claim(10, NOW) as second:
        assert second.outgoing == []
        with first.write() as tx:
            tx.commands.mark_failed([(first.outgoing[0].command, "no", NOW + 5)])
    assert claimed(two) == []
    ids = [out.command for out in claimed(two, now=NOW + 5)]
    assert len(ids) == 2
    assert ids == sorted(ids)


def test_operations_leave_claimed_commands_alone(stores: tuple[Store, Store]) -> None:
    one, two = stores
    with one.write() as tx:
        (alice,) = add_clients(tx, "alice")
        topic = add_topic(tx)
        tx.commands.queue([set_topic_key(alice, topic)])
    with one.claim(10, NOW) as claim:
        with two.write() as tx:
            assert tx.clients.lock("alice") == alice
            assert tx.commands.supersede(at=NOW, clients=[alice.id], topic_hash=topic.hash) == 0
            tx.commands.queue([remove_topic(alice, topic)])
            tx.clients.set_key_version(alice.row, 1)
        with claim.write() as tx:
            assert not tx.commands.mark_sent([Sent(out.command, 5, 1) for out in claim.outgoing], NOW)
    assert [out.kind for out in claimed(two)] == [CommandKind.REMOVE_TOPIC]


def test_a_sender_that_dies_leaves_its_share_and_the_second_it_used(
    stores: tuple[Store, Store], url: str
) -> None:
    one, two = stores
    with one.write() as tx:
        alice, bob = add_clients(tx, "alice", "bob")
        tx.commands.queue([plain(alice), plain(bob)])

    def live_too_long() -> None:
        with one.claim(1, NOW) as claim:
            assert claim.floor == 0
            assert one.advance_clock(1_700_000_000) == 1_700_000_000
            with two.claim(10, NOW) as other:
                assert [out.client for out in other.outgoing] == ["bob"]
                assert other.floor == 0  # one is alive, so bob is not of its share
                other.check()
            _end_connections(url, "idle in transaction")
            with pytest.raises(DatabaseError, match="cannot be used"):
                claim.check()
            with two.claim(10, NOW) as other:
                assert [out.client for out in other.outgoing] == ["alice", "bob"]
                assert other.floor == 1_700_000_000
            with claim.write() as tx:
                tx.commands.mark_sent([Sent(out.command, 5, 1) for out in claim.outgoing], NOW)

    with pytest.raises(DatabaseError, match="cannot be used"):
        live_too_long()
    with two.read() as tx:
        assert tx.commands.pending()[0] == 2


def test_a_second_with_its_results_noted_is_no_floor(stores: tuple[Store, Store]) -> None:
    one, two = stores
    with one.write() as tx:
        (alice,) = add_clients(tx, "alice")
        tx.commands.queue([plain(alice), plain(alice)])
    with one.claim(1, NOW) as claim:
        one.advance_clock(1_700_000_000)
        with claim.write() as tx:
            tx.commands.mark_sent([Sent(out.command, 1_700_000_000, 1) for out in claim.outgoing], NOW)
    with two.claim(10, NOW) as claim:
        assert claim.floor == 0
        assert [out.last_timestamp for out in claim.outgoing] == [1_700_000_000]
    with one.claim(1, NOW):
        one.advance_clock(1_700_000_005)  # and no result
    with two.claim(10, NOW) as claim:
        assert claim.floor == 1_700_000_005
    with one.claim(10, NOW) as claim:
        assert claim.floor == 0  # its own seconds it knows
    two.advance_clock(1_700_010_000)
    with two.claim(10, NOW) as claim:
        assert claim.floor == 0  # too long ago


def _end_connections(url: str, state: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = %s",
            [state],
        )


def test_a_server_that_was_restarted(url: str, postgresql: PostgreSQL) -> None:
    with contextlib.closing(Store.open(url)) as store:
        with store.write() as tx:
            add_clients(tx, "alice")

        def write_while_it_stops() -> None:
            with store.write() as tx:
                add_clients(tx, "bob")
                postgresql.stop()
                add_clients(tx, "carol")

        with pytest.raises(DatabaseError, match="cannot be used"):
            write_while_it_stops()
        with pytest.raises(DatabaseError, match="connection refused"):
            store.ping()
        postgresql.start()
        store.ping()
        with store.write() as tx:
            add_clients(tx, "dave")
            assert [client.name for client in tx.clients.page(None, 9)] == ["alice", "dave"]


def test_numbers_of_events_and_audit_are_in_the_order_of_commits(
    stores: tuple[Store, Store], url: str, meanwhile: Callable[..., Future[object]]
) -> None:
    one, two = stores

    def append() -> None:
        with two.write() as tx:
            tx.events.append([(EventKind.CLIENT_CREATED, "second", "")], NOW)

    with one.write() as tx:
        tx.events.append([(EventKind.CLIENT_CREATED, "first", "")], NOW)
        future = meanwhile(append)
        until(lambda: _waits(url), what="the second waits for the first")
        with two.read() as reading:
            assert reading.events.after(0, 10) == []
        tx.audit.append(NOW, "a", "p", "r", "o", "s", "done", lambda row, before: bytes(32))
    future.result(30)
    with one.read() as tx:
        assert [event.source for event in tx.events.after(0, 10)] == ["first", "second"]


def test_a_locked_client_is_waited_for_and_seen_as_it_is_then(
    stores: tuple[Store, Store], url: str, meanwhile: Callable[..., Future[object]]
) -> None:
    one, two = stores
    with one.write() as tx:
        alice, _ = add_clients(tx, "alice", "bob")

    def version() -> int:
        with two.write() as tx:
            found = tx.clients.lock_many(["bob", alice.id])
            return found[alice.id].key_version

    with one.write() as tx:
        assert tx.clients.lock("alice") == alice
        tx.clients.set_key_version(alice.row, 5)
        future = meanwhile(version)
        until(lambda: _waits(url), what="the second waits for the first")
    assert future.result(30) == 5


def test_a_member_that_leaves_while_a_job_waits_for_it_is_left_out(
    stores: tuple[Store, Store], url: str, meanwhile: Callable[..., Future[object]]
) -> None:
    one, two = stores
    with one.write() as tx:
        alice, bob, carol = add_clients(tx, "alice", "bob", "carol")
        topic = add_topic(tx)
        tx.members.add_many([(client.row, topic.row) for client in (alice, bob, carol)], NOW)
        for target in (alice, bob):
            tx.links.add(carol.row, target.row, NOW)

    def walk() -> tuple[list[str], list[str]]:
        with two.write() as tx:
            members = tx.members.clients_after(topic.row, 0, 2)
            targets = tx.links.targets_after(carol.row, 0, 2)
        return [client.name for client in members], [client.name for client in targets]

    with one.write() as tx:
        tx.clients.lock("alice")
        tx.members.remove_many([(alice.row, topic.row)])
        tx.links.remove(carol.row, alice.row)
        future = meanwhile(walk)
        until(lambda: _waits(url), what="the job waits for the operation")
    assert future.result(30) == (["bob", "carol"], ["bob"])


def test_clients_join_a_topic_together_and_a_rotation_waits(
    stores: tuple[Store, Store], url: str, meanwhile: Callable[..., Future[object]]
) -> None:
    one, two = stores
    with one.write() as tx:
        add_topic(tx, "t")

    def rotate() -> int:
        with two.write() as tx:
            topic = tx.topics.lock("t")
            assert topic is not None
            return tx.members.count_of_topic(topic.row)

    with one.write() as tx:
        topic = tx.topics.lock("t", share=True)
        assert topic is not None
        (alice,) = add_clients(tx, "alice")
        with two.write() as other:
            assert other.topics.lock("t", share=True) == topic
        future = meanwhile(rotate)
        until(lambda: _waits(url), what="the rotation waits for the client that joins")
        tx.members.add_many([(alice.row, topic.row)], NOW)
    assert future.result(30) == 1


def test_two_that_wait_for_each_other(
    stores: tuple[Store, Store], url: str, meanwhile: Callable[..., Future[object]]
) -> None:
    one, two = stores
    with one.write() as tx:
        add_clients(tx, "alice", "bob")

    def lock() -> None:
        with two.write() as tx:
            tx.clients.lock("bob")
            tx.clients.lock("alice")

    ended: list[BaseException | None] = [None]
    try:
        with one.write() as tx:
            tx.clients.lock("alice")
            future = meanwhile(lock)
            until(lambda: _waits(url), what="the second waits for the first")
            tx.clients.lock("bob")
    except Transient as error:
        ended[0] = error
    ended.append(future.exception(30))
    assert [type(error) for error in ended if error] == [Transient]


def test_a_job_has_one_runner(stores: tuple[Store, Store]) -> None:
    one, two = stores
    with one.write() as tx:
        first = tx.jobs.new(JobKind.TOPIC_KEY, 1, "t", 1, 5, NOW)
        second = tx.jobs.new(JobKind.TOPIC_KEY, 2, "u", 1, 5, NOW)
    with one.write() as tx:
        work = tx.jobs.lock_next()
        assert work is not None
        assert work.id == first
        with two.write() as other:
            another = other.jobs.lock_next()
            assert another is not None
            assert another.id == second
            # Who supersedes a job need not wait for its runner.
            assert other.jobs.supersede_running(JobKind.TOPIC_KEY, 1, NOW) == 1
    with one.write() as tx:
        work = tx.jobs.lock_next()
        assert work is not None
        assert work.id == second


def test_the_same_call_twice_at_once(
    stores: tuple[Store, Store], url: str, meanwhile: Callable[..., Future[object]]
) -> None:
    one, two = stores

    def put() -> bool:
        with two.write() as tx:
            return tx.idempotency.put("admin", "key", b"f", NOW)

    with one.write() as tx:
        assert tx.idempotency.put("admin", "key", b"f", NOW)
        future = meanwhile(put)
        until(lambda: _waits(url), what="the second waits for the first")
    assert future.result(30) is False


def test_two_processes_create_at_once(
    postgresql: PostgreSQL, meanwhile: Callable[..., Future[object]]
) -> None:
    url = postgresql.empty()
    try:
        futures = [meanwhile(Store.create, url) for _ in range(3)]
        ended = [future.exception(60) for future in futures]
        assert sum(error is None for error in ended) == 1
        assert {str(error) for error in ended if error} == {
            "there is a database already: nothing was changed"
        }
        next(future.result() for future, error in zip(futures, ended, strict=True) if error is None).close()  # type: ignore[attr-defined]
    finally:
        postgresql.drop(url)
