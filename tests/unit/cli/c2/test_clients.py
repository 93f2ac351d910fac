"""``e4 c2 client``: what is asked of the server, and what is printed."""

from __future__ import annotations

import time
from unittest.mock import MagicMock, call

import pytest

from e4 import crypto
from e4.c2.model import Page
from e4.errors import NotFound, Unauthenticated
from tests.unit.cli.c2._fleet import AT_TEXT, Asked, client, client_details, command, topic


def test_list_is_a_line_for_each_client_with_tabs_between(ask: Asked, remote: MagicMock) -> None:
    remote.page_clients.return_value = Page([client("alice"), client("bob", key_version=3)])
    assert ask.ok("client", "list") == (
        f"alice\t{crypto.hash_id_alias('alice').hex()}\t1\t{AT_TEXT}\n"
        f"bob\t{crypto.hash_id_alias('bob').hex()}\t3\t{AT_TEXT}\n"
    )
    remote.page_clients.assert_called_once_with(None, 1000, "")


def test_list_asks_for_one_page_after_the_other(ask: Asked, remote: MagicMock) -> None:
    remote.page_clients.side_effect = [Page([client("a"), client("b")], "2"), Page([client("c")])]
    names = [line["name"] for line in ask.lines("client", "list", "--prefix", "x")]
    assert names == ["a", "b", "c"]
    assert remote.page_clients.mock_calls == [call(None, 1000, "x"), call("2", 1000, "x")]


def test_list_asks_for_no_more_than_is_wanted(ask: Asked, remote: MagicMock) -> None:
    remote.page_clients.side_effect = lambda cursor, size, prefix: Page(
        [client(f"c{int(cursor or 0) + i}") for i in range(size)], str(int(cursor or 0) + size)
    )
    assert len(ask.lines("client", "list", "--limit", 1500)) == 1500
    assert [c.args[1] for c in remote.page_clients.mock_calls] == [1000, 500]


def test_members_and_links(ask: Asked, remote: MagicMock) -> None:
    remote.page_clients_for_topic.return_value = Page([client("alice")])
    remote.page_linked_clients.return_value = Page([client("bob")])
    assert ask.lines("client", "list", "--topic", "room")[0]["name"] == "alice"
    assert ask.lines("client", "list", "--linked-to", "carol")[0]["name"] == "bob"
    remote.page_clients_for_topic.assert_called_once_with("room", None, 1000)
    remote.page_linked_clients.assert_called_once_with("carol", None, 1000)


def test_a_list_of_nothing_is_empty_in_a_pipe(ask: Asked, remote: MagicMock) -> None:
    assert ask.ok("client", "list") == ""
    assert ask.ok("client", "list", "--json") == ""


def test_names_cannot_act_on_the_terminal_or_add_columns(ask: Asked, remote: MagicMock) -> None:
    remote.page_clients.return_value = Page([client("a\tb\n\x1b[2Jc")])
    out = ask.ok("client", "list")
    assert out.startswith("a\\tb\\n\\x1b[2Jc\t")
    assert out.count("\t") == 3
    assert out.count("\n") == 1
    assert ask.lines("client", "list")[0]["name"] == "a\tb\n\x1b[2Jc"


def test_show(ask: Asked, remote: MagicMock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_790_000_000.125 + 3 * 86400)
    remote.get_client.return_value = client_details(
        topics=101, links=1, queued=2, last_commands=(command(5), command(4, error="not authorised"))
    )
    remote.page_topics_for_client.return_value = Page([topic(f"t{i}") for i in range(100)])
    remote.page_linked_clients.return_value = Page([client("bob")])
    lines = ask.ok("client", "show", "alice").splitlines()
    assert lines[:6] == [
        "name\talice",
        f"id\t{crypto.hash_id_alias('alice').hex()}",
        f"registered\t{AT_TEXT}, by name",
        "key\tversion 2, current, 3 d old",
        "key\tversion 1, previous, 3 d old",
        "queued commands\t2",
    ]
    assert lines[6:9] == ["topics\t101", "topic\tt0", "topic\tt1"]
    assert "more\te4 c2 topic list --client alice" in lines
    assert "link\tbob" in lines
    assert lines[-2].split("\t")[:5] == ["5", "alice", "set-topic-key", "room", "sent"]
    assert lines[-1].endswith("\tnot authorised")
    shown = ask.json("client", "show", "alice")
    assert shown["client"]["name"] == "alice"
    assert shown["topic_names"] == [f"t{i}" for i in range(100)]
    assert shown["link_names"] == ["bob"]
    assert [key["state"] for key in shown["keys"]] == ["previous", "current"]


