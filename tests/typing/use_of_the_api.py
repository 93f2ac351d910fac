"""Never run: mypy checks that the public API has the types that its users rely on."""

from typing import assert_type

import e4
from e4 import commands, crypto

config = e4.SymNameAndPassword("alice", "a password of length")
client = e4.Client.create(config, e4.MemoryStore(), clock=lambda: 0.0)
client = e4.Client.load(e4.FileStore("alice.json"), limits=e4.Limits(max_ahead=0))

assert_type(client.id, bytes)
assert_type(client.receiving_topic, str)
assert_type(client.protect_message(b"21.5", "topic"), bytes)
assert_type(client.protect_message(bytearray(4), "topic"), bytes)
assert_type(client.protect_message(memoryview(b"21.5"), "topic"), bytes)
assert_type(client.unprotect(b"", "topic"), bytes | None)
assert_type(client.protect_messages([b"21.5"], "topic"), list[bytes])
assert_type(client.unprotect_messages([b""], "topic"), list[bytes | e4.E4Error])
assert_type(e4.PubNameAndPassword("bob", "a password of length", bytes(32)).public_key(), bytes)

assert_type(crypto.random_key(), bytes)
assert_type(crypto.protect_sym_key(b"", bytes(32), timestamp=0), bytes)
assert_type(crypto.unprotect_sym_key(b"", bytes(32), now=0), bytes)
assert_type(commands.set_topic_key(bytes(32), "topic"), commands.SetTopicKey)
assert_type(commands.parse(b"").encode(), bytes)


class OwnStore:
    """Anything with these three methods is a store."""

    def read(self) -> bytes | None:
        return None

    def write(self, state: bytes) -> None: ...

    def close(self) -> None: ...


client = e4.Client.create(config, OwnStore())

try:
    client.unprotect(b"", "topic")
except (e4.TopicKeyMissing, e4.NotAuthentic, e4.ReplayedCommand) as error:
    assert_type(str(error), str)
