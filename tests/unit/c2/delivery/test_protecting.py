"""From commands in the outbox to messages that clients open."""

from __future__ import annotations

from typing import Any

import pytest

from e4 import commands, crypto
from e4.c2.delivery.protecting import Gone, Protector
from e4.c2.model import CommandKind as Kind
from e4.c2.model import KeyState
from e4.c2.storage.values import Outgoing, StoredC2Key
from e4.errors import InvalidKey
from tests.unit.c2.delivery._fakes import KEY, T0, TOPIC_KEY, FakeVault, outgoing

NEW_KEY = bytes([3]) * 32
DEVICE = crypto.ed25519_private_key_from_seed(bytes([1]) * 32)
OTHER = crypto.ed25519_private_key_from_seed(bytes([2]) * 32)
C2 = {version: bytes([10 + version]) * 32 for version in (1, 2)}


def protector(vault: FakeVault | None = None) -> Protector:
    return Protector(vault or FakeVault(), None)  # type: ignore[arg-type]


def c2_keys() -> dict[int, StoredC2Key]:
    return {
        version: StoredC2Key(version, KeyState.CURRENT, private, crypto.curve25519_public_key(private), 0)
        for version, private in C2.items()
    }


def pk_protector(vault: FakeVault | None = None, keys: Any = c2_keys) -> Protector:
    return Protector(vault or FakeVault(), keys)  # type: ignore[arg-type]


def opened(message: bytes, key: bytes = KEY) -> bytes:
    return crypto.unprotect_sym_key(message, key, now=T0)


def shared(version: int, public: bytes) -> bytes:
    return crypto.c2_shared_key(C2[version], crypto.public_ed25519_key_to_curve25519(public))


def pk_outgoing(number: int, kind: Kind = Kind.RESET_TOPICS, **values: Any) -> Any:
    fields: dict[str, Any] = {"client_key": crypto.ed25519_public_key(DEVICE), "c2_key_version": 1}
    return outgoing(number, kind=kind, **(fields | values))


def _name(value: object) -> str:
    return value.kind.name if isinstance(value, Outgoing) else ""


CASES = [
    (outgoing(1, kind=Kind.RESET_TOPICS), commands.ResetTopics()),
    (
        outgoing(1, kind=Kind.REMOVE_TOPIC, topic_hash=crypto.hash_topic("t")),
        commands.remove_topic("t"),
    ),
    (outgoing(1, kind=Kind.SET_TOPIC_KEY), commands.set_topic_key(TOPIC_KEY, "t")),
    (outgoing(1, kind=Kind.SET_ID_KEY, new_version=2, new_key=NEW_KEY), commands.set_id_key(NEW_KEY)),
]


@pytest.mark.parametrize(("out", "command"), CASES, ids=_name)
def test_symmetric_commands(out: Any, command: commands.Command) -> None:
    message = protector().protect(out, T0)
    assert message == crypto.protect_sym_key(command.encode(), KEY, timestamp=T0)


PK_CASES = [
    (pk_outgoing(1), commands.ResetTopics()),
    (pk_outgoing(1, Kind.RESET_PUB_KEYS), commands.ResetPubKeys()),
    (
        pk_outgoing(1, Kind.REMOVE_PUB_KEY, source_id=crypto.hash_id_alias("bob")),
        commands.remove_pub_key("bob"),
    ),
    (
        pk_outgoing(
            1,
            Kind.SET_PUB_KEY,
            source_row=9,
            source_id=crypto.hash_id_alias("bob"),
            source_version=4,
            source_key=crypto.ed25519_public_key(OTHER),
        ),
        commands.set_pub_key(crypto.ed25519_public_key(OTHER), "bob"),
    ),
    (pk_outgoing(1, Kind.SET_C2_KEY, new_version=2), commands.SetC2Key(crypto.curve25519_public_key(C2[2]))),
    (
        pk_outgoing(1, Kind.SET_ID_KEY, new_version=2, new_key=OTHER),
        commands.set_id_key(OTHER),
    ),
]


