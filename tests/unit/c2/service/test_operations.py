"""What every operation has in common: rights, audit, all or nothing, the same call twice."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import pytest

from e4.c2.model import Actor, Call, CommandState, Mode, Right, Role
from e4.c2.service import Replayed, Service
from e4.c2.storage import Transient
from e4.errors import Conflict, DatabaseError, E4Error, InvalidRequest, NotFound, PermissionDenied
from tests.unit.c2._world import CALL, World, new_key, symkey_only

ACTORS = {role: Call(Actor(role.value, role, protect=False), "request", "192.0.2.1") for role in Role}
PROTECTOR = Call(Actor("protector", Role.VIEWER, protect=True), "request", "192.0.2.1")

# Each operation with harmless arguments, and the right that it asks for. Refusals for other reasons are fine.
OPERATIONS: dict[str, tuple[Right, tuple[Any, ...]]] = {
    "clients.new_client": (Right.OPERATE, ("x", b"k")),
    "clients.new_clients": (Right.OPERATE, ([("x", b"k")],)),
    "clients.import_clients": (Right.OPERATE, ([],)),
    "clients.remove_client": (Right.OPERATE, ("x",)),
    "clients.reset_client": (Right.OPERATE, ("x",)),
    "clients.reset_clients": (Right.OPERATE, (["x"],)),
    "clients.resync_client": (Right.OPERATE, ("x",)),
    "clients.get_client": (Right.VIEW, ("x",)),
    "clients.count_clients": (Right.VIEW, ()),
    "clients.get_clients": (Right.VIEW, (0, 1)),
    "clients.page_clients": (Right.VIEW, (None, 1)),
    "clients.export_clients": (Right.VIEW, ()),
    "topics.new_topic": (Right.OPERATE, ("x",)),
    "topics.remove_topic": (Right.OPERATE, ("x",)),
    "topics.get_topic": (Right.VIEW, ("x",)),
    "topics.count_topics": (Right.VIEW, ()),
    "topics.get_topics": (Right.VIEW, (0, 1)),
    "topics.page_topics": (Right.VIEW, (None, 1)),
    "members.new_topic_client": (Right.OPERATE, ("x", "x")),
    "members.new_topic_clients": (Right.OPERATE, ([("x", "x")],)),
    "members.remove_topic_client": (Right.OPERATE, ("x", "x")),
    "members.remove_topic_clients": (Right.OPERATE, ([("x", "x")],)),
    "members.import_memberships": (Right.OPERATE, ([],)),
    "members.count_topics_for_client": (Right.VIEW, ("x",)),
    "members.get_topics_for_client": (Right.VIEW, ("x", 0, 1)),
    "members.page_topics_for_client": (Right.VIEW, ("x", None, 1)),
    "members.count_clients_for_topic": (Right.VIEW, ("x",)),
    "members.get_clients_for_topic": (Right.VIEW, ("x", 0, 1)),
    "members.page_clients_for_topic": (Right.VIEW, ("x", None, 1)),
    "links.link_client": (Right.OPERATE, ("x", "y")),
    "links.unlink_client": (Right.OPERATE, ("x", "y")),
    "links.count_linked_clients": (Right.VIEW, ("x",)),
    "links.get_linked_clients": (Right.VIEW, ("x", 0, 1)),
    "links.page_linked_clients": (Right.VIEW, ("x", None, 1)),
    "links.send_client_pubkey": (Right.OPERATE, ("x", "y")),
    "links.remove_client_pubkey": (Right.OPERATE, ("x", "y")),
    "links.reset_client_pubkeys": (Right.OPERATE, ("x",)),
    "keys.new_client_key": (Right.OPERATE, ("x",)),
    "keys.new_client_keys": (Right.OPERATE, (["x"],)),
    "keys.confirm_client_key": (Right.OPERATE, ("x",)),
    "keys.new_c2_key": (Right.ADMINISTER, (True,)),
    "keys.confirm_c2_key": (Right.ADMINISTER, ()),
    "keys.c2_public_key": (Right.VIEW, ()),
    "keys.get_crypto_mode": (Right.VIEW, ()),
    "messages.protect_message": (Right.PROTECT, ("x", b"x")),
    "messages.unprotect_message": (Right.PROTECT, ("x", b"x")),
    "commands.page_commands": (Right.VIEW, ()),
    "commands.get_command": (Right.VIEW, (1,)),
    "commands.retry_commands": (Right.OPERATE, ()),
    "jobs.get_job": (Right.VIEW, (1,)),
    "jobs.page_jobs": (Right.VIEW, ()),
    "events.read_events": (Right.VIEW, (0,)),
    "events.last_event": (Right.VIEW, ()),
    "events.first_event": (Right.VIEW, ()),
    "audit.page_audit": (Right.ADMINISTER, ()),
    "audit.verify_audit": (Right.ADMINISTER, ()),
    "tokens.new_token": (Right.ADMINISTER, ("x", Role.VIEWER, False)),
    "tokens.page_tokens": (Right.ADMINISTER, ()),
    "tokens.revoke_token": (Right.ADMINISTER, (1,)),
}
GROUPS = (
    "clients",
    "topics",
    "members",
    "links",
    "keys",
    "messages",
    "commands",
    "jobs",
    "events",
    "audit",
    "tokens",
)
ALLOWED = {
    Right.VIEW: {Role.VIEWER, Role.OPERATOR, Role.ADMIN},
    Right.OPERATE: {Role.OPERATOR, Role.ADMIN},
    Right.ADMINISTER: {Role.ADMIN},
    Right.PROTECT: set(),
}


def operation(service: Service, name: str) -> Callable[..., Any]:
    group, method = name.split(".")
    return getattr(getattr(service, group), method)  # type: ignore[no-any-return]


class TestRights:
    def test_every_operation_is_in_the_table(self, service: Service) -> None:
        names = {
            f"{group}.{name}"
            for group in GROUPS
            for name in dir(getattr(service, group))
            if not name.startswith("_")
        }
        assert names == set(OPERATIONS)

    def test_who_may_do_what(self, world: World) -> None:
        for name, (right, arguments) in OPERATIONS.items():
            for call in (*ACTORS.values(), PROTECTOR):
                before = len(world.audit())
                try:
                    operation(world.service, name)(call, *arguments)
                except PermissionDenied:
                    denied = True
                except E4Error:
                    denied = False
                else:
                    denied = False
                allowed = call.actor.protect if right is Right.PROTECT else call.actor.role in ALLOWED[right]
                assert denied != allowed, (name, call.actor.name)
                if denied and right in (Right.OPERATE, Right.ADMINISTER):
                    changes = not name.startswith(("audit.", "tokens.page"))
                    assert len(world.audit()) == before + changes, name
                    if changes:
                        assert world.audit()[-1][2] == "PermissionDenied"
                elif denied:
                    assert len(world.audit()) == before

    def test_who_is_in_the_audit(self, world: World) -> None:
        call = dataclasses.replace(ACTORS[Role.OPERATOR], request_id="abc")
        world.service.topics.new_topic(call, "t")
        row = world.service.audit.page_audit(CALL).items[0]
        assert (row.actor, row.peer, row.request_id) == ("operator", "192.0.2.1", "abc")
        assert row.at == world.clock()

    def test_the_audit_is_a_chain(self, world: World, mode: Mode) -> None:
        for number in range(5):
            world.service.clients.new_client(CALL, f"c{number}", new_key(mode)[1])
            with pytest.raises(NotFound):
                world.service.topics.remove_topic(CALL, "nothing")
        check = world.service.audit.verify_audit(CALL)
        assert (check.rows, check.broken) == (10, None)
        with world.store.read() as tx:
            assert tx.audit.last() == (10, check.head)
        page = world.service.audit.page_audit(CALL, limit=4)
        assert [row.number for row in page.items] == [10, 9, 8, 7]
        assert [row.number for row in world.service.audit.page_audit(CALL, page.next, 3).items] == [6, 5, 4]


class TestIdempotency:
    def call(self, key: str = "k", fingerprint: bytes = b"f", **changes: Any) -> Call:
        return dataclasses.replace(
            CALL, idempotency_key=key, fingerprint=fingerprint, render=_render, **changes
        )

    def test_no_second_effect_and_the_same_answer(self, world: World) -> None:
        world.service.topics.new_topic(self.call(), "t")
        for _ in range(2):
            with pytest.raises(Replayed) as replayed:
                world.service.topics.new_topic(self.call(), "t")
            assert (replayed.value.status, replayed.value.response) == (201, b"t 1")
        assert world.service.topics.get_topic(CALL, "t").topic.version == 1
        assert len(world.audit()) == 1
        world.service.topics.new_topic(self.call("other"), "t")
        assert world.service.topics.get_topic(CALL, "t").topic.version == 2

    def test_each_actor_has_its_own(self, world: World) -> None:
        world.service.topics.new_topic(self.call(), "t")
        world.service.topics.new_topic(self.call(actor=ACTORS[Role.OPERATOR].actor), "t")
        assert world.service.topics.get_topic(CALL, "t").topic.version == 2

    def test_for_something_else_it_is_a_conflict(self, world: World) -> None:
        world.service.topics.new_topic(self.call(), "t")
        with pytest.raises(Conflict):
            world.service.topics.new_topic(self.call(fingerprint=b"g"), "u")
        assert world.service.topics.count_topics(CALL) == 1
        assert world.audit()[-1] == ("new_topic", "u", "Conflict")

    def test_a_refused_call_may_be_made_again(self, world: World, mode: Mode) -> None:
        for _ in range(2):
            with pytest.raises(NotFound):
                world.service.clients.reset_client(self.call(), "alice")
        world.device("alice")
        world.service.clients.reset_client(self.call(), "alice")
        with pytest.raises(Replayed):
            world.service.clients.reset_client(self.call(), "alice")

    def test_an_answer_that_was_not_kept(self, world: World) -> None:
        call = dataclasses.replace(self.call(), render=None)
        world.service.topics.new_topic(call, "t")
        with pytest.raises(Conflict):
            world.service.topics.new_topic(call, "t")

    def test_a_tokens_secret_is_not_stored(self, world: World) -> None:
        _, secret = world.service.tokens.new_token(self.call(), "robot", Role.VIEWER, False)
        with pytest.raises(Conflict):
            world.service.tokens.new_token(self.call(), "robot", Role.VIEWER, False)
        with world.store.read() as tx:
            stored = tx.idempotency.get(CALL.actor.name, "k")
        assert stored is not None
        assert stored.response is None
        assert secret.startswith("e4_")

    @symkey_only
    def test_many_at_once(self, world: World) -> None:
        """The same call from many threads: one has the effect, the others get its answer."""
        world.service.topics.new_topic(CALL, "t")
        outcomes: list[object] = []

        def run() -> None:
            try:
                outcomes.append(world.service.topics.new_topic(self.call(), "t")[0].version)
            except Replayed as replayed:
                outcomes.append(replayed.response)

        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(map(str, outcomes)) == sorted([str(b"t 2")] * 7 + ["2"])


@symkey_only
class TestTransactions:
    def test_an_operation_that_meets_another_is_tried_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from e4.c2.service import topics

        create, tries = topics._create, []

        def clumsy(*arguments: Any) -> Any:
            tries.append(1)
            made = create(*arguments)
            if len(tries) < 3:
                raise Transient
            return made

        monkeypatch.setattr(topics, "_create", clumsy)
        world.service.topics.new_topic(CALL, "t")
        assert len(tries) == 3
        assert world.events() == [("topic.created", "t", "")]
        assert world.audit() == [("new_topic", "t", "done")]
        assert len(world.notified) == 1

    def test_not_for_ever(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        from e4.c2.service import _core, topics

        def busy(*_: Any) -> Any:
            raise Transient

        monkeypatch.setattr(topics, "_create", busy)
        monkeypatch.setattr(_core, "_PAUSE", 0)
        with pytest.raises(DatabaseError):
            world.service.topics.new_topic(CALL, "t")
        assert world.audit() == []

    def test_a_defect_changes_nothing(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        from e4.c2.service import topics

        create = topics._create

        def broken(*arguments: Any) -> Any:
            create(*arguments)
            raise RuntimeError("a defect")

        monkeypatch.setattr(topics, "_create", broken)
        with pytest.raises(RuntimeError):
            world.service.topics.new_topic(CALL, "t")
        assert world.service.topics.count_topics(CALL) == 0
        assert world.audit() == []
        assert world.notified == []

    def test_notified_of_commands_and_events_only(self, world: World) -> None:
        world.device("alice")
        world.notified.clear()
        world.service.links.unlink_client(CALL, "alice", "alice")
        with pytest.raises(NotFound):
            world.service.clients.remove_client(CALL, "nobody")
        assert world.notified == []
        world.service.clients.reset_client(CALL, "alice")
        assert len(world.notified) == 1


@symkey_only
class TestRecords:
    def test_commands(self, world: World) -> None:
        for name in ("alice", "bob"):
            world.device(name)
        world.service.topics.new_topic(CALL, "t")
        world.service.members.new_topic_clients(CALL, [("alice", "t"), ("bob", "t")])
        world.deliver_all()
        world.service.members.remove_topic_client(CALL, "alice", "t")
        commands = world.service.commands
        page = commands.page_commands(CALL, limit=2)
        assert [(c.kind.name, c.client, c.subject) for c in page.items] == [
            ("REMOVE_TOPIC", "alice", "t"),
            ("SET_TOPIC_KEY", "bob", "t"),
        ]
        (rest,) = commands.page_commands(CALL, cursor=page.next, limit=2).items
        assert (rest.client, rest.state, rest.sent_at) == ("alice", CommandState.SENT, world.clock())
        assert commands.get_command(CALL, rest.id) == rest
        assert rest.timestamp is not None
        assert [c.client for c in commands.page_commands(CALL, client="bob").items] == ["bob"]
        queued = commands.page_commands(CALL, state=CommandState.QUEUED).items
        assert [c.kind.name for c in queued] == ["REMOVE_TOPIC"]
        _, job = world.service.topics.new_topic(CALL, "t")
        assert job is not None
        assert [c.job for c in commands.page_commands(CALL, job=job.id).items] == [job.id]
        with pytest.raises(NotFound):
            commands.get_command(CALL, 1 << 40)
        with pytest.raises(NotFound):
            commands.page_commands(CALL, client="nobody")
        with pytest.raises(InvalidRequest):
            commands.page_commands(CALL, cursor="x")

    def test_failed_and_tried_again(self, world: World) -> None:
        device = world.device("alice")
        world.service.topics.new_topic(CALL, "t")
        world.service.members.new_topic_client(CALL, "alice", "t")
        for later in (0, world.clock() + 60_000):
            with world.store.claim(10, world.clock()) as claim, claim.write() as tx:
                failed = [(out, "not authorised", later) for out in claim.outgoing]
                world.service.delivered(tx, [], failed)
        assert world.deliver() == 0
        command = world.service.commands.page_commands(CALL).items[0]
        assert (command.state, command.error, command.attempts) == (CommandState.FAILED, "not authorised", 2)
        assert [e for e in world.events() if e[0] == "command.failed"] == [("command.failed", "alice", "t")]
        world.notified.clear()
        assert world.service.commands.retry_commands(CALL) == 1
        assert world.notified
        world.deliver_all()
        assert world.opens(device, "t")
        assert ("command.sent", "alice", "t") in world.events()

    def test_events(self, world: World) -> None:
        events = world.service.events
        assert (events.last_event(CALL), events.first_event(CALL)) == (0, 1)
        for number in range(5):
            world.service.topics.new_topic(CALL, f"t{number}")
        assert [e.number for e in events.read_events(CALL, 0, 2)] == [1, 2]
        assert [e.target or e.source for e in events.read_events(CALL, 3)] == ["t3", "t4"]
        assert events.read_events(CALL, 5) == []
        assert (events.last_event(CALL), events.first_event(CALL)) == (5, 1)
        for after, limit in ((-1, 1), (0, 0), (0, 1001)):
            with pytest.raises(InvalidRequest):
                events.read_events(CALL, after, limit)


def _render(result: Any) -> tuple[int, bytes]:
    return 201, f"{result[0].name} {result[0].version}".encode() if result else b"{}"
