"""Imports of clients and memberships: streaming, chunk by chunk, a bad row refused by its line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e4 import crypto
from e4.c2.model import Call, Mode
from e4.errors import InvalidRequest
from tests.unit.c2._world import World, new_key


def counts(progress: object) -> tuple[int, ...]:
    return tuple(getattr(progress, n) for n in ("done", "created", "replaced", "unchanged", "refused"))


class TestClients:
    def test_counts_and_refusals(self, world: World, call: Call, mode: Mode) -> None:
        keys = {name: new_key(mode)[1] for name in "abcdef"}
        world.service.clients.new_client(call, "a", keys["a"])
        world.service.clients.new_client(call, "b", new_key(mode)[1])
        rows = [
            (1, "a", keys["a"]),
            (2, "b", keys["b"]),
            (3, "c", keys["c"]),
            (4, "", keys["d"]),
            (5, "d", b"short"),
            (6, InvalidRequest("line 6 is not base64")),
            (8, bytes(16), keys["e"]),
            (9, "f", keys["f"]),
        ]
        *_, last = reports = list(world.service.clients.import_clients(call, rows, chunk=3))
        assert [counts(report) for report in reports] == [
            (3, 1, 1, 1, 0),
            (6, 1, 1, 1, 3),
            (8, 3, 1, 1, 3),
        ]
        assert [line for line, _ in reports[1].errors] == [4, 5, 6]
        assert reports[1].errors[2][1] == "line 6 is not base64"
        assert last.errors == ()
        assert world.names() == [bytes(16).hex(), "a", "b", "c", "f"]
        assert world.audit()[2:] == [
            ("import_clients", "lines 1-3: 1 created, 1 replaced, 1 unchanged", "done"),
            ("import_clients", "lines 4-6: 3 refused", "InvalidRequest"),
            ("import_clients", "lines 8-9: 2 created", "done"),
        ]
        assert sorted(world.events()[2:]) == [
            *[("client.created", name, "") for name in (bytes(16).hex(), "c", "f")],
            ("client.replaced", "b", ""),
        ]

    def test_again_changes_nothing(self, world: World, call: Call, mode: Mode) -> None:
        rows = [(number, f"c{number}", new_key(mode)[1]) for number in range(1, 25)]
        list(world.service.clients.import_clients(call, rows, chunk=10))
        events = world.events()
        *_, last = world.service.clients.import_clients(call, rows, chunk=10)
        assert counts(last) == (24, 0, 0, 24, 0)
        assert world.events() == events

    def test_the_last_of_two_lines_counts(self, world: World, call: Call, mode: Mode) -> None:
        first, second = new_key(mode)[1], new_key(mode)[1]
        id = crypto.hash_id_alias("a")
        rows = [(1, "a", first), (2, "b", first), (3, "a", second), (4, id, first)]
        *_, last = world.service.clients.import_clients(call, rows)
        assert counts(last) == (4, 2, 2, 0, 0)
        client = world.service.clients.get_client(call, "a").client
        assert client.key_version == 3

    def test_one_conflict_leaves_the_rest(self, world: World, call: Call, mode: Mode) -> None:
        id = bytes(range(16))
        world.service.clients.new_client(call, id.hex(), new_key(mode)[1])
        rows = [(1, "a", new_key(mode)[1]), (2, id, new_key(mode)[1]), (3, "b", new_key(mode)[1])]
        (report,) = world.service.clients.import_clients(call, rows)
        assert counts(report) == (3, 2, 0, 0, 1)
        assert [line for line, _ in report.errors] == [2]
        assert world.names() == [id.hex(), "a", "b"]

    def test_streams(self, world: World, call: Call, mode: Mode) -> None:
        """No row is asked for before it is needed, and what was reported stays when the rest fails."""
        asked: list[int] = []

        def rows() -> Iterator[tuple[int, str, bytes]]:
            for number in range(1, 100):
                if number == 21:
                    raise RuntimeError("the connection was lost")
                asked.append(number)
                yield number, f"c{number}", new_key(mode)[1]

        reports = world.service.clients.import_clients(call, rows(), chunk=10)
        assert next(reports).done == 10
        assert len(asked) == 10
        assert next(reports).done == 20
        with pytest.raises(RuntimeError):
            next(reports)
        assert world.service.clients.count_clients(call) == 20

    def test_nothing(self, world: World, call: Call) -> None:
        assert list(world.service.clients.import_clients(call, [])) == []
        with pytest.raises(InvalidRequest):
            world.service.clients.import_clients(call, [], chunk=0)


class TestMemberships:
    def test_counts_and_refusals(self, world: World, call: Call) -> None:
        devices = {name: world.device(name) for name in ("a", "b", "c")}
        for topic in ("t", "u"):
            world.service.topics.new_topic(call, topic)
        world.service.members.new_topic_client(call, "a", "t")
        world.deliver_all()
        world.applied.clear()
        rows = [
            (1, "a", "t"),
            (2, "b", "t"),
            (3, crypto.hash_id_alias("c"), "u"),
            (4, "nobody", "t"),
            (5, "a", "unknown"),
            (6, "a", "#"),
            (7, InvalidRequest("line 7 has one column")),
            (8, "b", "u"),
            (9, "b", "t"),
        ]
        reports = list(world.service.members.import_memberships(call, rows, chunk=4))
        assert [counts(report) for report in reports] == [
            (4, 2, 0, 1, 1),
            (8, 3, 0, 1, 4),
            (9, 3, 0, 2, 4),
        ]
        errors = [error for report in reports for error in report.errors]
        assert [line for line, _ in errors] == [4, 5, 6, 7]
        assert errors[0][1] == "client 'nobody' is not known"
        world.deliver_all()
        assert sorted(name for name, _ in world.applied) == ["b", "b", "c"]
        assert world.opens(devices["b"], "u")
        assert world.opens(devices["c"], "u")
        assert not devices["c"].has_topic_key("t")
