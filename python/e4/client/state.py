"""A client's state as an immutable value, and its JSON form (protocol, section 5).

The JSON is that of deployed Go clients, with one member of ours, ``Replay``, which they ignore::

    {"ID": base64(16), "TopicKeys": {hex topic hash: base64(32), hex(SHA3-256(topic hash)[0:16]):
     base64(key(32) ‖ ts(8))}, "Key": {"keyType": 0 | 1, "keyData": {…}}, "ReceivingTopic": str,
     "Replay": {"Version": 1, "Timestamp": int, "SIVs": [hex(16)]}}

Lives here: what a state is, and how each command's effect on topic keys looks. Does no I/O.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from e4 import _wire
from e4._names import encode_topic
from e4.backend import get
from e4.client.material import Material, PubMaterial, SymMaterial, sym_key
from e4.errors import E4Error, InvalidState, ReplayedCommand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from e4._names import Limits

__all__ = ["Replay", "State", "TopicKeys", "decode", "encode"]

T = TypeVar("T")

_VERSION = 1
_SYM_TYPE = 0
_PUB_TYPE = 1
_PREVIOUS_LEN = _wire.KEY_LEN + _wire.TIMESTAMP_LEN


@dataclass(frozen=True, slots=True)
class TopicKeys:
    """A topic's current key, and during a transition the key before it with the time it was replaced."""

    key: bytes = field(repr=False)
    previous: bytes | None = field(default=None, repr=False)
    previous_since: int = 0

    def changed(self, key: bytes, now: int) -> TopicKeys:
        """The keys after SetTopicKey: the same key again changes nothing (section 4, key transition)."""
        if hmac.compare_digest(key, self.key):
            return self
        return TopicKeys(key, self.key, now)

    def expiry(self, limits: Limits) -> int | None:
        """The last second in which the previous key is still used."""
        return None if self.previous is None else self.previous_since + limits.max_previous_age


@dataclass(frozen=True, slots=True)
class Replay:
    """The timestamp of the last command applied, and the SIVs of those applied with that timestamp."""

    timestamp: int = 0
    sivs: frozenset[bytes] = frozenset()

    def after(self, command: bytes) -> Replay:
        """The replay state after this protected command.

        Raises:
            ReplayedCommand: it is older, or is one that was applied.
        """
        timestamp = int.from_bytes(command[: _wire.TIMESTAMP_LEN], "little")
        siv = command[_wire.SYM_SIV : _wire.SYM_CIPHERTEXT]
        if timestamp < self.timestamp or (timestamp == self.timestamp and siv in self.sivs):
            raise ReplayedCommand
        known = self.sivs if timestamp == self.timestamp else frozenset()
        return Replay(timestamp, known | {siv})


@dataclass(frozen=True, slots=True, repr=False)
class State:
    """All that a client is: what is saved, and replaced as a whole by each command."""

    id: bytes
    receiving_topic: str
    material: Material
    topic_keys: Mapping[bytes, TopicKeys] = field(default_factory=dict)
    replay: Replay = Replay()

    def with_topic_key(self, topic_hash: bytes, key: bytes, now: int) -> State:
        """SetTopicKey."""
        old = self.topic_keys.get(topic_hash)
        new = TopicKeys(key) if old is None else old.changed(key, now)
        return replace(self, topic_keys={**self.topic_keys, topic_hash: new})

    def without_topic(self, topic_hash: bytes) -> State:
        """RemoveTopic."""
        return replace(self, topic_keys={h: k for h, k in self.topic_keys.items() if h != topic_hash})

    def without_expired(self, now: int, limits: Limits) -> State:
        """The state without previous keys that are past their time; itself where there are none."""
        expired = {
            h: TopicKeys(keys.key)
            for h, keys in self.topic_keys.items()
            if (expiry := keys.expiry(limits)) is not None and now > expiry
        }
        return replace(self, topic_keys={**self.topic_keys, **expired}) if expired else self


