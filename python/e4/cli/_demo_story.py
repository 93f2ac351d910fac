"""The first act of the demo: what E4 does to messages, in both modes. Knows no process and no connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from e4 import commands, crypto
from e4.cli._demo_stage import Chapter, Stage, Step, Unexpected
from e4.errors import InvalidSignature, NotAuthentic, PublicKeyMissing, TopicKeyMissing

if TYPE_CHECKING:
    from e4.cli._demo_cast import Cast, Person
    from e4.cli._demo_print import Printer
    from e4.commands import Command

__all__ = ["Story", "Unexpected"]

Publish = Callable[[str, bytes], None]


class Story(Stage):
    """The first act.

    Args:
        cast: alice, bob and eve.
        topic: on which they talk.
        publish: sends a protected command to the broker: topic, message.
        printer: tells the story.
        timeout: seconds in which what is published must have arrived.
    """

    def __init__(self, cast: Cast, topic: str, publish: Publish, printer: Printer, timeout: float) -> None:
        super().__init__(cast, topic, printer, timeout)
        self.publish_command = publish
        self.topic_key = crypto.random_key()
        self.command_keys: dict[str, bytes] = {}
        self._public_keys: dict[str, bytes] = {}
        self._eves_command = b""  # by which eve got the topic's key

    def play(self, number: int = 0) -> int:
        """Play it to its end; see `Stage.play`."""
        everybody = (self.cast.alice, self.cast.bob, self.cast.eve)
        self.cast.eve.listen([self.topic, *(person.receiving_topic for person in everybody)])
        return super().play(number)

    def chapters(self) -> list[Chapter]:
        """Both modes."""
        return [
            Chapter(
                "Symmetric-key mode: each client shares a key with the key server",
                [
                    Step("Without a key nothing can be sent", self.protect_without_key),
                    Step(
                        "A key server makes a key for the topic and sends it to alice and bob",
                        self.send_topic_key,
                    ),
                    Step("alice writes, bob reads", self.alice_to_bob),
                    Step("eve has the same bytes, and can make nothing of them", self.eve_listens),
                    Step("eve changes a message, and makes up one", self.eve_forges),
                ],
            ),
            Chapter(
                "Public-key mode: each client signs with its own key",
                [
                    Step("New keys, and this time eve gets the topic's key as well", self.send_public_keys),
                    Step("alice and bob read each other", self.alice_and_bob),
                    Step(
                        "eve can accept nothing from alice, whose public key she lacks",
                        self.eve_listens_again,
                    ),
                    Step("eve writes, and bob, who lacks her public key, refuses", self.eve_writes),
                    Step("eve writes under alice's name", self.eve_impersonates),
                ],
            ),
        ]

    # Symmetric-key mode.

    def protect_without_key(self) -> None:
        """Nobody has a key for the topic yet."""
        cast = self.cast
        for person in (cast.alice, cast.bob, cast.eve):
            key = crypto.random_key()
            person.join_symkey(key)
            self.command_keys[person.name] = key
        cast.bob.subscribe(self.topic)
        cast.eve.subscribe("#")
        text = "open window 3"
        self._tell(cast.alice, f"sends {text!r} on {self.topic}")
        try:
            cast.alice.publish(self.topic, text)
        except TopicKeyMissing as error:
            self._tell(cast.alice, f"is stopped: {error}")
        else:
            raise Unexpected("alice could send a message without a key")
        self._ok("nothing left alice's process")

    def send_topic_key(self) -> None:
        """By protected commands."""
        for person in (self.cast.alice, self.cast.bob):
            self.send_topic_key_to(person)
        self._ok("both have the topic's key, and it is not in the bytes")

    def alice_to_bob(self) -> None:
        """The wire and bob."""
        self._write(self.cast.alice, "open window 3")
        self._reads(self.cast.bob, "open window 3")
        self._ok("the text is not in the bytes, and bob has it")

    def eve_listens(self) -> None:
        """Eve's own E4 client is subscribed to everything."""
        self._refuses(self.cast.eve, self._message, TopicKeyMissing, "cannot open it")
        self._ok("eve received the message, and learned its topic, time and length")

    def eve_forges(self) -> None:
        """Two attempts."""
        changed = bytearray(self._message)
        changed[-1] ^= 1
        guessed = crypto.protect_sym_key(b"open all doors", crypto.random_key())
        for what, message in (
            ("alice's message with one bit changed", bytes(changed)),
            ("'open all doors', protected with a key of her own", guessed),
        ):
            self._tell(self.cast.eve, f"sends {what}")
            self._publish_bytes(message)
            self._refuses(self.cast.bob, message, NotAuthentic)
        self._ok("bob took neither")

    # Public-key mode.

    def send_public_keys(self) -> None:
        """All three get the topic's key; of public keys, alice and bob get each other's."""
        cast = self.cast
        self.topic_key = crypto.random_key()
        c2_private_key = crypto.random_curve25519_private_key()
        c2_public_key = crypto.curve25519_public_key(c2_private_key)
        for person in (cast.alice, cast.bob, cast.eve):
            public_key = person.join_pubkey(c2_public_key)
            curve_key = crypto.public_ed25519_key_to_curve25519(public_key)
            self.command_keys[person.name] = crypto.c2_shared_key(c2_private_key, curve_key)
            self._public_keys[person.name] = public_key
            self._tell(person, f"makes a key pair, public key {public_key.hex()[:16]}...")
        cast.bob.subscribe(self.topic)
        cast.eve.subscribe("#")
        for person in (cast.alice, cast.bob, cast.eve):
            self._eves_command = self.send_topic_key_to(person)
        for person, other in self.introductions():
            public_key = self._public_keys[other.name]
            command = commands.set_pub_key(public_key, other.id)
            self._send(person, f"set the public key of {other.name}", command, public_key)
        self._ok("all have the topic's key, alice and bob each other's public keys")

    def introductions(self) -> list[tuple[Person, Person]]:
        """Who is told whose public key."""
        return [(self.cast.alice, self.cast.bob), (self.cast.bob, self.cast.alice)]

    def alice_and_bob(self) -> None:
        """Both ways."""
        cast = self.cast
        cast.alice.subscribe(self.topic)
        self._write(cast.bob, "window 3 is open")
        self._reads(cast.alice, "window 3 is open")
        self._write(cast.alice, "close window 3")
        self._reads(cast.bob, "close window 3")
        self._ok("each checked the other's signature")

    def eve_listens_again(self) -> None:
        """With the topic's key."""
        self._refuses(self.cast.eve, self._message, PublicKeyMissing, "cannot accept it")
        self._ok("eve's client accepts nothing whose sender it cannot check")

    def eve_writes(self) -> None:
        """With the topic's key and her own signature."""
        message = self._write(self.cast.eve, "open all doors")
        self._refuses(self.cast.bob, message, PublicKeyMissing)
        self._ok("the topic's key alone is not enough to be heard")

    def eve_impersonates(self) -> None:
        """With the topic's key, alice's id, and her own signature."""
        eve = self.cast.eve
        text = "open all doors"
        message = eve.impersonate(self.cast.alice.id, self._eves_command, self.topic, text)
        self._tell(eve, f"sends {text!r} with alice's id, signed with her own key")
        self._publish_bytes(message)
        self._refuses(self.cast.bob, message, InvalidSignature)
        self._ok("only alice can sign as alice")

    # What the key server does; here it is the demo itself.

    def send_topic_key_to(self, person: Person) -> bytes:
        command = commands.set_topic_key(self.topic_key, self.topic)
        return self._send(person, f"set the key of {self.topic}", command, self.topic_key)

    def _send(self, person: Person, what: str, command: Command, secret: bytes) -> bytes:
        """Send a command, see it on the wire, and see it applied; returns its bytes."""
        message = crypto.protect_sym_key(command.encode(), self.command_keys[person.name])
        self._printer.line("server", f"sends {person.name} a command: {what}")
        self.publish_command(person.receiving_topic, message)
        self._on_wire(person.receiving_topic, message, secret)
        self._applies(person)
        return message
