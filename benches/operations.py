"""The cases of what is rarer than messages: commands, a client's state, keys from passwords."""

from __future__ import annotations

import base64
import json
import time
from functools import cache
from itertools import count, cycle
from typing import Any

import e4
from benches import composed
from benches.suite import Case, Implementation, Subject
from e4 import backend, commands, crypto

__all__ = ["CASES"]

_TOPICS = (10, 100, 1000)  # that a client has
_PASSWORD = "a password of the benches"
# Fixed, so that every run does the same work.
_TOPIC_KEYS = bytes(range(1, 33)), bytes(range(2, 34))
_CLIENT_KEY = bytes(range(33, 65))


def _make_command(implementation: Implementation, size: int) -> Subject:
    key = _TOPIC_KEYS[0]
    if implementation == "composed":
        return Subject(composed.set_topic_key, _checks_command, (key, _topic(0), _CLIENT_KEY))

    def make(topic_key: bytes, topic: str) -> bytes:
        return crypto.protect_sym_key(commands.set_topic_key(topic_key, topic).encode(), _CLIENT_KEY)

    return Subject(make, _checks_command, (key, _topic(0)))


def _checks_command(message: bytes) -> None:
    command = commands.parse(crypto.unprotect_sym_key(message, _CLIENT_KEY))
    assert command == commands.SetTopicKey(_TOPIC_KEYS[0], crypto.hash_topic(_topic(0)))


def _apply_command(implementation: Implementation, size: int) -> Subject:
    """Two keys in turn for one topic, so that each command is a key transition and is saved."""
    # No command may come twice: each has a later second, which the client's limits let pass.
    store = e4.MemoryStore()
    store.write(_state(size))
    client = e4.Client.load(store, limits=e4.Limits(max_ahead=1 << 40), backend=implementation)
    seal = backend.get("native" if implementation == "composed" else implementation).SymKey(_CLIENT_KEY)
    seconds, keys = count(int(time.time())), cycle(_TOPIC_KEYS)

    def fresh() -> tuple[Any, ...]:
        command = commands.set_topic_key(next(keys), _topic(0)).encode()
        return seal.protect(command, next(seconds)), client.receiving_topic

    def check(result: object) -> None:
        assert result is None
        assert client.has_topic_key(_topic(0))

    return Subject(client.unprotect, check, fresh=fresh)


def _load(implementation: Implementation, size: int) -> Subject:
    store = e4.MemoryStore()
    store.write(_state(size))

    def load() -> e4.Client:
        return e4.Client.load(store, backend=implementation)

    def check(client: e4.Client) -> None:
        assert client.id == crypto.hash_id_alias("bench")
        assert client.has_topic_key(_topic(size - 1))

    return Subject(load, check)


def _derive(implementation: Implementation, size: int) -> Subject:
    def derive() -> bytes:
        return crypto.derive_sym_key(_PASSWORD, backend=implementation)

    def check(key: bytes) -> None:
        assert key == crypto.derive_sym_key(_PASSWORD, backend="native")

    return Subject(derive, check)


@cache
def _state(topics: int) -> bytes:
    """The saved state of a client in SK mode with so many topics (protocol, section 5)."""
    store = e4.MemoryStore()
    e4.Client.create(e4.SymIdAndKey(crypto.hash_id_alias("bench"), _CLIENT_KEY), store).close()
    state = json.loads(store.read() or b"")
    key = base64.b64encode(_TOPIC_KEYS[0]).decode()
    state["TopicKeys"] = {crypto.hash_topic(_topic(i)).hex(): key for i in range(topics)}
    return json.dumps(state).encode()


def _topic(number: int) -> str:
    return f"greenhouse/{number}/temperature"


_E4: tuple[Implementation, ...] = ("native", "reference")

CASES: list[Case] = [
    Case("make and protect SetTopicKey", (0,), _make_command, unit=""),
    Case("apply SetTopicKey", _TOPICS, _apply_command, unit="topics", implementations=_E4),
    Case("Client.load", _TOPICS, _load, unit="topics", implementations=_E4),
    Case("derive_sym_key", (0,), _derive, unit="", implementations=_E4, slow=("reference",)),
]
