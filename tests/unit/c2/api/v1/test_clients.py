"""Clients over the resource API."""

from __future__ import annotations

import re

import pytest

from e4 import crypto
from tests._keyserver import Keyserver
from tests.unit.c2.api.v1._ask import Ask, at, text

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
NAMES = [
    "pump",
    "plant/pump",
    "a b",
    "ümläut",
    "%2F",
    "?&=#",
    "'\"\\",
    "\U0001f600",
    "x" * 255,
    "..",
    "\u2028",
    "\n",
    "a\r\nb: c",
]


async def register(ask: Ask, *names: str) -> None:
    for name in names:
        await ask.done("POST", "clients", {"name": name, "key": text(ask.server.key())}, 201)


async def test_a_new_client_is_shown_without_its_key(ask: Ask, server: Keyserver) -> None:
    key = server.key()
    made = await ask.done("POST", "clients", {"name": "pump", "key": text(key)}, 201)
    assert made["id"] == crypto.hash_id_alias("pump").hex()
    assert (made["name"], made["by_id"], made["key_version"]) == ("pump", False, 1)
    assert made["c2_key_version"] == (1 if server.mode == "pubkey" else 0)
    assert TIME.fullmatch(made["created_at"])
    details = await ask.get("clients/pump")
    assert details["client"] == made
    assert [(k["version"], k["state"]) for k in details["keys"]] == [(1, "current")]
    assert text(key) not in str(details)
    assert key.hex() not in str(details)


async def test_a_key_may_be_base64_or_hex(ask: Ask, server: Keyserver) -> None:
    key = server.key()
    await ask.done("POST", "clients", {"name": "pump", "key": key.hex()}, 201)
    rows = [(1, "pump", key)]
    assert [r.unchanged for r in server.service.clients.import_clients(server.call, rows)] == [1]


async def test_an_existing_client_gets_another_key(ask: Ask, server: Keyserver) -> None:
    await register(ask, "pump")
    again = await ask.done("POST", "clients", {"name": "pump", "key": text(server.key())}, 200)
    assert again["key_version"] == 2
    again = await ask.done("PUT", "clients/pump", {"key": text(server.key())}, 200)
    assert again["key_version"] == 3
    made = await ask.done("PUT", "clients/valve", {"key": text(server.key())}, 201)
    assert made["name"] == "valve"


async def test_a_client_by_its_id_alone_has_it_as_its_name(ask: Ask, server: Keyserver) -> None:
    id = crypto.hash_id_alias("unknown").hex()
    made = await ask.done("POST", "clients", {"id": id.upper(), "key": text(server.key())}, 201)
    assert (made["id"], made["name"], made["by_id"]) == (id, id, True)
    assert (await ask.get(f"clients/{id}"))["client"] == made
    assert (await ask.get("clients", id=id))["items"] == [made]
    await ask.done("DELETE", f"clients/{id}")
    assert (await ask.get("clients", id=id)) == {"items": [], "next": None}


@pytest.mark.parametrize("name", NAMES)
async def test_every_name_is_one_segment_of_a_path(ask: Ask, server: Keyserver, name: str) -> None:
    segment = "%2E%2E" if name == ".." else at(name)
    made = await ask.done("PUT", f"clients/{segment}", {"key": text(server.key())}, 201)
    assert made["name"] == name
    assert (await ask.get(f"clients/{segment}"))["client"] == made
    assert (await ask.get("clients"))["items"] == [made]
    await ask.done("DELETE", f"clients/{segment}")
    assert await ask.refused("NotFound", 404, "GET", f"clients/{segment}")


async def test_reset_resync_and_new_key(ask: Ask) -> None:
    await register(ask, "pump")
    await ask.done("POST", "topics", {"name": "t"}, 201)
    await ask.done("PUT", "clients/pump/topics/t")
    await ask.done("POST", "clients/pump/reset")
    assert (await ask.get("clients/pump"))["topics"] == 0
    renewed = await ask.done("POST", "clients/pump/new-key", status=200)
    assert renewed["key_version"] == 2
    states = [key["state"] for key in (await ask.get("clients/pump"))["keys"]]
    assert states == ["current", "pending"]
    await ask.refused("FailedPrecondition", 400, "POST", "clients/pump/confirm-key")
    ask.server.deliver()
    states = [key["state"] for key in (await ask.get("clients/pump"))["keys"]]
    assert states == ["previous", "current"]
    await ask.done("POST", "clients/pump/confirm-key")
    assert [key["version"] for key in (await ask.get("clients/pump"))["keys"]] == [2]
    await ask.done("POST", "clients/pump/resync")
    details = await ask.get("clients/pump")
    assert details["queued"] == len([c for c in details["last_commands"] if c["state"] == "queued"]) > 0


async def test_batches_are_all_or_nothing(ask: Ask, server: Keyserver) -> None:
    pairs = [{"name": name, "key": text(server.key())} for name in "abc"]
    made = await ask.done("POST", "batch/clients", {"clients": pairs}, 201)
    assert [client["name"] for client in made["items"]] == ["a", "b", "c"]
    bad = [{"name": "d", "key": text(server.key())}, {"name": "e", "key": text(bytes(32))}]
    await ask.refused("InvalidKey", 400, "POST", "batch/clients", {"clients": bad})
    await ask.refused("NotFound", 404, "POST", "batch/reset", {"clients": ["a", "nobody"]})
    await ask.refused("NotFound", 404, "POST", "batch/new-key", {"clients": ["a", "nobody"]})
    assert (await ask.get("info"))["clients"] == 3
    assert (await ask.get("clients/a"))["queued"] == 0
    await ask.done("POST", "batch/reset", {"clients": ["a", "b"]})
    renewed = await ask.done("POST", "batch/new-key", {"clients": ["a", "b"]}, 200)
    assert [(c["name"], c["key_version"]) for c in renewed["items"]] == [("a", 2), ("b", 2)]


async def test_a_batch_has_a_limit(ask: Ask) -> None:
    too_many = {"clients": [f"c{n}" for n in range(1001)]}
    said = await ask.refused("InvalidRequest", 400, "POST", "batch/reset", too_many)
    assert "1000" in said
    await ask.refused("InvalidRequest", 400, "POST", "batch/reset", {"clients": []})


async def test_unknown_clients(ask: Ask, server: Keyserver) -> None:
    for verb, path in [
        ("GET", "clients/nobody"),
        ("DELETE", "clients/nobody"),
        ("GET", "clients/nobody/topics"),
        ("GET", "clients/nobody/links"),
        ("GET", "commands?client=nobody"),
        *(("POST", f"clients/nobody/{action}") for action in ("reset", "resync", "new-key", "confirm-key")),
    ]:
        said = await ask.refused("NotFound", 404, verb, path)
        assert said == "client 'nobody' is not known"
