"""Asks the resource API without a network, and holds every answer against its OpenAPI description."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
import jsonschema_rs

from tests._keyserver import Keyserver

PROBLEM = "application/problem+json"


_description: dict[str, Any] = {}


def text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def at(*parts: str) -> str:
    """A path of names, each one segment."""
    return "/".join(quote(part, safe="") for part in parts)


class Ask:
    """``await ask("GET", "clients")``: the answer, whose status and body are among those described."""

    def __init__(self, server: Keyserver, token: str | None = None) -> None:
        self.server = server
        self._token = token
        transport = httpx.ASGITransport(server.app, raise_app_exceptions=False, client=("192.0.2.7", 50000))
        self.http = httpx.AsyncClient(transport=transport, base_url="https://c2.test/api/v1/")

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        content: Any = None,
        **query: Any,
    ) -> httpx.Response:
        sent = dict(headers or {})
        if token or self._token:
            sent["authorization"] = f"Bearer {token or self._token}"
        options: dict[str, Any] = {"content": content} if body is None else {"json": body}
        answer = await self.http.request(method, path, headers=sent, params=query or None, **options)
        await self._check(answer)
        return answer

    async def get(self, path: str, **query: Any) -> Any:
        """The JSON of an answer with status 200."""
        answer = await self("GET", path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def done(self, method: str, path: str, body: Any = None, status: int = 204) -> Any:
        """A change that succeeds; the JSON of its answer, if it has one."""
        answer = await self(method, path, body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def refused(self, code: str, status: int, *arguments: Any, **options: Any) -> str:
        """A request that is refused with that error; what it says."""
        answer = await self(*arguments, **options)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (status, code), answer.text
        return str(problem["detail"])

    async def description(self) -> dict[str, Any]:
        if not _description:  # the same for all, and long
            _description.update((await self.http.get("openapi.json")).json())
        return _description

    async def _check(self, answer: httpx.Response) -> None:
        assert answer.headers["x-request-id"]
        description = await self.description()
        path = answer.request.url.raw_path.decode().partition("?")[0].removeprefix("/api/v1")
        method = answer.request.method.lower()
        operations = [
            item[method]
            for template, item in sorted(description["paths"].items())
            if method in item and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
        ]
        if not operations or answer.status_code == 405:
            assert answer.status_code in (401, 404, 405), answer.text
            return
        exact = next(
            (o for t, i in description["paths"].items() if t == path for o in [i.get(method)] if o), None
        )
        described = (exact or operations[0])["responses"].get(str(answer.status_code))
        assert described is not None, f"{method} {path}: status {answer.status_code} is not described"
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        if "content" not in described:
            assert not answer.content
            return
        schema = described["content"][media_type]["schema"]
        if media_type in ("application/json", PROBLEM):
            whole = {**schema, "components": description["components"]}
            jsonschema_rs.validator_for(whole).validate(json.loads(answer.content))
