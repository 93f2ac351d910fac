"""How each value of `e4.c2.model` looks as a row of a list. Knows no command."""

from __future__ import annotations

import time
from collections.abc import Callable

from e4.c2 import jsonform
from e4.c2.model import AuditRow, Client, Command, Event, Job, KeyInfo, Token, Topic
from e4.cli.c2._show import time_of

__all__ = ["AUDIT", "CLIENTS", "COMMANDS", "EVENTS", "JOBS", "TOKENS", "TOPICS", "age_of", "key_text"]

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))

CLIENTS: dict[str, Callable[[Client], object]] = {
    "name": lambda client: client.name,
    "id": lambda client: client.id.hex(),
    "key": lambda client: client.key_version,
    "created": lambda client: time_of(client.created_at),
}
TOPICS: dict[str, Callable[[Topic], object]] = {
    "topic": lambda topic: topic.name,
    "key": lambda topic: topic.version,
    "rotated": lambda topic: time_of(topic.rotated_at),
    "created": lambda topic: time_of(topic.created_at),
}
COMMANDS: dict[str, Callable[[Command], object]] = {
    "id": lambda command: command.id,
    "client": lambda command: command.client,
    "command": lambda command: jsonform.kind_name(command.kind),
    "about": lambda command: command.subject or "-",
    "state": lambda command: command.state.value,
    "attempts": lambda command: command.attempts,
    "queued": lambda command: time_of(command.created_at),
    "sent": lambda command: time_of(command.sent_at),
    "error": lambda command: command.error or "-",
}
JOBS: dict[str, Callable[[Job], object]] = {
    "id": lambda job: job.id,
    "job": lambda job: job.kind.value,
    "about": lambda job: job.subject or "-",
    "state": lambda job: job.state.value,
    "done": lambda job: job.done,
    "of": lambda job: job.total,
    "started": lambda job: time_of(job.created_at),
    "finished": lambda job: time_of(job.finished_at),
}
EVENTS: dict[str, Callable[[Event], object]] = {
    "number": lambda event: event.number,
    "time": lambda event: time_of(event.at),
    "event": lambda event: event.kind.value,
    "source": lambda event: event.source or "-",
    "target": lambda event: event.target or "-",
}
AUDIT: dict[str, Callable[[AuditRow], object]] = {
    "number": lambda row: row.number,
    "time": lambda row: time_of(row.at),
    "who": lambda row: row.actor,
    "from": lambda row: row.peer or "-",
    "operation": lambda row: row.operation,
    "about": lambda row: row.subject or "-",
    "outcome": lambda row: row.outcome,
    "request": lambda row: row.request_id,
}
TOKENS: dict[str, Callable[[Token], object]] = {
    "id": lambda token: token.id,
    "name": lambda token: token.name,
    "role": lambda token: token.role.value,
    "protect": lambda token: "yes" if token.protect else "no",
    "created": lambda token: time_of(token.created_at),
    "expires": lambda token: time_of(token.expires_at),
    "revoked": lambda token: time_of(token.revoked_at),
}


def age_of(at: int) -> str:
    """How long ago a time in milliseconds since the epoch was, roughly: ``3 h``."""
    seconds = max(0, int(time.time() - at / 1000))
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return "0 s"


def key_text(key: KeyInfo) -> str:
    """A key without the key: version, state and age."""
    return f"version {key.version}, {key.state.value}, {age_of(key.created_at)} old"
