"""Clients, topics and the rest, as a server would tell of them."""

from __future__ import annotations

import json
from typing import Any

from e4 import crypto
from e4.c2.model import (
    Client,
    ClientDetails,
    Command,
    CommandKind,
    CommandState,
    Job,
    JobKind,
    JobState,
    KeyInfo,
    KeyState,
    Topic,
)
from tests.unit.cli._run import Result, Run

URL = "https://127.0.0.1:8888"
AT = 1_790_000_000_125  # milliseconds
AT_TEXT = "2026-09-21T14:13:20.125Z"


class Asked:
    """The fixture ``ask``: call it with the arguments of ``e4 c2``."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __call__(self, *arguments: object) -> Result:
        return self._run("c2", *arguments)

    def ok(self, *arguments: object) -> str:
        """What it prints, when it succeeds and prints nothing on stderr."""
        result = self(*arguments)
        assert (result.code, result.err) == (0, "")
        return result.out

    def json(self, *arguments: object) -> Any:
        """The JSON document it prints."""
        out = self.ok(*arguments, "--json")
        assert out.count("\n") == 1
        return json.loads(out)

    def lines(self, *arguments: object) -> list[Any]:
        """The lines of JSON it prints."""
        return [json.loads(line) for line in self.ok(*arguments, "--json").splitlines()]


def client(name: str = "alice", **members: Any) -> Client:
    known = {
        "row": 0,
        "id": crypto.hash_id_alias(name),
        "name": name,
        "by_id": False,
        "key_version": 1,
        "c2_key_version": 0,
        "created_at": AT,
    }
    return Client(**known | members)


def topic(name: str = "room", version: int = 1) -> Topic:
    return Topic(0, name, crypto.hash_topic(name), version, AT, AT)


def command(id: int = 1, **members: Any) -> Command:
    known = {
        "id": id,
        "client": "alice",
        "kind": CommandKind.SET_TOPIC_KEY,
        "subject": "room",
        "state": CommandState.SENT,
        "attempts": 0,
        "error": "",
        "created_at": AT,
        "sent_at": AT,
        "timestamp": AT // 1000,
        "job": None,
    }
    return Command(**known | members)


def job(done: int, total: int = 10, state: JobState = JobState.RUNNING) -> Job:
    ended = None if state is JobState.RUNNING else AT
    return Job(7, JobKind.TOPIC_KEY, "room", state, total, total, done, AT, ended)


def client_details(name: str = "alice", **members: Any) -> ClientDetails:
    keys = (KeyInfo(1, KeyState.PREVIOUS, AT), KeyInfo(2, KeyState.CURRENT, AT))
    known = {
        "client": client(name, key_version=2),
        "keys": keys,
        "topics": 0,
        "links": 0,
        "queued": 0,
        "last_commands": (),
    }
    return ClientDetails(**known | members)
