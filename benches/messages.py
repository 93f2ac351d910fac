"""The cases of application messages: protect and unprotect, one and many, in both modes."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

import e4
from benches import composed
from benches.suite import Case, Implementation, Subject
from e4 import commands, crypto

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BATCH", "CASES", "PROTECT", "SIZES"]

SIZES = (16, 64, 256, 1024, 16384, 65536)
BATCH = 256

# Fixed, so that every run does the same work.
_TOPIC = "greenhouse/1/temperature"
_TOPIC_KEY = bytes(range(1, 33))
_CLIENT_KEY = bytes(range(33, 65))
_SEED = bytes(range(65, 97))
_C2_KEY = bytes(range(97, 129))


@dataclass(frozen=True)
class _Mode:
    """SK or PK: a client that has the topic's key and reads its own messages, and the same by hand."""

    name: str
    client: Callable[[str | None], e4.Client]
    by_hand: Callable[[], Any]
    protect: Callable[[Any, Any], Any]
    unprotect: Callable[[Any, Any], Any]
    protect_many: Callable[[Any, Any], Any]
    unprotect_many: Callable[[Any, Any], Any]

    def cases(self, batch_sizes: tuple[int, ...]) -> list[Case]:
        return [
            Case(f"protect_message, {self.name}", SIZES, self._protect),
            Case(f"unprotect, {self.name}", SIZES, self._unprotect),
            Case(
                f"protect_messages of {BATCH}, {self.name}",
                batch_sizes,
                self._protect_many,
                units_per_call=BATCH,
            ),
            Case(
                f"unprotect_messages of {BATCH}, {self.name}",
                batch_sizes,
                self._unprotect_many,
                units_per_call=BATCH,
            ),
        ]

    def _protect(self, implementation: Implementation, size: int) -> Subject:
        payload, key = _payload(size), self.by_hand()
        if implementation == "composed":
            return Subject(self.protect, _opens(self.client(None).unprotect, _TOPIC, payload), (payload, key))
        call = self.client(implementation).protect_message
        return Subject(call, _opens(self.unprotect, key, payload), (payload, _TOPIC))

    def _unprotect(self, implementation: Implementation, size: int) -> Subject:
        payload, key = _payload(size), self.by_hand()
        message = self.protect(payload, key)
        if implementation == "composed":
            return Subject(self.unprotect, _equals(payload), (message, key))
        return Subject(self.client(implementation).unprotect, _equals(payload), (message, _TOPIC))

    def _protect_many(self, implementation: Implementation, size: int) -> Subject:
        payloads, key = _payloads(size), self.by_hand()
        if implementation == "composed":
            check = _opens(self.client(None).unprotect_messages, _TOPIC, payloads)
            return Subject(self.protect_many, check, (payloads, key))
        call = self.client(implementation).protect_messages
        return Subject(call, _opens(self.unprotect_many, key, payloads), (payloads, _TOPIC))

    def _unprotect_many(self, implementation: Implementation, size: int) -> Subject:
        payloads, key = _payloads(size), self.by_hand()
        messages = self.protect_many(payloads, key)
        if implementation == "composed":
            return Subject(self.unprotect_many, _equals(payloads), (messages, key))
        return Subject(self.client(implementation).unprotect_messages, _equals(payloads), (messages, _TOPIC))


def _sym_client(backend: str | None) -> e4.Client:
    config = e4.SymIdAndKey(crypto.hash_id_alias("bench"), _CLIENT_KEY)
    client = e4.Client.create(config, e4.MemoryStore(), backend=backend)
    _send(client, commands.set_topic_key(_TOPIC_KEY, _TOPIC), _CLIENT_KEY)
    return client


def _pub_client(backend: str | None) -> e4.Client:
    config = e4.PubIdAndKey(
        crypto.hash_id_alias("bench"), _private_key(), crypto.curve25519_public_key(_C2_KEY)
    )
    client = e4.Client.create(config, e4.MemoryStore(), backend=backend)
    public_key = config.public_key()
    key = crypto.c2_shared_key(_C2_KEY, crypto.public_ed25519_key_to_curve25519(public_key))
    _send(client, commands.set_topic_key(_TOPIC_KEY, _TOPIC), key)
    _send(client, commands.set_pub_key(public_key, "bench"), key)
    return client


def _send(client: e4.Client, command: commands.Command, key: bytes) -> None:
    assert client.unprotect(crypto.protect_sym_key(command.encode(), key), client.receiving_topic) is None


def _private_key() -> bytes:
    return crypto.ed25519_private_key_from_seed(_SEED)


def _payload(size: int) -> bytes:
    return Random(size).randbytes(size)


def _payloads(size: int) -> list[bytes]:
    random = Random(size)
    return [random.randbytes(size) for _ in range(BATCH)]


def _equals(expected: object) -> Callable[[object], None]:
    def check(result: object) -> None:
        assert result == expected

    return check


def _opens(opener: Callable[[Any, Any], object], key: object, payload: object) -> Callable[[Any], None]:
    """What one implementation has protected, another opens."""

    def check(message: Any) -> None:
        assert opener(message, key) == payload

    return check


_SYM = _Mode(
    "SK",
    _sym_client,
    lambda: composed.aead(_TOPIC_KEY),
    composed.protect,
    composed.unprotect,
    composed.protect_many,
    composed.unprotect_many,
)
_PUB = _Mode(
    "PK",
    _pub_client,
    lambda: composed.Signed.make(_TOPIC_KEY, crypto.hash_id_alias("bench"), _private_key()),
    composed.protect_signed,
    composed.unprotect_signed,
    composed.protect_signed_many,
    composed.unprotect_signed_many,
)

# In PK mode the signatures of 256 long messages take long, and say no more than those of one.
CASES: list[Case] = [*_SYM.cases(SIZES), *_PUB.cases(SIZES[:4])]
PROTECT = CASES[0]
