"""What happens in the demo, step by step, and what must come of each step.

Every expectation is judged by what reached the people through the broker. Knows no process and no
connection: it is told a cast, which a test may replace.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from e4 import commands, crypto
from e4.errors import (
    E4Error,
    InvalidSignature,
    MessageError,
    NotAuthentic,
    PublicKeyMissing,
    TopicKeyMissing,
)

if TYPE_CHECKING:
    from e4.cli._demo_cast import Cast, Person
    from e4.cli._demo_print import Printer
    from e4.commands import Command

__all__ = ["Story", "Unexpected"]

Publish = Callable[[str, bytes], None]


class Unexpected(Exception):
    """Something came out otherwise than it must. The text says what."""


@dataclass(frozen=True)
class _Step:
    title: str
    play: Callable[[], None]


class Story:
    """The demo.

    Args:
        cast: alice, bob and eve.
        topic: on which they talk.
        publish: sends a protected command to the broker: topic, message.
        printer: tells the story.
        timeout: seconds in which what is published must have arrived.
    """

    def __init__(self, cast: Cast, topic: str, publish: Publish, printer: Printer, timeout: float) -> None:
        self.cast = cast
        self.topic = topic
        self.publish_command = publish
        self._printer = printer
        self._timeout = timeout
        self.topic_key = crypto.random_key()
        self.command_keys: dict[str, bytes] = {}
        self._public_keys: dict[str, bytes] = {}
        self._message = b""  # the latest, as seen on the wire
        self._eves_command = b""  # by which eve got the topic's key
        self._seen = 0  # messages on the wire

    def play(self) -> None:
        """Play it to its end.

        Raises:
            Unexpected: a step came out otherwise than it must; says which.
            E4Error: the broker cannot be reached, or does not do its work.
        """
        self._listen()
        number = 0
        for chapter, steps in self._chapters():
            self._printer.chapter(chapter)
            for step in steps:
                number += 1
                self._printer.step(number, step.title)
                try:
                    step.play()
                except (Unexpected, MessageError) as error:
                    self._printer.line("FAILED", str(error))
                    raise Unexpected(f"step {number} ({step.title}) failed: {error}") from error
        passed = f"{self._seen} messages passed the broker, none in clear."
        self._printer.text(f"\nAll {number} steps ended as they must. {passed}")

    def _chapters(self) -> list[tuple[str, list[_Step]]]:
        return [
            (
                "Symmetric-key mode: each client shares a key with the key server",
                [
                    _Step("Without a key nothing can be sent", self.protect_without_key),
                    _Step(
                        "A key server makes a key for the topic and sends it to alice and bob",
                        self.send_topic_key,
                    ),
                    _Step("alice writes, bob reads", self.alice_to_bob),
                    _Step("eve has the same bytes, and can make nothing of them", self.eve_listens),
                    _Step("eve changes a message, and makes up one", self.eve_forges),
                ],
            ),
            (
                "Public-key mode: each client signs with its own key",
                [
                    _Step("New keys, and this time eve gets the topic's key as well", self.send_public_keys),
                    _Step("alice and bob read each other", self.alice_and_bob),
                    _Step(
                        "eve can accept nothing from alice, whose public key she lacks",
                        self.eve_listens_again,
                    ),
                    _Step("eve writes, and bob, who lacks her public key, refuses", self.eve_writes),
                    _Step("eve writes under alice's name", self.eve_impersonates),
                ],
            ),
        ]

    def _listen(self) -> None:
        everybody = (self.cast.alice, self.cast.bob, self.cast.eve)
        self.cast.eve.listen([self.topic, *(person.receiving_topic for person in everybody)])

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

    # What people do, and what must come of it.

    def send_topic_key_to(self, person: Person) -> bytes:
        command = commands.set_topic_key(self.topic_key, self.topic)
        return self._send(person, f"set the key of {self.topic}", command, self.topic_key)

    def _send(self, person: Person, what: str, command: Command, secret: bytes) -> bytes:
        """Send a command, see it on the wire, and see it applied; returns its bytes."""
        message = crypto.protect_sym_key(command.encode(), self.command_keys[person.name])
        self._printer.line("server", f"sends {person.name} a command: {what}")
        self.publish_command(person.receiving_topic, message)
        self._on_wire(person.receiving_topic, message, secret)
        deadline = self._deadline()
        while (event := person.next_event(deadline)) is not None:
            if event.topic == person.receiving_topic:
                if event.kind != "command":
                    raise Unexpected(f"{person.name} did not apply the command: {event.reason}")
                self._tell(person, "applies it")
                return message
        raise Unexpected(f"{person.name} did not apply the command within {self._timeout:g} seconds")

    def _write(self, person: Person, text: str) -> bytes:
        """Publish a protected text, and see it on the wire; returns its bytes there."""
        self._tell(person, f"sends {text!r} on {self.topic}")
        person.publish(self.topic, text)
        self._message = self._on_wire(self.topic, None, text.encode())
        return self._message

    def _publish_bytes(self, message: bytes) -> None:
        self.cast.eve.publish_bytes(self.topic, message)
        self._on_wire(self.topic, message)

    def _on_wire(self, topic: str, message: bytes | None, secret: bytes | None = None) -> bytes:
        """What the broker passes on next: on this topic, these bytes if known, the secret not in it."""
        event = self.cast.eve.next_on_wire(self._deadline())
        if event is None:
            raise Unexpected(f"nothing came through the broker within {self._timeout:g} seconds")
        self._seen += 1
        self._printer.wire(event.topic, event.payload)
        if event.topic != topic or (message is not None and event.payload != message):
            raise Unexpected(f"this is not the message expected on {topic}")
        if secret is not None and secret in event.payload:
            raise Unexpected("the message passed in clear")
        return event.payload

    def _reads(self, person: Person, text: str) -> None:
        """The next thing this person can read must be the text, and it must be the message on the wire."""
        deadline = self._deadline()
        while (event := person.next_event(deadline)) is not None:
            if event.topic == self.topic and event.kind == "read":
                if event.payload != text.encode():
                    raise Unexpected(f"{person.name} read {event.payload.decode(errors='replace')!r} instead")
                self._tell(person, f"reads {text!r}")
                return
            if event.kind == "refused" and event.payload == self._message:
                raise Unexpected(f"{person.name} refused the message: {event.reason}")
        raise Unexpected(f"{person.name} read nothing within {self._timeout:g} seconds")

    def _refuses(
        self, person: Person, message: bytes, reason: type[E4Error], verb: str = "refuses it"
    ) -> None:
        """This person must refuse exactly these bytes, for this reason, and read nothing before."""
        deadline = self._deadline()
        while (event := person.next_event(deadline)) is not None:
            if event.topic == self.topic and event.kind == "read":
                raise Unexpected(f"{person.name} read {event.payload.decode(errors='replace')!r}")
            if event.kind == "refused" and event.payload == message:
                if not isinstance(event.reason, reason):
                    raise Unexpected(f"{person.name} refused it for another reason: {event.reason}")
                self._tell(person, f"receives it and {verb}: {event.reason}")
                return
        raise Unexpected(f"the message did not reach {person.name} within {self._timeout:g} seconds")

    def _tell(self, person: Person, text: str) -> None:
        self._printer.line(person.name, text)

    def _ok(self, text: str) -> None:
        self._printer.line("ok", text)

    def _deadline(self) -> float:
        return time.monotonic() + self._timeout
