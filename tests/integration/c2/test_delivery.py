"""Commands on their way from the outbox, through a real broker, to devices that apply them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from e4 import crypto
from e4.c2.model import CommandState, JobState
from e4.c2.settings import Delivery
from tests._broker import Broker, Brokers, until
from tests._databases import PostgreSQL
from tests._fleet import APPLIED, BROKER, CLEARED, Fleet
from tests.integration.c2._server import CALL, FAST, Server

pytestmark = pytest.mark.mosquitto

MakeServer = Callable[..., Server]


def hashes(*topics: str) -> set[str]:
    return {crypto.hash_topic(topic).hex() for topic in topics}


def states(server: Server) -> list[CommandState]:
    """Of all commands, oldest first."""
    found = server.service.commands.page_commands(CALL, limit=1000).items
    return [command.state for command in reversed(found)]


def outcomes(fleet: Fleet, name: str) -> list[str]:
    return [arrival.outcome for arrival in fleet.to(name)]


def everything_arrived(fleet: Fleet, names: Iterable[str], count: int) -> None:
    until(lambda: all(len(fleet.to(name)) >= count for name in names), 30, "all commands have arrived")


def assert_in_step(server: Server, fleet: Fleet, topics: Iterable[str]) -> None:
    """Every device holds what C2 holds for it, and nothing came with a timestamp that goes back."""
    keys = {topic: server.topic_key(topic) for topic in topics}
    for name, device in fleet.devices.items():
        members = server.service.members.get_topics_for_client(CALL, name, 0, 100)
        expected = {crypto.hash_topic(topic.name).hex(): keys[topic.name] for topic in members}
        until(lambda: device.topic_keys() == expected, 10, f"{name} is in step")  # noqa: B023
        assert device.own_key() == server.client_key(name)
        seconds = [arrival.second for arrival in fleet.to(name) if arrival.payload]
        assert seconds == sorted(seconds)
        for arrival in fleet.to(name):
            if arrival.payload:
                assert -0.1 < arrival.at - arrival.second < 60


def test_symmetric_devices_apply_every_kind_of_command(
    make_server: MakeServer, broker: Broker, fleet: Fleet
) -> None:
    server = make_server(broker).start()
    service = server.service
    alice, bob = (server.new_client(fleet, name) for name in ("alice", "bob"))
    for topic in ("a", "b"):
        service.topics.new_topic(CALL, topic)
        for name in fleet.devices:
            service.members.new_topic_client(CALL, name, topic)
    server.drained()
    assert_in_step(server, fleet, ("a", "b"))
    assert alice.topic_keys().keys() == hashes("a", "b")
    before = alice.own_key()

    service.topics.new_topic(CALL, "a")
    service.keys.new_client_key(CALL, "alice")
    service.members.remove_topic_client(CALL, "alice", "b")
    service.clients.reset_client(CALL, "bob")
    server.drained()
    assert_in_step(server, fleet, ("a", "b"))
    assert alice.own_key() != before
    assert alice.topic_keys().keys() == hashes("a")
    assert bob.topic_keys() == {}
    assert set(outcomes(fleet, "alice") + outcomes(fleet, "bob")) == {APPLIED}
    assert set(states(server)) <= {CommandState.SENT, CommandState.SUPERSEDED}
    status = server.sender.status()
    assert (status.connected, status.error, status.pending, status.in_flight) == (True, "", 0, 0)


def test_public_key_devices_apply_every_kind_of_command(
    make_server: MakeServer, broker: Broker, fleet: Fleet
) -> None:
    server = make_server(broker, "pubkey").start()
    service = server.service
    alice, bob = (server.new_client(fleet, name) for name in ("alice", "bob"))
    service.topics.new_topic(CALL, "a")
    for name in fleet.devices:
        service.members.new_topic_client(CALL, name, "a")
    service.links.link_client(CALL, "alice", "bob")
    service.links.send_client_pubkey(CALL, "bob", "alice")
    service.links.send_client_pubkey(CALL, "alice", "bob")
    server.drained()
    id = crypto.hash_id_alias("alice").hex()
    until(lambda: bob.public_keys().get(id) == alice.own_key(), what="bob has alice's public key")

    service.keys.new_client_key(CALL, "alice")  # bob, who is linked to her, gets the new one
    service.keys.new_c2_key(CALL, True)
    service.links.reset_client_pubkeys(CALL, "alice")
    service.topics.new_topic(CALL, "a")
    server.drained()
    assert_in_step(server, fleet, ("a",))
    until(lambda: bob.public_keys().get(id) == alice.own_key(), what="bob has alice's new public key")
    assert alice.public_keys() == {}
    newest = service.keys.c2_public_key(CALL)
    assert alice.c2_key() == bob.c2_key() == newest
    assert set(outcomes(fleet, "alice") + outcomes(fleet, "bob")) == {APPLIED}


def test_equal_commands_are_applied_both_in_different_seconds(
    make_server: MakeServer, broker: Broker, fleet: Fleet
) -> None:
    server = make_server(broker).start()
    server.new_client(fleet, "alice")
    for _ in range(3):
        server.service.clients.reset_client(CALL, "alice")
        server.drained()
    everything_arrived(fleet, ["alice"], 3)
    assert outcomes(fleet, "alice") == [APPLIED] * 3
    assert len({arrival.second for arrival in fleet.to("alice")}) == 3


def test_the_last_command_is_retained_and_cleared_with_the_client(
    make_server: MakeServer, broker: Broker, fleet: Fleet
) -> None:
    server = make_server(broker).start()
    server.new_client(fleet, "alice")
    server.service.clients.reset_client(CALL, "alice")
    server.drained()
    late = Fleet(broker)
    until(lambda: len(late.arrivals) == 1, what="the broker has kept it")
    server.service.clients.remove_client(CALL, "alice")
    server.drained()
    until(lambda: late.arrivals[-1].outcome == CLEARED, what="it is cleared")
    late.close()
    later = Fleet(broker)
    server.new_client(fleet, "bob")
    server.service.clients.reset_client(CALL, "bob")
    until(lambda: later.arrivals, what="bob's command")
    assert [arrival.topic for arrival in later.arrivals] == [fleet.devices["bob"].topic]
    later.close()


def test_without_the_retain_flag_nothing_is_kept(
    make_server: MakeServer, broker: Broker, fleet: Fleet
) -> None:
    server = make_server(broker, retain=False).start()
    server.new_client(fleet, "alice")
    server.service.clients.reset_client(CALL, "alice")
    server.drained()
    late = Fleet(broker)
    server.new_client(fleet, "bob")
    server.service.clients.reset_client(CALL, "bob")
    until(lambda: late.arrivals, what="bob's command")
    assert [arrival.topic for arrival in late.arrivals] == [fleet.devices["bob"].topic]
    late.close()


def test_a_broker_that_is_away_holds_nothing_up(make_server: MakeServer, mosquitto: Brokers) -> None:
    broker = mosquitto(*BROKER, start=False)
    server = make_server(broker).start()
    server.service.clients.new_client(CALL, "alice", crypto.random_key())
    server.service.clients.reset_client(CALL, "alice")
    until(lambda: server.sender.status().error, what="the sender tells that the broker is away")
    status = server.sender.status()
    assert not status.connected
    assert "cannot reach the broker" in status.error
    assert status.pending == 1
    assert states(server) == [CommandState.QUEUED]
    broker.start()
    server.drained()
    assert states(server) == [CommandState.SENT]
    until(lambda: server.sender.status().error == "", what="all is well")


def test_a_broker_killed_again_and_again(make_server: MakeServer, mosquitto: Brokers) -> None:
    broker = mosquitto(*BROKER, persistent=True)
    fleet = Fleet(broker)
    server = make_server(broker).start()
    names = [f"c{number}" for number in range(40)]
    for name in names:
        server.new_client(fleet, name)
    server.service.topics.new_topic(CALL, "t")
    for name in names:
        server.service.members.new_topic_client(CALL, name, "t")
    for round in range(3):
        server.service.topics.new_topic(CALL, "t")
        for name in names[round::3]:
            server.service.keys.new_client_key(CALL, name)
        broker.save()  # what a broker has not written is lost with it: that is not for us to mend
        broker.kill()
        server.service.clients.reset_client(CALL, names[round])
        server.service.members.new_topic_client(CALL, names[round], "t")
        broker.start()
    server.drained()
    for name in names:  # a broker may have lost what it had acknowledged
        server.service.clients.resync_client(CALL, name)
    server.drained()
    assert_in_step(server, fleet, ("t",))
    assert CommandState.FAILED not in states(server)
    fleet.close()


def test_what_the_broker_refuses_fails_with_its_reason_and_holds_up_no_other(
    make_server: MakeServer, mosquitto: Brokers, tmp_path: Any
) -> None:
    acl = tmp_path / "acl"
    denied = crypto.topic_for_id(crypto.hash_id_alias("alice"))
    acl.write_text(f"topic readwrite #\ntopic deny {denied}\n")
    broker = mosquitto(f"acl_file {acl}")
    fleet = Fleet(broker)
    server = make_server(broker).start()
    for name in ("alice", "bob"):
        server.new_client(fleet, name)
        server.service.topics.new_topic(CALL, f"of {name}")
        server.service.members.new_topic_client(CALL, name, f"of {name}")
        server.service.clients.reset_client(CALL, name)
    everything_arrived(fleet, ["bob"], 1)
    until(lambda: CommandState.FAILED in states(server), what="alice's command has failed")
    *later, command = [c for c in of("alice", server) if c.state != CommandState.SUPERSEDED]
    assert command.state == CommandState.FAILED
    assert command.attempts >= 1
    assert "not authorized" in command.error
    assert {c.state for c in later} <= {CommandState.QUEUED, CommandState.FAILED}  # they wait behind it
    until(lambda: all(c.state != CommandState.QUEUED for c in of("bob", server)), what="bob has his")

    acl.write_text("topic readwrite #\n")
    broker.stop()
    broker.start()
    server.service.commands.retry_commands(CALL)
    server.drained()
    assert CommandState.FAILED not in states(server)
    fleet.close()


def of(name: str, server: Server) -> list[Any]:
    return server.service.commands.page_commands(CALL, client=name).items


def test_a_large_job_is_done_in_chunks_over_a_restart(
    make_server: MakeServer, broker: Broker, fleet: Fleet
) -> None:
    count = 1500
    server = make_server(broker)
    for _ in server.service.clients.import_clients(
        CALL, ((n, f"c{n}", crypto.random_key()) for n in range(count))
    ):
        pass
    server.service.topics.new_topic(CALL, "t")
    for start in range(0, count, 500):
        pairs = [(f"c{n}", "t") for n in range(start, start + 500)]
        server.service.members.new_topic_clients(CALL, pairs)
    _, job = server.service.topics.new_topic(CALL, "t")
    assert job is not None
    assert (job.state, job.total, job.done) == (JobState.RUNNING, count, 0)
    server.sender.start()  # without the runner: the first chunk alone
    until(lambda: not server.pending(), 30, "the first chunk is sent")
    assert server.service.jobs.get_job(CALL, job.id).done == 1000
    assert server.service.jobs.get_job(CALL, job.id).state == JobState.RUNNING
    server.stop()
    second = make_server(broker).start()
    second.drained(60)
    done = second.service.jobs.get_job(CALL, job.id)
    assert (done.state, done.done, done.queued, done.total) == (JobState.DONE, count, count, count)
    until(
        lambda: len({arrival.topic for arrival in list(fleet.arrivals)}) == count, 30, "each has its command"
    )


def test_stopping_waits_for_what_is_in_flight(make_server: MakeServer, broker: Broker, fleet: Fleet) -> None:
    server = make_server(broker)
    for number in range(300):
        server.new_client(fleet, f"c{number}")
        server.service.clients.reset_client(CALL, f"c{number}")
    server.sender.start()
    until(lambda: server.sender.status().in_flight or server.sender.status().sent, what="it sends")
    assert server.sender.stop(10)
    sent = states(server).count(CommandState.SENT)
    until(lambda: len(fleet.arrivals) == sent, what="all that is marked as sent has arrived")
    again = make_server(broker).start()
    again.drained()
    everything_arrived(fleet, fleet.devices, 1)
    assert {len(fleet.to(name)) for name in fleet.devices} == {1}  # none of them twice


def test_stopping_does_not_wait_for_ever(make_server: MakeServer, broker: Broker) -> None:
    server = make_server(broker, settings=Delivery(stall_seconds=60.0, poll_seconds=0.05)).start()
    server.service.clients.new_client(CALL, "alice", crypto.random_key())
    until(lambda: server.sender.status().connected, what="connected")
    broker.pause()
    server.service.clients.reset_client(CALL, "alice")
    until(lambda: server.sender.status().in_flight, what="in flight")
    started = time.monotonic()
    assert server.sender.stop(0.2)
    assert time.monotonic() - started < 20
    assert states(server) == [CommandState.QUEUED]


def test_a_broker_that_stalls_is_left_and_all_goes_again(
    make_server: MakeServer, broker: Broker, fleet: Fleet
) -> None:
    server = make_server(broker, settings=FAST.model_copy(update={"stall_seconds": 0.5})).start()
    server.new_client(fleet, "alice")
    until(lambda: server.sender.status().connected, what="connected")
    broker.pause()
    server.service.clients.reset_client(CALL, "alice")
    until(lambda: server.sender.status().error, 30, "the sender has given the connection up")
    broker.restart()
    server.drained()
    everything_arrived(fleet, ["alice"], 1)
    assert APPLIED in outcomes(fleet, "alice")


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_both_versions_of_mqtt(make_server: MakeServer, broker: Broker, fleet: Fleet, version: str) -> None:
    server = make_server(broker, version=version).start()
    for number in range(100):
        server.new_client(fleet, f"c{number}")
    for name in fleet.devices:
        server.service.clients.reset_client(CALL, name)
    server.drained()
    everything_arrived(fleet, fleet.devices, 1)


@pytest.mark.postgresql
class TestSeveralServers:
    """Several processes on one PostgreSQL database; here, several servers in one."""

    @pytest.fixture
    def database_url(self, postgresql: PostgreSQL) -> Any:
        url = postgresql.ready()
        yield url
        postgresql.drop(url)

    def test_they_share_the_outbox_and_send_nothing_twice(
        self, make_server: MakeServer, broker: Broker, fleet: Fleet
    ) -> None:
        small = FAST.model_copy(update={"batch": 20})
        servers = [make_server(broker, settings=small) for _ in range(3)]
        names = [f"c{number}" for number in range(150)]
        for name in names:
            servers[0].new_client(fleet, name)
        servers[0].service.topics.new_topic(CALL, "t")
        servers[0].service.members.new_topic_clients(CALL, [(name, "t") for name in names])
        for name in names:
            servers[0].service.keys.new_client_key(CALL, name)
            servers[0].service.clients.reset_client(CALL, name)
        for server in servers:
            server.start()
        for server in servers:
            server.drained(60)
        everything_arrived(fleet, names, 2)
        # SetTopicKey was made needless by the reset; the rest came once, and in order.
        for name in names:
            assert outcomes(fleet, name) == [APPLIED, APPLIED]
        assert_in_step(servers[0], fleet, ("t",))
        assert sum(server.sender.status().sent for server in servers) == 2 * len(names)
        assert sum(server.sender.status().sent > 0 for server in servers) > 1

    def test_operations_on_several_of_them_at_once(
        self, make_server: MakeServer, broker: Broker, fleet: Fleet
    ) -> None:
        servers = [make_server(broker).start() for _ in range(2)]
        names = [f"c{number}" for number in range(12)]
        for name in names:
            servers[0].new_client(fleet, name)
        servers[0].service.topics.new_topic(CALL, "t")

        def work(server: Server, own: list[str]) -> None:
            for round in range(5):
                server.service.topics.new_topic(CALL, "t")
                for name in own:
                    server.service.members.new_topic_client(CALL, name, "t")
                server.service.keys.new_client_key(CALL, own[round])
                server.service.clients.reset_client(CALL, own[round - 1])

        threads = [
            threading.Thread(target=work, args=(server, names[place::2]))
            for place, server in enumerate(servers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        servers[0].drained(60)
        assert_in_step(servers[0], fleet, ("t",))
        assert {arrival.outcome for arrival in fleet.arrivals} == {APPLIED}

    def test_the_database_restarts_while_it_sends(
        self, make_server: MakeServer, broker: Broker, fleet: Fleet, postgresql: PostgreSQL
    ) -> None:
        server = make_server(broker, settings=FAST.model_copy(update={"batch": 10})).start()
        names = [f"c{number}" for number in range(200)]
        for name in names:
            server.new_client(fleet, name)
        server.service.topics.new_topic(CALL, "t")
        server.service.members.new_topic_clients(CALL, [(name, "t") for name in names])
        until(lambda: server.sender.status().sent, what="it sends")
        postgresql.restart()
        server.drained(60)
        everything_arrived(fleet, names, 1)
        assert_in_step(server, fleet, ("t",))
