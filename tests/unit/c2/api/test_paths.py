"""Which call a verb and a path mean: section 3.2, to the letter."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e4.c2.api.grpc.operations import OPERATIONS
from e4.c2.api.http._paths import RULES, find, split
from e4.errors import InvalidRequest

VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def meant(verb: str, path: str) -> tuple[str, dict[str, str]] | set[str]:
    found = find(verb, split(path.encode()))
    return found if isinstance(found, set) else (found[0].call, found[1])


@pytest.mark.parametrize(
    ("verb", "path", "call", "fields"),
    [
        ("POST", "/e4/client/pump", "NewClient", {"client.name": "pump"}),
        ("DELETE", "/e4/client/pump", "RemoveClient", {"client.name": "pump"}),
        ("PUT", "/e4/client/pump", "ResetClient", {"client.name": "pump"}),
        ("PATCH", "/e4/client/pump", "NewClientKey", {"client.name": "pump"}),
        ("POST", "/e4/topic/a/b", "NewTopic", {"topic": "a/b"}),
        ("DELETE", "/e4/topic/a", "RemoveTopic", {"topic": "a"}),
        ("PUT", "/e4/client/pump/topic/a/b", "NewTopicClient", {"client.name": "pump", "topic": "a/b"}),
        ("DELETE", "/e4/client/pump/topic/a", "RemoveTopicClient", {"client.name": "pump", "topic": "a"}),
        ("GET", "/e4/client/pump/topics/count", "CountTopicsForClient", {"client.name": "pump"}),
        ("GET", "/e4/client/pump/topics", "GetTopicsForClient", {"client.name": "pump"}),
        ("GET", "/e4/topic/a/b/clients/count", "CountClientsForTopic", {"topic": "a/b"}),
        ("GET", "/e4/topic/a/b/clients", "GetClientsForTopic", {"topic": "a/b"}),
        ("GET", "/e4/clients/count", "CountClients", {}),
        ("GET", "/e4/clients", "GetClients", {}),
        ("GET", "/e4/topics/count", "CountTopics", {}),
        ("GET", "/e4/topics", "GetTopics", {}),
        ("POST", "/e4/client/t/link/s", "LinkClient", {"targetClient.name": "t", "sourceClient.name": "s"}),
        (
            "DELETE",
            "/e4/client/t/unlink/s",
            "UnlinkClient",
            {"targetClient.name": "t", "sourceClient.name": "s"},
        ),
        ("GET", "/e4/client/pump/link/count", "CountLinkedClients", {"client.name": "pump"}),
        ("GET", "/e4/client/pump/link", "GetLinkedClients", {"client.name": "pump"}),
        ("POST", "/e4/send-client-pubkey", "SendClientPubKey", {}),
        ("POST", "/e4/remove-client-pubkey", "RemoveClientPubKey", {}),
        ("POST", "/e4/reset-client-pubkeys", "ResetClientPubKeys", {}),
        ("POST", "/e4/new-c2-key", "NewC2Key", {}),
        ("POST", "/e4/protect-message", "ProtectMessage", {}),
        ("POST", "/e4/unprotect-message", "UnprotectMessage", {}),
        ("GET", "/e4/health-check", "HealthCheck", {}),
        ("GET", "/e4/crypto-mode", "GetCryptoMode", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_call(verb: str, path: str, call: str, fields: dict[str, str]) -> None:
    assert meant(verb, path) == (call, fields)


def test_every_call_has_one_path() -> None:
    assert sorted(rule.call for rule in RULES) == sorted(OPERATIONS)


@pytest.mark.parametrize(
    ("verb", "path", "call", "fields"),
    [
        # A topic that looks like the end of another path is one where that verb has no such path.
        ("POST", "/e4/topic/a/clients/count", "NewTopic", {"topic": "a/clients/count"}),
        ("DELETE", "/e4/topic/a/clients", "RemoveTopic", {"topic": "a/clients"}),
        ("GET", "/e4/topic/a/clients/clients", "GetClientsForTopic", {"topic": "a/clients"}),
        ("GET", "/e4/topic/clients/count/clients/count", "CountClientsForTopic", {"topic": "clients/count"}),
        (
            "POST",
            "/e4/client/t/link/count",
            "LinkClient",
            {"targetClient.name": "t", "sourceClient.name": "count"},
        ),
        ("PUT", "/e4/client/topic/topic/topic", "NewTopicClient", {"client.name": "topic", "topic": "topic"}),
        # Slashes belong to the topic.
        ("POST", "/e4/topic//a//b/", "NewTopic", {"topic": "/a//b/"}),
        ("POST", "/e4/topic/", "NewTopic", {"topic": ""}),
        ("GET", "/e4/topic//clients", "GetClientsForTopic", {"topic": ""}),
        ("PUT", "/e4/client/pump/topic//a", "NewTopicClient", {"client.name": "pump", "topic": "/a"}),
        # Encoded ones belong to whatever they are in.
        ("POST", "/e4/topic/a%2Fb", "NewTopic", {"topic": "a/b"}),
        ("POST", "/e4/client/a%2fb", "NewClient", {"client.name": "a/b"}),
        ("GET", "/e4/topic/a%2Fclients/clients", "GetClientsForTopic", {"topic": "a/clients"}),
        (
            "PUT",
            "/e4/client/a%2Ftopic%2Fb/topic/c",
            "NewTopicClient",
            {"client.name": "a/topic/b", "topic": "c"},
        ),
        # What may look odd in a URL.
        ("POST", "/e4/topic/a%0Ab%25:c+d%3F", "NewTopic", {"topic": "a\nb%:c+d?"}),
        ("POST", "/e4/topic/caf%C3%A9", "NewTopic", {"topic": "café"}),
        ("POST", "/e4/topic/café", "NewTopic", {"topic": "café"}),
        ("POST", "/e4/client/", "NewClient", {"client.name": ""}),
        ("GET", "/%654/clients", "GetClients", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unusual(verb: str, path: str, call: str, fields: dict[str, str]) -> None:
    assert meant(verb, path) == (call, fields)


NO_PATHS = [
    *("/", "/e4", "/e4/", "/e4/client", "/e4//clients", "/e4/clients/", "/e4/clients/count/", "/e4/x"),
    *("/e4/topic", "/e4/client/a/b/topics", "/e4/client/a/topics/", "/e4/client/a/link/b/c", "/e4%2Fclients"),
]


@pytest.mark.parametrize("path", NO_PATHS)
def test_no_path(path: str) -> None:
    assert meant("GET", path) == set()


@pytest.mark.parametrize(
    ("verb", "path", "verbs"),
    [
        ("GET", "/e4/client/a", {"POST", "DELETE", "PUT", "PATCH"}),
        ("POST", "/e4/clients", {"GET"}),
        ("GET", "/e4/topic/a", {"POST", "DELETE"}),
        ("PUT", "/e4/topic/a/clients", {"POST", "DELETE", "GET"}),
        ("OPTIONS", "/e4/crypto-mode", {"GET"}),
        ("get", "/e4/crypto-mode", {"GET"}),
    ],
)
def test_another_verb(verb: str, path: str, verbs: set[str]) -> None:
    assert meant(verb, path) == verbs


@pytest.mark.parametrize(
    "path", ["/e4/topic/%", "/e4/topic/%4", "/e4/topic/%zz", "/e4/topic/a%2", "/e4/topic/% 1"]
)
def test_broken_encoding(path: str) -> None:
    with pytest.raises(InvalidRequest, match="percent-encoded"):
        split(path.encode())


@pytest.mark.parametrize("path", [b"/e4/topic/%FF", b"/e4/topic/\xff", b"/e4/topic/%ED%A0%80"])
def test_not_utf8(path: bytes) -> None:
    with pytest.raises(InvalidRequest, match="UTF-8"):
        split(path)


text = st.text(st.characters(exclude_categories=["Cs"]))


@given(name=text, topic=text, safe=st.sampled_from(["", "/"]))
def test_any_name_and_topic_come_through(name: str, topic: str, safe: str) -> None:
    path = f"/e4/client/{quote(name, safe='')}/topic/{quote(topic, safe=safe)}"
    assert meant("PUT", path) == ("NewTopicClient", {"client.name": name, "topic": topic})
    assert meant("GET", f"/e4/topic/{quote(topic, safe=safe)}/clients/count") == (
        "CountClientsForTopic",
        {"topic": topic},
    )


@given(verb=st.sampled_from(VERBS), rest=st.binary())
def test_any_path_is_found_or_not(verb: str, rest: bytes) -> None:
    try:
        pieces = split(b"/e4/" + rest)
    except InvalidRequest:
        return
    find(verb, pieces)
