"""Who may do what, over the resource API."""

from __future__ import annotations

from typing import Any

import pytest

from e4.c2.model import Role
from tests._keyserver import Keyserver
from tests.unit.c2.api.v1._ask import PROBLEM, Ask, at, text

READS = [
    "info",
    "clients",
    "clients/a",
    "topics",
    "topics/t",
    "commands",
    "jobs",
    "events",
    "export",
    "clients/a/links",
]
CHANGES: list[tuple[str, str, Any]] = [
    ("POST", "clients", {"name": "b", "key": text(b"k" * 32)}),
    ("PUT", "clients/b", {"key": text(b"k" * 32)}),
    ("DELETE", "clients/a", None),
    *(("POST", f"clients/a/{action}", None) for action in ("reset", "resync", "new-key", "confirm-key")),
    ("POST", "topics", {"name": "u"}),
    ("DELETE", "topics/t", None),
    ("PUT", "clients/a/topics/t", None),
    ("PUT", "clients/a/links/a", None),
    ("POST", "batch/reset", {"clients": ["a"]}),
    ("POST", "commands/retry", None),
]
ADMINISTRATION: list[tuple[str, str, Any]] = [
    ("GET", "audit", None),
    ("GET", "audit/verify", None),
    ("GET", "tokens", None),
    ("POST", "tokens", {"name": "x", "role": "viewer"}),
    ("DELETE", "tokens/1", None),
    ("POST", "c2-key", {"force": True}),
]


@pytest.fixture(autouse=True)
def _some(guarded: Keyserver) -> None:
    guarded.add_clients("a")
    guarded.service.topics.new_topic(guarded.call, "t")


async def test_without_credentials_nothing(knock: Ask) -> None:
    for verb, path, body in [*(("GET", path, None) for path in READS), *CHANGES, *ADMINISTRATION]:
        answer = await knock(verb, path, body)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == PROBLEM
        assert answer.headers["www-authenticate"].startswith("Bearer")
    await knock.refused("Unauthenticated", 401, "GET", "info", token="wrong")
    await knock.refused("Unauthenticated", 401, "GET", "info", headers={"authorization": "Basic YTpi"})
    # Nothing is told to strangers: not even which paths there are, or what is wrong with a body.
    await knock.refused("Unauthenticated", 401, "GET", "nothing")
    await knock.refused("Unauthenticated", 401, "POST", "clients", content=b"{")


async def test_the_description_needs_no_credentials(knock: Ask) -> None:
    answer = await knock.http.get("openapi.json")
    assert answer.status_code == 200
    assert answer.json()["security"] == [{"bearer": []}]


async def test_too_many_wrong_ones(knock: Ask) -> None:
    for _ in range(10):
        await knock.refused("Unauthenticated", 401, "GET", "info", token="wrong")
    await knock.refused("TooManyAttempts", 429, "GET", "info", token="wrong")


async def test_roles(knock: Ask, guarded: Keyserver) -> None:
    viewer, operator = (guarded.token(role, protect=False) for role in (Role.VIEWER, Role.OPERATOR))
    for path in READS:
        assert (await knock("GET", path, token=viewer)).status_code == 200
    for verb, path, body in [*CHANGES, *ADMINISTRATION]:
        await knock.refused("PermissionDenied", 403, verb, path, body, token=viewer)
    for verb, path, body in ADMINISTRATION:
        await knock.refused("PermissionDenied", 403, verb, path, body, token=operator)
    for verb, path, body in CHANGES:
        assert (await knock(verb, path, body, token=operator)).status_code != 403
    for path in ("import/clients", "import/memberships"):
        headers = {"content-type": "text/csv"}
        await knock.refused(
            "PermissionDenied", 403, "POST", path, content=b"x", token=viewer, headers=headers
        )


async def test_protecting_is_a_right_of_its_own(knock: Ask, guarded: Keyserver) -> None:
    body = {"topic": "t", "data": text(b"data")}
    admin = guarded.token(Role.ADMIN, protect=False)
    await knock.refused("PermissionDenied", 403, "POST", "messages/protect", body, token=admin)
    allowed = guarded.token(Role.VIEWER, protect=True)
    assert (await knock("POST", "messages/protect", body, token=allowed)).status_code == 200


async def test_a_revoked_token_ends_at_once(knock: Ask, guarded: Keyserver) -> None:
    secret = guarded.token(name="short")
    tokens = (await knock("GET", "tokens", token=secret)).json()["items"]
    id = next(token["id"] for token in tokens if token["name"] == "short")
    assert (await knock("DELETE", f"tokens/{id}", token=secret)).status_code == 204
    await knock.refused("Unauthenticated", 401, "GET", "info", token=secret)


async def test_the_audit_names_the_token(knock: Ask, guarded: Keyserver) -> None:
    secret = guarded.token(name="ops")
    await knock("POST", "topics", {"name": "u"}, token=secret)
    newest = (await knock("GET", f"audit?{at('limit')}=1", token=secret)).json()["items"][0]
    assert (newest["actor"], newest["subject"]) == ("ops", "u")
    assert secret not in str(newest)
