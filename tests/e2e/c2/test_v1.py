"""The resource API of a server that runs, by way of `Remote`: every operation, and what devices notice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import httpx
import pytest

import e4
from e4 import crypto
from e4.c2.model import CommandState, EventKind, JobState, Mode, Role
from e4.c2.remote import Remote
from e4.errors import (
    Conflict,
    FailedPrecondition,
    InvalidKey,
    NotAuthentic,
    NotFound,
    PermissionDenied,
    Unauthenticated,
)
from e4.mqtt import SecureClient
from tests._broker import Brokers, until
from tests.e2e._c2_server import C2Server, C2Servers

TOPIC = "plant/boiler/temperature"
FAST = {"delivery.poll_seconds": 0.1}


@pytest.fixture(params=["symkey", "pubkey"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """Both modes, in turn."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def reach() -> Iterator[Callable[..., Remote]]:
    """Makes remote clients of a server: with the administrator's token, or another."""
    made: list[Remote] = []

    def make(server: C2Server, token: str | None = None) -> Remote:
        made.append(Remote(server.url, token or server.token, ca=server.ca))
        return made[-1]

    yield make
    for remote in made:
        remote.close()


def new_key(mode: Mode) -> tuple[bytes, bytes]:
    """What a device holds, and what C2 is told."""
    if mode == "symkey":
        key = crypto.random_key()
        return key, key
    private = crypto.random_ed25519_private_key()
    return private, crypto.ed25519_public_key(private)


