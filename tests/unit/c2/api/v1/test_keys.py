"""Links, public keys, C2's key and messages over the resource API."""

from __future__ import annotations

import base64

import pytest

from e4.c2.model import Mode
from tests._keyserver import Keyserver
from tests.unit.c2.api.v1._ask import Ask, text


@pytest.fixture(autouse=True)
def _clients(server: Keyserver) -> None:
    server.add_clients("source", "target")


async def test_links(ask: Ask) -> None:
    await ask.done("PUT", "clients/target/links/source")
    assert [c["name"] for c in (await ask.get("clients/target/links"))["items"]] == ["source"]
    assert (await ask.get("clients/source/links"))["items"] == []
    assert (await ask.get("clients/target"))["links"] == 1
    await ask.done("DELETE", "clients/target/links/source")
    assert (await ask.get("clients/target"))["links"] == 0
    await ask.refused("NotFound", 404, "PUT", "clients/target/links/nobody")
    await ask.refused("NotFound", 404, "PUT", "clients/nobody/links/source")


async def test_public_keys(ask: Ask, mode: Mode) -> None:
    requests = [
        ("POST", "clients/target/pubkeys/source", "set-pub-key"),
        ("DELETE", "clients/target/pubkeys/source", "remove-pub-key"),
        ("POST", "clients/target/reset-pubkeys", "reset-pub-keys"),
    ]
    for verb, path, kind in requests:
        if mode == "symkey":
            assert "public-key mode" in await ask.refused("FailedPrecondition", 400, verb, path)
            continue
        await ask.done(verb, path)
        newest = (await ask.get("commands", client="target", limit=1))["items"][0]
        assert (newest["kind"], newest["state"]) == (kind, "queued")


async def test_c2s_key(ask: Ask, mode: Mode) -> None:
    if mode == "symkey":
        for verb, path, body in [("GET", "c2-key", None), ("POST", "c2-key", {"force": True})]:
            await ask.refused("FailedPrecondition", 400, verb, path, body)
        return
    before = (await ask.get("c2-key"))["public_key"]
    assert len(base64.b64decode(before)) == 32
    for body in ({}, {"force": False}):
        await ask.refused("FailedPrecondition", 400, "POST", "c2-key", body)
    for body in ({"force": "yes"}, {"force": 1}):
        await ask.refused("InvalidRequest", 400, "POST", "c2-key", body)
    job = await ask.done("POST", "c2-key", {"force": True}, 200)
    assert (job["kind"], job["subject"], job["total"]) == ("c2-key", "", 2)
    assert (await ask.get(f"jobs/{job['id']}"))["queued"] == 2
    ask.server.deliver()
    ask.server.service.run_jobs_once()
    assert (await ask.get(f"jobs/{job['id']}"))["state"] == "done"
    assert (await ask.get("c2-key"))["public_key"] != before
    await ask.done("POST", "c2-key/confirm")


async def test_messages(ask: Ask) -> None:
    await ask.done("POST", "topics", {"name": "t"}, 201)
    body = {"topic": "t", "data": text(b"21.5")}
    message = (await ask.done("POST", "messages/protect", body, 200))["protected"]
    assert len(base64.b64decode(message)) == 4 + 24
    opened = await ask.done("POST", "messages/unprotect", {"topic": "t", "protected": message}, 200)
    assert base64.b64decode(opened["data"]) == b"21.5"
    changed = text(base64.b64decode(message)[:-1] + b"\0")
    await ask.refused("NotAuthentic", 400, "POST", "messages/unprotect", {"topic": "t", "protected": changed})
    await ask.refused("NotFound", 404, "POST", "messages/protect", body | {"topic": "none"})
    await ask.refused("InvalidRequest", 400, "POST", "messages/protect", body | {"data": ""})
    said = await ask.refused("InvalidRequest", 400, "POST", "messages/protect", body | {"data": "sécret"})
    assert said == "data: must be base64"
