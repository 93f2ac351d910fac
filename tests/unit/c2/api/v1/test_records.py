"""Commands, jobs, the audit, tokens and the server's own description over the resource API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from e4.c2.model import Mode
from tests._keyserver import Keyserver
from tests.unit.c2.api.v1._ask import Ask


async def test_info(ask: Ask, server: Keyserver, mode: Mode) -> None:
    server.add_clients("a", "b")
    info = await ask.get("info")
    assert (info["mode"], info["clients"], info["topics"]) == (mode, 2, 0)


async def test_a_commands_way(ask: Ask, server: Keyserver) -> None:
    server.add_clients("a", "b")
    await ask.done("POST", "batch/reset", {"clients": ["a", "b"]})
    queued = (await ask.get("commands"))["items"]
    assert [(c["client"], c["kind"], c["state"]) for c in queued] == [
        ("b", "reset-topics", "queued"),
        ("a", "reset-topics", "queued"),
    ]
    server.deliver(failure="not authorized")
    failed = (await ask.get("commands", state="failed", client="a"))["items"][0]
    assert (failed["attempts"], failed["error"], failed["sent_at"]) == (1, "not authorized", None)
    assert await ask.done("POST", "commands/retry", status=200) == {"count": 2}
    server.deliver()
    sent = await ask.get(f"commands/{failed['id']}")
    assert sent["state"] == "sent"
    assert datetime.fromisoformat(sent["sent_at"])
    assert abs(sent["timestamp"] - datetime.now(UTC).timestamp()) < 60
    assert (await ask.get("commands", state="queued"))["items"] == []
    await ask.refused("NotFound", 404, "GET", "commands/999")
    await ask.refused("InvalidRequest", 400, "GET", "commands?state=lost")
    for number in ("0", str(1 << 63), "1" * 400):
        await ask.refused("InvalidRequest", 400, "GET", f"commands/{number}")
    for number in ("-1", "x", "1.0"):
        await ask.refused("NotFound", 404, "GET", f"commands/{number}")
    await ask.refused("MethodNotAllowed", 405, "GET", "commands/retry")


async def test_jobs(ask: Ask, server: Keyserver) -> None:
    server.add_clients("a", "b")
    await ask.done("POST", "topics", {"name": "t"}, 201)
    await ask.done("PUT", "clients/a/topics/t")
    job = (await ask.done("POST", "topics", {"name": "t"}, 200))["job"]
    assert (await ask.get("jobs"))["items"] == [job]
    assert (await ask.get("jobs", state="running"))["items"] == [job]
    server.deliver()
    server.service.run_jobs_once()
    done = await ask.get(f"jobs/{job['id']}")
    assert (done["state"], done["done"], done["total"]) == ("done", 1, 1)
    assert done["finished_at"] >= done["created_at"]
    commands = (await ask.get("commands", job=job["id"]))["items"]
    assert [(c["client"], c["job"]) for c in commands] == [("a", job["id"])]
    await ask.refused("NotFound", 404, "GET", "jobs/999")


async def test_the_audit_has_changes_and_refusals(ask: Ask) -> None:
    await ask.done("POST", "topics", {"name": "t"}, 201)
    await ask.refused("NotFound", 404, "DELETE", "topics/none", headers={"x-request-id": "mine"})
    newest, *older = (await ask.get("audit"))["items"]
    assert (newest["operation"], newest["subject"], newest["outcome"]) == ("remove_topic", "none", "NotFound")
    assert (newest["request_id"], newest["peer"], newest["actor"]) == ("mine", "192.0.2.7", "anybody")
    assert (older[0]["operation"], older[0]["outcome"]) == ("new_topic", "done")
    check = await ask.get("audit/verify")
    assert check == {"rows": 2, "broken": None, "head": newest["hash"]}


async def test_tokens(ask: Ask) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="milliseconds")
    body = {"name": "dashboard", "role": "viewer", "expires_at": soon}
    made = await ask.done("POST", "tokens", body, 201)
    assert made["secret"].startswith("e4_")
    token = made["token"]
    assert (token["role"], token["protect"], token["revoked_at"]) == ("viewer", False, None)
    assert datetime.fromisoformat(token["expires_at"]) == datetime.fromisoformat(soon)
    assert (await ask.get("tokens"))["items"] == [token]
    await ask.refused("Conflict", 409, "POST", "tokens", body)
    await ask.done("DELETE", f"tokens/{token['id']}")
    assert (await ask.get("tokens"))["items"][0]["revoked_at"]
    await ask.refused("NotFound", 404, "DELETE", "tokens/999")
    for wrong in (
        {"role": "king"},
        {"expires_at": "tomorrow"},
        {"expires_at": "2027-01-01T00:00:00"},
        {"expires_at": 5},
        {"protect": "yes"},
        {"name": ""},
    ):
        await ask.refused("InvalidRequest", 400, "POST", "tokens", body | {"name": "other"} | wrong)