def test_show_by_id(ask: Asked, remote: MagicMock) -> None:
    remote.find_client.return_value = client("alice")
    remote.get_client.return_value = client_details()
    id = crypto.hash_id_alias("alice")
    assert ask.ok("client", "show", "--id", id.hex()).startswith("name\talice\n")
    remote.find_client.assert_called_once_with(id)
    remote.get_client.assert_called_once_with("alice")
    remote.page_linked_clients.assert_not_called()
    remote.find_client.return_value = None
    ask("client", "show", "--id", id.hex()).refused(1, f"no client has the id {id.hex()}")


@pytest.mark.parametrize(
    ("words", "method", "arguments", "text", "members"),
    [
        ("remove alice --yes", "remove_client", ("alice",), "is forgotten", {"removed": "alice"}),
        ("reset alice --yes", "reset_client", ("alice",), "to forget all topics' keys", {"reset": ["alice"]}),
        ("reset a b --yes", "reset_clients", (["a", "b"],), "2 clients: ", {"reset": ["a", "b"]}),
        ("resync alice", "resync_client", ("alice",), "is on its way", {"resynced": "alice"}),
        ("new-key alice", "new_client_key", ("alice",), "a new key is on its way", {"new_key": ["alice"]}),
        ("new-key a b", "new_client_keys", (["a", "b"],), "2 clients: a new key", {"new_key": ["a", "b"]}),
        (
            "new-key alice --confirm --yes", "confirm_client_key", ("alice",), "older keys are forgotten",
            {"confirmed": ["alice"]},
        ),
        (
            "link alice --to bob", "link_client", ("alice", "bob"), "alice is linked to bob",
            {"source": "alice", "target": "bob", "linked": True},
        ),
        (
            "unlink alice --from bob", "unlink_client", ("alice", "bob"), "no longer linked to bob",
            {"source": "alice", "target": "bob", "linked": False},
        ),
        (
            "send-pubkey alice --to bob", "send_client_pubkey", ("bob", "alice"), "on its way to bob",
            {"source": "alice", "target": "bob", "sent": True},
        ),
        (
            "remove-pubkey alice --from bob", "remove_client_pubkey", ("bob", "alice"), "bob: the command",
            {"source": "alice", "target": "bob", "sent": False},
        ),
        (
            "reset-pubkeys bob --yes", "reset_client_pubkeys", ("bob",), "to forget all public keys",
            {"reset_pubkeys": "bob"},
        ),
    ],
)  # fmt: skip
def test_changes(
    ask: Asked, remote: MagicMock, words: str, method: str, arguments: tuple[object, ...], text: str,
    members: dict[str, object],
) -> None:  # fmt: skip
    out = ask.ok("client", *words.split())
    assert text in out
    assert out.count("\n") == 1
    assert ask.json("client", *words.split()) == members
    assert getattr(remote, method).mock_calls == [call(*arguments)] * 2


@pytest.mark.parametrize(
    "words", ["remove alice", "reset alice", "new-key alice --confirm", "reset-pubkeys alice"]
)
def test_what_cannot_be_undone_needs_a_yes(ask: Asked, remote: MagicMock, words: str) -> None:
    ask("client", *words.split()).refused(2, "? Give --yes to do it without asking")
    assert not any(name.split("_")[0] in ("remove", "reset", "confirm") for name, _, _ in remote.method_calls)


def test_errors_of_the_server_are_one_line(ask: Asked, remote: MagicMock) -> None:
    remote.get_client.side_effect = NotFound("there is no client \x1b[2Jalice")
    ask("client", "show", "alice").refused(1, "there is no client \\x1b[2Jalice")
    remote.get_client.side_effect = Unauthenticated()
    ask("client", "show", "alice").refused(1, "log in with 'e4 c2 login', or give a token with --token-file")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("list --prefix a --topic b", "exclude each other"),
        ("list --limit 0", "--limit"),
        ("show", "which client is not clear"),
        ("show alice --id 00", "which client is not clear"),
        ("show --id 00", "an id is 32 hex digits"),
        ("link alice", "missing option '--to'"),
        ("frobnicate", "no such command"),
    ],
)
def test_wrong_arguments(ask: Asked, remote: MagicMock, words: str, text: str) -> None:
    ask("client", *words.split()).refused(2, text)
    assert remote.method_calls == []
