"""Topics and memberships over the resource API."""

from __future__ import annotations

import pytest

from e4 import crypto
from tests._keyserver import Keyserver
from tests.unit.c2.api.v1._ask import Ask, at

TOPIC = "plant/boiler/temperature"


@pytest.fixture(autouse=True)
def _clients(server: Keyserver) -> None:
    server.add_clients("a", "b", "c")


async def test_a_topic_is_made_and_rotated(ask: Ask) -> None:
    made = await ask.done("POST", "topics", {"name": TOPIC}, 201)
    assert made["job"] is None
    assert made["topic"]["hash"] == crypto.hash_topic(TOPIC).hex()
    assert (made["topic"]["name"], made["topic"]["version"]) == (TOPIC, 1)
    await ask.done("PUT", f"clients/a/topics/{at(TOPIC)}")
    rotated = await ask.done("POST", "topics", {"name": TOPIC}, 200)
    assert rotated["topic"]["version"] == 2
    assert (rotated["job"]["kind"], rotated["job"]["total"]) == ("topic-key", 1)
    details = await ask.get(f"topics/{at(TOPIC)}")
    assert details["topic"] == rotated["topic"]
    assert [key["state"] for key in details["keys"]] == ["previous", "current"]
    assert (details["clients"], details["job"]["id"]) == (1, rotated["job"]["id"])


@pytest.mark.parametrize(
    "topic", ["/", "//a/", "a/clients", "/a/b/c/", "%2F", "ümläut", "$SYS", " ", "a" * 60_000]
)
async def test_every_topic_is_one_segment_of_a_path(ask: Ask, topic: str) -> None:
    made = (await ask.done("POST", "topics", {"name": topic}, 201))["topic"]
    await ask.done("PUT", f"clients/a/topics/{at(topic)}")
    assert (await ask.get(f"topics/{at(topic)}"))["topic"] == made
    assert (await ask.get("clients/a/topics"))["items"] == [made]
    assert [c["name"] for c in (await ask.get(f"topics/{at(topic)}/clients"))["items"]] == ["a"]
    await ask.done("DELETE", f"clients/a/topics/{at(topic)}")
    await ask.done("DELETE", f"topics/{at(topic)}")
    assert (await ask.get("topics"))["items"] == []


async def test_memberships_can_be_said_twice(ask: Ask) -> None:
    await ask.done("POST", "topics", {"name": "t"}, 201)
    for _ in range(2):
        await ask.done("PUT", "clients/a/topics/t")
    assert (await ask.get("topics/t"))["clients"] == 1
    assert [(c["kind"], c["subject"]) for c in (await ask.get("commands", state="queued"))["items"]] == [
        ("set-topic-key", "t")
    ]


async def test_batches_are_all_or_nothing(ask: Ask) -> None:
    await ask.done("POST", "topics", {"name": "t"}, 201)
    pairs = [{"client": name, "topic": "t"} for name in "ab"]
    wrong = [*pairs, {"client": "c", "topic": "unknown"}]
    await ask.refused("NotFound", 404, "POST", "batch/memberships", {"memberships": wrong})
    assert (await ask.get("topics/t"))["clients"] == 0
    await ask.done("POST", "batch/memberships", {"memberships": pairs})
    assert (await ask.get("topics/t"))["clients"] == 2
    await ask.refused("NotFound", 404, "POST", "batch/memberships/remove", {"memberships": wrong})
    await ask.done("POST", "batch/memberships/remove", {"memberships": pairs})
    assert (await ask.get("topics/t"))["clients"] == 0


async def test_unknown_topics_and_wrong_names(ask: Ask) -> None:
    for verb, path in [
        ("GET", "topics/none"),
        ("DELETE", "topics/none"),
        ("GET", "topics/none/clients"),
        ("PUT", "clients/a/topics/none"),
        ("DELETE", "clients/a/topics/none"),
    ]:
        assert await ask.refused("NotFound", 404, verb, path) == "topic 'none' is not known"
    for name in ("a+", "#", "a\0b", "ü" * 40_000):
        await ask.refused("InvalidTopic", 400, "POST", "topics", {"name": name})
    await ask.refused("InvalidRequest", 400, "POST", "topics", {"name": ""})