def test_every_operation(c2_server: C2Servers, reach: Callable[..., Remote], mode: Mode) -> None:
    """Without a broker: an operation does not wait for one."""
    remote = reach(c2_server(mode=mode))
    keys = {name: new_key(mode)[1] for name in "abc"}

    # Clients.
    assert remote.info().mode == remote.get_crypto_mode() == mode
    a = remote.new_client("a", keys["a"])
    assert (a.name, a.id, a.by_id, a.row) == ("a", crypto.hash_id_alias("a"), False, 0)
    assert [client.name for client in remote.new_clients((name, keys[name]) for name in "bc")] == ["b", "c"]
    id = bytes(range(16))
    assert remote.new_client(id, new_key(mode)[1]).name == id.hex()
    with pytest.raises(InvalidKey):
        remote.new_client("d", bytes(32))
    assert remote.count_clients() == 4
    assert [client.name for client in remote.clients()] == [id.hex(), "a", "b", "c"]
    assert [client.name for client in remote.clients(prefix="b")] == ["b"]
    page = remote.page_clients(limit=3)
    assert [client.name for client in remote.page_clients(page.next, limit=3).items] == ["c"]
    assert remote.find_client(a.id) == a
    assert remote.find_client(bytes(16)) is None
    assert remote.get_client(id).client.by_id

    # Topics and memberships.
    topic, job = remote.new_topic(TOPIC)
    assert (topic.name, topic.hash, topic.version, job) == (TOPIC, crypto.hash_topic(TOPIC), 1, None)
    remote.new_topic("a/b")
    remote.new_topic_client("a", TOPIC)
    remote.new_topic_clients([("b", TOPIC), (id, TOPIC), ("a", "a/b")])
    assert [client.name for client in remote.clients_for_topic(TOPIC)] == [id.hex(), "a", "b"]
    assert [topic.name for topic in remote.topics_for_client("a")] == ["a/b", TOPIC]
    assert [topic.name for topic in remote.topics(prefix="a/")] == ["a/b"]
    assert (remote.count_topics(), remote.count_topics_for_client("a")) == (2, 2)
    assert remote.count_clients_for_topic(TOPIC) == 3
    rotated, job = remote.new_topic(TOPIC)
    assert rotated.version == 2
    assert job is not None
    assert remote.get_job(job.id).total == 3
    assert remote.get_topic(TOPIC).job == remote.get_job(job.id)
    assert [each.id for each in remote.jobs(state=JobState.RUNNING)] == [job.id]
    assert next(iter(remote.watch_job(job.id))).state is JobState.RUNNING
    remote.remove_topic_client("b", TOPIC)
    remote.remove_topic_clients([("a", "a/b")])
    assert [client.name for client in remote.clients_for_topic(TOPIC)] == [id.hex(), "a"]

    # Links and public keys.
    remote.link_client("b", "a")
    assert [client.name for client in remote.linked_clients("a")] == ["b"]
    assert remote.count_linked_clients("a") == 1
    remote.unlink_client("b", "a")
    assert remote.count_linked_clients("a") == 0
    in_pubkey_mode = (
        lambda: remote.send_client_pubkey("a", "b"),
        lambda: remote.remove_client_pubkey("a", "b"),
        lambda: remote.reset_client_pubkeys("a"),
        lambda: remote.c2_public_key(),
        lambda: remote.new_c2_key(force=True),
    )
    for operation in in_pubkey_mode:
        if mode == "pubkey":
            operation()
        else:
            with pytest.raises(FailedPrecondition):
                operation()
    with pytest.raises(FailedPrecondition):
        remote.new_c2_key()
    with pytest.raises(FailedPrecondition):
        remote.confirm_c2_key()

    # Keys and messages.
    assert remote.new_client_key("a").key_version == 2
    assert [client.key_version for client in remote.new_client_keys(["b", "c"])] == [2, 2]
    with pytest.raises(FailedPrecondition):
        remote.confirm_client_key("a")
    message = remote.protect_message(TOPIC, b"21.5")
    assert remote.unprotect_message(TOPIC, message) == b"21.5"
    with pytest.raises(NotAuthentic):
        remote.unprotect_message(TOPIC, message[:-1] + bytes([message[-1] ^ 1]))

    # What goes out, and has happened.
    queued = list(remote.commands(client="c"))
    assert queued
    assert {command.state for command in queued} == {CommandState.QUEUED}
    assert remote.get_command(queued[0].id) == queued[0]
    assert remote.retry_commands() >= 0
    remote.resync_client("c")
    remote.reset_client("c")
    remote.reset_clients(["a", "b"])
    kinds = [event.kind for event in remote.page_events(limit=1000).items]
    assert kinds.count(EventKind.CLIENT_CREATED) == 4
    assert kinds[-1] is EventKind.CLIENT_RESET
    lines = list(remote.export())
    assert {line["client"]["name"] for line in lines if "client" in line} == {"a", "b", "c", id.hex()}

    # Tokens and the audit.
    token, secret = remote.new_token("watcher", Role.VIEWER, expires_at=4_000_000_000_000)
    assert (token.role, token.protect, token.expires_at) == (Role.VIEWER, False, 4_000_000_000_000)
    assert token in list(remote.tokens())
    assert secret not in str(token)
    remote.revoke_token(token.id)
    newest = next(remote.audit())
    assert (newest.operation, newest.subject, newest.outcome) == ("revoke_token", "watcher", "done")
    check = remote.verify_audit()
    assert (check.broken, check.rows, check.head) == (None, newest.number, newest.hash)

    # And away with it.
    remote.remove_topic("a/b")
    for client in ("a", "b", "c", id):
        remote.remove_client(client)
    assert remote.count_clients() == 0
    with pytest.raises(NotFound, match="client 'a' is not known"):
        remote.get_client("a")


def test_who_may_do_what(c2_server: C2Servers, reach: Callable[..., Remote]) -> None:
    server = c2_server()
    admin = reach(server)
    with Remote(server.url, ca=server.ca) as stranger, pytest.raises(Unauthenticated):
        stranger.info()
    viewer = reach(server, admin.new_token("watcher", Role.VIEWER)[1])
    assert viewer.count_clients() == 0
    with pytest.raises(PermissionDenied):
        viewer.new_topic(TOPIC)
    with pytest.raises(PermissionDenied):
        list(viewer.audit())


