"""A service that notes what it is asked and answers as it is told, and one HTTP request without a server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from e4.c2.model import ANYBODY, Actor, Call, Event, EventKind, Role
from e4.errors import PermissionDenied, TooManyAttempts, Unauthenticated

VIEWER = Actor("watcher", Role.VIEWER, protect=False, token=7)


# What operations answer when there is nothing.
ANSWERS: dict[str, Any] = {
    "clients.get_clients": [],
    "keys.get_crypto_mode": "symkey",
    "links.count_linked_clients": 0,
    "links.get_linked_clients": [],
    "members.count_clients_for_topic": 0,
    "members.count_topics_for_client": 0,
    "members.get_clients_for_topic": [],
    "members.get_topics_for_client": [],
    "messages.protect_message": b"",
    "messages.unprotect_message": b"",
    "topics.count_topics": 0,
    "topics.get_topics": [],
}


class _Group:
    def __init__(self, service: FakeService, name: str) -> None:
        self._service, self._name = service, name

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def run(call: Call, *arguments: Any) -> Any:
            return self._service.run(f"{self._name}.{operation}", call, arguments)

        return run


@dataclass
class FakeService:
    """``service.clients.new_client(call, …)`` and the like: noted in `asked`, answered from `answers`.

    An answer that is an exception is raised, one that can be called is called with the arguments.
    """

    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def __getattr__(self, group: str) -> Any:
        if group.startswith("_"):
            raise AttributeError(group)
        return _Group(self, group)

    def run(self, name: str, call: Call, arguments: tuple[Any, ...]) -> Any:
        assert isinstance(call, Call)
        self.asked.append((name, arguments))
        self.calls.append(call)
        answer = self.answers.get(name)
        if isinstance(answer, BaseException):
            raise answer
        return answer(*arguments) if callable(answer) else answer


class FakeAuthenticator:
    """Knows the token ``good`` (a viewer's); with `required` off lets everybody do everything."""

    def __init__(self, *, required: bool = False) -> None:
        self.required = required
        self.good = "good"
        self.peers: list[str] = []

    def actor_of(self, token: str | None, peer: str, request_id: str = "") -> Actor:
        self.peers.append(peer)
        if not self.required:
            return ANYBODY
        if token == "often":
            raise TooManyAttempts
        if token == "weak":
            raise PermissionDenied
        if token != self.good:
            raise Unauthenticated
        return VIEWER


class FakeMetrics:
    def __init__(self) -> None:
        self.requests: list[tuple[str, str, str]] = []

    def request(self, api: str, operation: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.requests.append((api, operation, outcome))

    def render(self) -> tuple[bytes, str]:
        return b"requests 1\n", "text/plain; version=0.0.4"


class FakeHealth:
    def __init__(self) -> None:
        self.good = True

    def alive(self) -> dict[str, Any]:
        return {"status": "alive"}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        return self.good, {"status": "ready" if self.good else "not ready"}


class FakeEvents:
    """Events, for a `FakeService`."""

    def __init__(self, service: FakeService) -> None:
        self._lock = threading.Lock()
        self._events: list[Event] = []
        service.answers["events.last_event"] = lambda: len(self._events)
        service.answers["events.read_events"] = self._read

    def add(self, kind: EventKind, source: str = "pump", target: str = "plant/boiler") -> None:
        with self._lock:
            self._events.append(Event(len(self._events) + 1, kind, source, target, 1_700_000_000_123))

    def _read(self, after: int, limit: int) -> list[Event]:
        return self._events[after : after + limit]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    app: Any,
    method: str,
    path: str | bytes,
    body: bytes | list[bytes] = b"",
    *,
    query: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request. The path is as on the wire."""
    raw = path.encode() if isinstance(path, str) else path
    chunks = [body] if isinstance(body, bytes) else list(body)
    status, sent_headers, sent = 0, {}, bytearray()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": raw.decode("latin-1"),
        "raw_path": raw,
        "query_string": query,
        "root_path": "",
        "headers": [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()],
        "client": ("192.0.2.7", 50000),
        "server": ("127.0.0.1", 8888),
        "state": {},
    }

    async def receive() -> dict[str, Any]:
        chunk = chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

    async def send(message: Mapping[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            sent_headers.update({k.decode(): v.decode() for k, v in message["headers"]})
        else:
            sent.extend(message.get("body", b""))

    await app(scope, receive, send)
    return Answer(status, sent_headers, bytes(sent))