@pytest.mark.parametrize(("out", "command"), PK_CASES, ids=_name)
def test_public_key_commands(out: Any, command: commands.Command) -> None:
    message = pk_protector().protect(out, T0)
    assert opened(message, shared(1, crypto.ed25519_public_key(DEVICE))) == command.encode()


def test_a_client_is_reached_under_the_pair_that_it_has() -> None:
    protector = pk_protector()
    public = crypto.ed25519_public_key(DEVICE)
    for version in (2, 1, 2):
        message = protector.protect(pk_outgoing(1, c2_key_version=version), T0)
        assert opened(message, shared(version, public)) == commands.ResetTopics().encode()


GONE = [
    outgoing(1, client_key=None),
    outgoing(1, kind=Kind.SET_TOPIC_KEY, topic_key=None),
    outgoing(1, kind=Kind.SET_TOPIC_KEY, topic_version=None),
    outgoing(1, kind=Kind.SET_ID_KEY, new_version=2),
    outgoing(1, kind=Kind.REMOVE_TOPIC),
]
PK_GONE = [
    pk_outgoing(1, client_key=None),
    pk_outgoing(1, c2_key_version=3),
    pk_outgoing(1, Kind.SET_C2_KEY, new_version=3),
    pk_outgoing(1, Kind.SET_PUB_KEY, source_row=9, source_id=bytes(16)),
    pk_outgoing(1, Kind.SET_ID_KEY, new_version=2),
]


@pytest.mark.parametrize("out", GONE, ids=lambda out: out.kind.name)
def test_what_is_gone(out: Any) -> None:
    with pytest.raises(Gone):
        protector().protect(out, T0)


@pytest.mark.parametrize("out", PK_GONE, ids=lambda out: out.kind.name)
def test_what_is_gone_in_public_key_mode(out: Any) -> None:
    with pytest.raises(Gone):
        pk_protector().protect(out, T0)


def test_a_key_that_is_not_one_is_an_error() -> None:
    with pytest.raises(InvalidKey):
        protector().protect(outgoing(1, client_key=bytes(32)), T0)


def test_each_key_is_opened_under_its_own_table_row_and_version() -> None:
    vault = FakeVault()
    out = outgoing(1, kind=Kind.SET_TOPIC_KEY, client_row=3, key_version=2, topic_row=5, topic_version=8)
    protector(vault).protect(out, T0)
    assert sorted(vault.opened) == [("client_keys", 3, 2), ("topic_keys", 5, 8)]
    vault.opened.clear()
    rekey = pk_outgoing(
        1, Kind.SET_ID_KEY, client_row=3, key_version=2, c2_key_version=1, new_version=4,
        new_key=OTHER,
    )  # fmt: skip
    pk_protector(vault).protect(rekey, T0)
    assert sorted(vault.opened) == [("c2_keys", 1, 1), ("client_keys", 3, 2), ("client_keys.transit", 3, 4)]


def test_a_topic_key_is_opened_once_for_a_batch_and_not_kept_longer() -> None:
    vault = FakeVault()
    one = protector(vault)
    for number in range(10):
        one.protect(outgoing(number, f"c{number}", kind=Kind.SET_TOPIC_KEY), T0)
    assert vault.opened.count(("topic_keys", 5, 1)) == 1
    one.protect(outgoing(11, kind=Kind.SET_TOPIC_KEY, topic_version=2, topic_key=NEW_KEY), T0)
    assert vault.opened.count(("topic_keys", 5, 2)) == 1
    one.forget()
    one.protect(outgoing(12, kind=Kind.SET_TOPIC_KEY), T0)
    assert vault.opened.count(("topic_keys", 5, 1)) == 2


def test_c2s_keys_are_read_anew_for_a_version_that_is_not_known() -> None:
    known = {1: c2_keys()[1]}
    protector = pk_protector(keys=lambda: dict(known))
    protector.protect(pk_outgoing(1), T0)
    known[2] = c2_keys()[2]
    message = protector.protect(pk_outgoing(2, c2_key_version=2), T0)
    assert opened(message, shared(2, crypto.ed25519_public_key(DEVICE))) == commands.ResetTopics().encode()