@pytest.mark.mosquitto
def test_what_devices_notice(
    c2_server: C2Servers, mosquitto: Brokers, reach: Callable[..., Remote], mode: Mode
) -> None:
    broker = mosquitto()
    remote = reach(c2_server(broker, mode=mode, settings=FAST))
    secrets = {name: new_key(mode) for name in ("sensor", "display")}
    (progress,) = remote.import_clients((name, known) for name, (_, known) in secrets.items())
    assert progress.created == 2
    seen: list[EventKind] = []

    def follow() -> None:
        for event in remote.events(after=0, kinds=[EventKind.JOB_DONE, EventKind.KEY_CLIENT_CURRENT]):
            seen.append(event.kind)
            if len(seen) == 2:
                return

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    received: list[bytes] = []
    devices = {}
    for name, (secret, _) in secrets.items():
        id = crypto.hash_id_alias(name)
        config: e4.SymIdAndKey | e4.PubIdAndKey = (
            e4.SymIdAndKey(id, secret)
            if mode == "symkey"
            else e4.PubIdAndKey(id, secret, remote.c2_public_key())
        )
        client = e4.Client.create(config, e4.MemoryStore())
        devices[name] = SecureClient(
            client, broker.host, broker.port, on_message=lambda message: received.append(message.payload)
        )
    with devices["sensor"] as sensor, devices["display"] as display:
        remote.new_topic(TOPIC)
        remote.new_topic_clients((name, TOPIC) for name in devices)
        if mode == "pubkey":
            remote.send_client_pubkey("display", "sensor")
        until(lambda: all(d.client.has_topic_key(TOPIC) for d in devices.values()), 30, "the key is there")
        sent = CommandState.SENT
        until(lambda: {c.state for c in remote.commands()} == {sent}, 30, "all commands are sent")
        display.subscribe(TOPIC)
        sensor.publish(TOPIC, b"21.5").wait(10)
        until(lambda: received == [b"21.5"], 30, "the message is there")
        _, job = remote.new_topic(TOPIC)
        assert job is not None
        *_, last = remote.watch_job(job.id, interval=0.05)
        assert (last.state, last.done, last.total) == (JobState.DONE, 2, 2)
        remote.new_client_key("sensor")
        follower.join(30)
        assert sorted(seen) == [EventKind.JOB_DONE, EventKind.KEY_CLIENT_CURRENT]
        remote.confirm_client_key("sensor")
        assert [key.version for key in remote.get_client("sensor").keys] == [2]


def test_what_was_answered_is_answered_again_after_a_crash(
    c2_server: C2Servers, reach: Callable[..., Remote]
) -> None:
    server = c2_server()
    request = {"url": "/api/v1/topics", "json": {"name": TOPIC}, "headers": {"Idempotency-Key": "one"}}
    first = server.client().post(**request)
    assert first.status_code == 201
    server.restart()
    again = server.client().post(**request)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert reach(server).get_topic(TOPIC).topic.version == 1
    other = server.client().post(**request | {"json": {"name": "other"}})
    assert other.status_code == httpx.codes.CONFLICT
    with pytest.raises(Conflict):
        reach(server).new_token("admin", Role.VIEWER)


def test_a_large_import_and_its_pages(c2_server: C2Servers, reach: Callable[..., Remote]) -> None:
    server = c2_server()
    remote = reach(server)
    count = 30_000
    reports = list(remote.import_clients((f"device-{n:06}", crypto.random_key()) for n in range(count)))
    assert reports[-1].created == count
    assert len(reports) > 1
    names = [client.name for client in remote.clients()]
    assert names == [f"device-{n:06}" for n in range(count)]
    first = remote.page_clients(limit=1000)
    assert [client.name for client in remote.page_clients(first.next, limit=1).items] == ["device-001000"]
    ten = remote.page_clients(prefix="device-01500")
    assert ([client.name for client in ten.items], ten.next) == (
        [f"device-01500{n}" for n in range(10)],
        None,
    )