def encode(state: State, backend: str | None = None) -> bytes:
    """The JSON form, one line of UTF-8."""
    topic_keys: dict[str, str] = {}
    for topic_hash, keys in state.topic_keys.items():
        topic_keys[topic_hash.hex()] = _b64(keys.key)
        if keys.previous is not None:
            since = keys.previous_since.to_bytes(_wire.TIMESTAMP_LEN, "little")
            topic_keys[_previous_name(topic_hash, backend)] = _b64(keys.previous + since)
    material = state.material
    key: dict[str, Any]
    if isinstance(material, SymMaterial):
        key = {"keyType": _SYM_TYPE, "keyData": {"Key": _b64(material.key)}}
    else:
        key = {
            "keyType": _PUB_TYPE,
            "keyData": {
                "PrivateKey": _b64(material.private_key),
                "SignerID": _b64(material.id),
                "C2PubKey": _b64(material.c2_public_key),
                "PubKeys": {i.hex(): _b64(k) for i, k in material.public_keys.items()},
            },
        }
    document = {
        "ID": _b64(state.id),
        "TopicKeys": topic_keys,
        "Key": key,
        "ReceivingTopic": state.receiving_topic,
        "Replay": {
            "Version": _VERSION,
            "Timestamp": state.replay.timestamp,
            "SIVs": sorted(siv.hex() for siv in state.replay.sivs),
        },
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def decode(data: bytes, limits: Limits, backend: str | None = None) -> State:
    """The state that this JSON holds, validated whole.

    Raises:
        InvalidState: names the member that is not as section 5 has it.
    """
    try:
        root = json.loads(data, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise InvalidState("the stored state is not a JSON object with each member once") from None
    document = _object(root, "the state")
    id = _bytes(_member(document, "ID", "ID"), _wire.ID_LEN, "ID")
    receiving_topic = _member(document, "ReceivingTopic", "ReceivingTopic")
    if not isinstance(receiving_topic, str):
        raise InvalidState("ReceivingTopic: not a string")
    _checked("ReceivingTopic", encode_topic, receiving_topic)
    return State(
        id,
        receiving_topic,
        _material(_object(_member(document, "Key", "Key"), "Key"), id, limits, backend),
        _topic_keys(_nullable_object(document, "TopicKeys", "TopicKeys"), limits, backend),
        _replay(document),
    )


def _material(key: dict[str, Any], id: bytes, limits: Limits, backend: str | None) -> Material:
    where = "Key.keyData"
    data = _object(_member(key, "keyData", where), where)
    key_type = _member(key, "keyType", "Key.keyType")
    if type(key_type) is not int or key_type not in (_SYM_TYPE, _PUB_TYPE):
        raise InvalidState("Key.keyType: neither 0 (symmetric) nor 1 (public key)")
    if key_type == _SYM_TYPE:
        raw = _bytes(_member(data, "Key", f"{where}.Key"), _wire.KEY_LEN, f"{where}.Key")
        return _checked(f"{where}.Key", SymMaterial, backend, limits, raw)
    lengths = {
        "PrivateKey": _wire.PRIVATE_KEY_LEN,
        "SignerID": _wire.ID_LEN,
        "C2PubKey": _wire.PUBLIC_KEY_LEN,
    }
    private_key, signer, c2_public_key = (
        _bytes(_member(data, name, f"{where}.{name}"), length, f"{where}.{name}")
        for name, length in lengths.items()
    )
    if signer != id:
        raise InvalidState(f"{where}.SignerID: differs from ID")
    crypto = get(backend)
    _checked(f"{where}.PrivateKey", crypto.ed25519_public_key, private_key)
    _checked(f"{where}.C2PubKey", crypto.check_curve25519_public_key, c2_public_key)
    public_keys: dict[bytes, bytes] = {}
    for name, value in _nullable_object(data, "PubKeys", f"{where}.PubKeys").items():
        member = f"{where}.PubKeys[{_shown(name)}]"
        public_key = _bytes(value, _wire.PUBLIC_KEY_LEN, member)
        _checked(member, crypto.PublicKey, public_key)
        public_keys[_hex(name, _wire.ID_LEN, f"{where}.PubKeys")] = public_key
    return _checked(where, PubMaterial, backend, limits, id, private_key, c2_public_key, public_keys)


def _topic_keys(members: dict[str, Any], limits: Limits, backend: str | None) -> dict[bytes, TopicKeys]:
    keys: dict[bytes, TopicKeys] = {}
    previous: dict[bytes, tuple[bytes, int]] = {}
    for name, value in members.items():
        member = f"TopicKeys[{_shown(name)}]"
        topic_hash = _hex(name, _wire.TOPIC_HASH_LEN, "TopicKeys")
        raw = _base64(value, member)
        if len(raw) not in (_wire.KEY_LEN, _PREVIOUS_LEN):
            raise InvalidState(f"{member}: neither 32 bytes nor, for a previous key, 40")
        key, since = raw[: _wire.KEY_LEN], raw[_wire.KEY_LEN :]
        _checked(member, sym_key, backend, limits, key)
        if since:
            previous[topic_hash] = key, int.from_bytes(since, "little")
        else:
            keys[topic_hash] = TopicKeys(key)
    # A previous key whose topic has no current key can open nothing: it is left out.
    for topic_hash, current in keys.items() if previous else ():
        found = previous.get(bytes.fromhex(_previous_name(topic_hash, backend)))
        if found is not None:
            keys[topic_hash] = TopicKeys(current.key, *found)
    return keys


def _replay(document: dict[str, Any]) -> Replay:
    if "Replay" not in document:  # written by another implementation
        return Replay()
    replay = _object(document["Replay"], "Replay")
    version = _member(replay, "Version", "Replay.Version")
    if type(version) is not int or version != _VERSION:
        raise InvalidState(f"Replay.Version: not {_VERSION}; a newer e4 may have written this state")
    timestamp = _member(replay, "Timestamp", "Replay.Timestamp")
    if type(timestamp) is not int or not 0 <= timestamp < 1 << 64:
        raise InvalidState("Replay.Timestamp: not whole seconds from 0 to 2**64 - 1")
    sivs = _member(replay, "SIVs", "Replay.SIVs")
    if not isinstance(sivs, list):
        raise InvalidState("Replay.SIVs: not a list")
    return Replay(timestamp, frozenset(_hex(siv, _wire.SIV_LEN, "Replay.SIVs") for siv in sivs))


def _previous_name(topic_hash: bytes, backend: str | None) -> str:
    return get(backend).sha3_256(topic_hash)[: _wire.TOPIC_HASH_LEN].hex()


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member occurs twice")
    return members


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidState(f"{where}: not a JSON object")
    return value


def _nullable_object(members: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    # Go writes a map that was never filled as null.
    value = _member(members, name, where)
    return {} if value is None else _object(value, where)


def _member(members: dict[str, Any], name: str, where: str) -> Any:
    if name not in members:
        raise InvalidState(f"{where}: missing")
    return members[name]


def _bytes(value: Any, length: int, where: str) -> bytes:
    data = _base64(value, where)
    if len(data) != length:
        raise InvalidState(f"{where}: not {length} bytes")
    return data


def _base64(value: Any, where: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise InvalidState(f"{where}: not base64") from None


def _hex(value: Any, length: int, where: str) -> bytes:
    lower = isinstance(value, str) and len(value) == 2 * length and set(value) <= set("0123456789abcdef")
    if not lower:
        raise InvalidState(f"{where}: a name is not {2 * length} lower-case hex digits")
    return bytes.fromhex(value)


def _shown(name: str) -> str:
    return name if len(name) <= 2 * _wire.PUBLIC_KEY_LEN and name.isalnum() else "…"


def _checked(where: str, check: Callable[..., T], *arguments: object) -> T:
    try:
        return check(*arguments)
    except E4Error as error:
        raise InvalidState(f"{where}: {error}") from None
