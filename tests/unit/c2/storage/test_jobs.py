"""Jobs: expanded chunk by chunk, counted by what has become of their commands, done when nothing is left."""

from __future__ import annotations

from e4.c2.model import JobKind, JobState
from e4.c2.storage import Sent, Store
from tests.unit.c2.storage._fill import NOW, add_clients, add_topic, plain, set_topic_key


def test_a_job_from_its_start_to_its_end(store: Store) -> None:
    with store.write() as tx:
        clients = add_clients(tx, *"abcde")
        topic = add_topic(tx)
        tx.members.add_many([(client.row, topic.row) for client in clients], NOW)
        number = tx.jobs.new(JobKind.TOPIC_KEY, topic.row, topic.name, 2, 5, NOW)
        work = tx.jobs.lock_next()
        assert work is not None
        assert (work.id, work.kind, work.subject_row, work.subject, work.version) == (
            *(number, JobKind.TOPIC_KEY, topic.row),
            *("plant/boiler", 2),
        )
        assert (work.total, work.queued, work.cursor, work.created_at) == (5, 0, 0, NOW)
        chunk = tx.members.clients_after(topic.row, 0, 3)
        tx.commands.queue([set_topic_key(client, topic, number) for client in chunk])
        tx.jobs.advance(number, chunk[-1].row, 3, expanded=False)
    with store.write() as tx:
        work = tx.jobs.lock_next()
        assert work is not None
        assert (work.queued, work.cursor) == (3, chunk[-1].row)
        rest = tx.members.clients_after(topic.row, work.cursor, 3)
        tx.clients.delete(rest[0].row)
        tx.commands.queue([set_topic_key(rest[1], topic, number)])
        tx.jobs.advance(number, rest[-1].row, 1, expanded=True)
        assert tx.jobs.lock_next() is None
        job = tx.jobs.get(number)
        assert job is not None
        assert (job.state, job.total, job.queued, job.done, job.finished_at) == (
            *(JobState.RUNNING, 4, 4, 0),
            None,
        )
        assert tx.jobs.finish_ready(NOW) == []
        one, two, three, four = (command.id for command in tx.commands.page(job=number, limit=10))
        # However often a command is settled, it counts once.
        tx.commands.mark_sent([Sent(one, 5, 1)], NOW)
        tx.commands.supersede(at=NOW, clients=[clients[1].id])
        tx.commands.mark_sent([Sent(two, 5, 1)], NOW)
        tx.commands.mark_failed([(three, "no", NOW)])
        job = tx.jobs.get(number)
        assert job is not None
        assert job.done == 2
        tx.commands.mark_superseded([three, three], NOW)
        tx.commands.mark_sent([Sent(four, 5, 1)], NOW)
        (done,) = tx.jobs.finish_ready(NOW + 7)
        assert (done.id, done.state, done.done, done.finished_at) == (number, JobState.DONE, 4, NOW + 7)
        assert tx.jobs.finish_ready(NOW) == []
        assert tx.jobs.get(number) == done


def test_a_job_with_nobody_to_send_to_is_done_at_once(store: Store) -> None:
    with store.write() as tx:
        number = tx.jobs.new(JobKind.C2_KEY, 0, "", 2, 0, NOW)
        tx.jobs.advance(number, 0, 0, expanded=True)
        assert [job.id for job in tx.jobs.finish_ready(NOW)] == [number]


def test_a_newer_job_supersedes_the_running_ones_of_its_subject(store: Store) -> None:
    with store.write() as tx:
        (alice,) = add_clients(tx, "alice")
        first = tx.jobs.new(JobKind.TOPIC_KEY, 1, "t", 2, 5, NOW)
        other = tx.jobs.new(JobKind.TOPIC_KEY, 2, "u", 2, 5, NOW)
        tx.commands.queue([plain(alice)._replace(job=first)])
        tx.jobs.advance(first, 1, 1, expanded=True)
        second = tx.jobs.new(JobKind.TOPIC_KEY, 1, "t", 3, 5, NOW + 1)
        assert tx.jobs.supersede_running(JobKind.TOPIC_KEY, 1, NOW + 1, below=first) == 0
        assert tx.jobs.supersede_running(JobKind.TOPIC_KEY, 1, NOW + 1, below=second) == 1
        superseded = tx.jobs.get(first)
        assert superseded is not None
        assert (superseded.state, superseded.done, superseded.finished_at) == (
            JobState.SUPERSEDED,
            0,
            NOW + 1,
        )
        tx.commands.supersede(at=NOW)
        assert tx.jobs.finish_ready(NOW) == []
        newest = tx.jobs.newest_of(JobKind.TOPIC_KEY, 1)
        assert newest is not None
        assert newest.id == second
        assert tx.jobs.newest_of(JobKind.C2_KEY, 1) is None
        work = tx.jobs.lock_next()
        assert work is not None
        assert work.id == other
        assert tx.jobs.supersede_running(JobKind.TOPIC_KEY, 1, NOW + 1) == 1


def test_pages_of_jobs(store: Store) -> None:
    with store.write() as tx:
        numbers = [tx.jobs.new(JobKind.TOPIC_KEY, row, "t", 2, 5, NOW) for row in range(1, 6)]
        tx.jobs.supersede_running(JobKind.TOPIC_KEY, 2, NOW)
        assert [job.id for job in tx.jobs.page(None, 3)] == numbers[:3]
        assert [job.id for job in tx.jobs.page(numbers[2], 3)] == numbers[3:]
        assert [job.id for job in tx.jobs.page(numbers[2], 3, newest_first=True)] == numbers[1::-1]
        assert [job.id for job in tx.jobs.page(None, 9, state=JobState.SUPERSEDED)] == [numbers[1]]
        assert tx.jobs.get(999) is None
