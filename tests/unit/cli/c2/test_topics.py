"""``e4 c2 topic``, ``attach``, ``detach``, ``count``, ``new-c2-key`` and ``c2-public-key``."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import MagicMock

import pytest

from e4.c2.model import JobState, KeyInfo, KeyState, Page, ServerInfo, TopicDetails
from e4.errors import FailedPrecondition, NotFound
from tests.unit.cli.c2._fleet import AT, AT_TEXT, Asked, client_details, job, topic


def test_create_makes_a_topic_but_never_rotates_one(ask: Asked, remote: MagicMock) -> None:
    remote.get_topic.side_effect = NotFound()
    remote.new_topic.return_value = topic(), None
    assert ask.ok("topic", "create", "room") == "topic room has a key\n"
    remote.new_topic.assert_called_once_with("room")
    remote.get_topic.side_effect = None
    ask("topic", "create", "room").refused(1, "the topic room exists already: 'e4 c2 topic rotate'")
    remote.new_topic.assert_called_once()


def test_rotate_makes_a_key_but_never_a_topic(ask: Asked, remote: MagicMock) -> None:
    remote.new_topic.return_value = topic(version=2), job(3)
    out = ask.ok("topic", "rotate", "room")
    assert out == "topic room has key 2: sent to 3 of 10 clients so far, see 'e4 c2 job 7'\n"
    answer = ask.json("topic", "rotate", "room")
    assert (answer["topic"]["version"], answer["job"]["id"]) == (2, 7)
    remote.new_topic.return_value = topic(version=2), None
    assert "no members" in ask.ok("topic", "rotate", "room")
    remote.new_topic.reset_mock()
    remote.get_topic.side_effect = NotFound("there is no topic rom")
    ask("topic", "rotate", "rom").refused(1, "there is no topic rom")
    remote.new_topic.assert_not_called()


def test_rotate_and_watch(ask: Asked, remote: MagicMock) -> None:
    remote.new_topic.return_value = topic(version=2), job(0)
    remote.watch_job.return_value = iter([job(0), job(5), job(10, state=JobState.DONE)])
    assert "has key 2: sent to 10 clients" in ask.ok("topic", "rotate", "room", "--watch")
    remote.watch_job.assert_called_once_with(7)


def test_list(ask: Asked, remote: MagicMock) -> None:
    remote.page_topics.return_value = Page([topic("a b"), topic("room", 3)])
    assert ask.ok("topic", "list", "--prefix", "x") == (
        f"a b\t1\t{AT_TEXT}\t{AT_TEXT}\nroom\t3\t{AT_TEXT}\t{AT_TEXT}\n"
    )
    remote.page_topics.assert_called_once_with(None, 1000, "x")
    remote.page_topics_for_client.return_value = Page([topic()])
    assert ask.lines("topic", "list", "--client", "alice")[0]["name"] == "room"
    remote.page_topics_for_client.assert_called_once_with("alice", None, 1000)


def test_show(ask: Asked, remote: MagicMock) -> None:
    keys = KeyInfo(1, KeyState.PREVIOUS, AT), KeyInfo(2, KeyState.CURRENT, AT)
    remote.get_topic.return_value = TopicDetails(topic(version=2), keys, 10, job(3))
    out = ask.ok("topic", "show", "room")
    assert out.startswith(
        f"topic\troom\nhash\t{topic().hash.hex()}\ncreated\t{AT_TEXT}\nkey\tversion 2, current"
    )
    assert out.endswith("clients\t10\njob\t7, sent to 3 of 10 clients so far\n")
    assert ask.json("topic", "show", "room")["job"]["done"] == 3


def test_remove(ask: Asked, remote: MagicMock) -> None:
    ask("topic", "remove", "room").refused(2, "? Give --yes")
    remote.remove_topic.assert_not_called()
    assert ask.ok("topic", "remove", "room", "--yes") == "topic room is forgotten\n"
    remote.remove_topic.assert_called_once_with("room")


def test_attach_and_detach(ask: Asked, remote: MagicMock) -> None:
    assert ask.ok("attach", "alice", "room") == "alice: the key of room is on the way\n"
    remote.new_topic_client.assert_called_once_with("alice", "room")
    assert ask.ok("detach", "alice", "room") == "alice: the command to forget the key of room is on the way\n"
    remote.remove_topic_client.assert_called_once_with("alice", "room")
    assert ask.json("attach", "alice", "a", "b") == {
        "client": "alice",
        "topics": ["a", "b"],
        "attached": True,
    }
    assert list(remote.new_topic_clients.call_args.args[0]) == [("alice", "a"), ("alice", "b")]
    assert "the keys of 2 topics" in ask.ok("detach", "alice", "a", "b")
    assert list(remote.remove_topic_clients.call_args.args[0]) == [("alice", "a"), ("alice", "b")]


def test_count(ask: Asked, remote: MagicMock) -> None:
    remote.info.return_value = ServerInfo("symkey", "1.0.0", 1_000_000, 3)
    remote.get_client.return_value = client_details(topics=4, links=5)
    remote.count_clients_for_topic.return_value = 6
    assert ask.ok("count") == "clients\t1000000\ntopics\t3\n"
    assert ask.json("count", "--client", "alice") == {"topics": 4, "links": 5}
    assert ask.json("count", "--topic", "room") == {"clients": 6}
    ask("count", "--client", "a", "--topic", "b").refused(2, "exclude each other")


def test_a_new_key_for_c2(ask: Asked, remote: MagicMock) -> None:
    remote.new_c2_key.return_value = job(0)
    ask("new-c2-key").refused(2, "Make C2 a new key, and send it to every client? Give --yes")
    remote.new_c2_key.assert_not_called()
    assert "C2 has a new key: sent to 0 of 10 clients so far" in ask.ok("new-c2-key", "--force")
    assert ask.json("new-c2-key", "--force")["job"]["id"] == 7
    remote.new_c2_key.assert_called_with(force=True)
    remote.watch_job.return_value = iter([job(10, state=JobState.DONE)])
    assert "sent to 10 clients" in ask.ok("new-c2-key", "--force", "--watch")
    remote.new_c2_key.side_effect = FailedPrecondition("there is no C2 key in symmetric-key mode")
    ask("new-c2-key", "--force").refused(1, "there is no C2 key in symmetric-key mode")


def test_all_clients_use_the_new_key_of_c2(ask: Asked, remote: MagicMock) -> None:
    ask("new-c2-key", "--confirm").refused(2, "Forget C2's older keys? Give --yes")
    remote.confirm_c2_key.assert_not_called()
    assert ask.ok("new-c2-key", "--confirm", "--yes") == "C2's older keys are forgotten\n"
    remote.confirm_c2_key.assert_called_once_with()
    remote.new_c2_key.assert_not_called()
    ask("new-c2-key", "--confirm", "--force").refused(2, "leave out --force")


def test_the_public_key_of_c2(ask: Asked, remote: MagicMock) -> None:
    key = bytes(range(32))
    remote.c2_public_key.return_value = key
    assert ask.ok("c2-public-key") == f"{key.hex()}\n"
    assert ask.json("c2-public-key") == {"public_key": key.hex(), "file": None}
    assert ask.ok("c2-public-key", "--out", "c2.pub") == "public key written to c2.pub\n"
    assert Path("c2.pub").read_bytes() == key
    ask("c2-public-key", "--out", "c2.pub").refused(1, "c2.pub exists already")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("topic list --prefix a --client b", "exclude each other"),
        ("topic create", "missing argument"),
        ("attach alice", "missing argument"),
        ("job x", "invalid value for 'ID'"),
    ],
)
def test_wrong_arguments(ask: Asked, remote: MagicMock, words: str, text: str) -> None:
    ask(*words.split()).refused(2, text)
    assert remote.method_calls == []
