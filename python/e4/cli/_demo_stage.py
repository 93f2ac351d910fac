"""What every act of the demo is played with: steps in chapters, and what must come of what people do.

Every expectation is judged by what reached the people through the broker. Knows no process and no
connection: it is told a cast, which a test may replace.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from e4.errors import E4Error, MessageError

if TYPE_CHECKING:
    from e4.cli._demo_cast import Cast, Person
    from e4.cli._demo_print import Printer

__all__ = ["Chapter", "Stage", "Step", "Unexpected"]


class Unexpected(Exception):
    """Something came out otherwise than it must. The text says what."""


@dataclass(frozen=True)
class Step:
    """One step: its heading, and what happens."""

    title: str
    play: Callable[[], None]


@dataclass(frozen=True)
class Chapter:
    """Some steps under a heading."""

    title: str
    steps: Sequence[Step]


class Stage:
    """Where an act is played.

    Args:
        cast: alice, bob and eve.
        topic: on which they talk.
        printer: tells the story.
        timeout: seconds in which what is published must have arrived.
    """

    def __init__(self, cast: Cast, topic: str, printer: Printer, timeout: float) -> None:
        self.cast = cast
        self.topic = topic
        self.seen = 0  # messages on the wire
        self._printer = printer
        self._timeout = timeout
        self._message = b""  # the latest, as seen on the wire

    def chapters(self) -> list[Chapter]:
        """What is played."""
        raise NotImplementedError

    def play(self, number: int = 0) -> int:
        """Play it to its end.

        Args:
            number: of the last step before it.

        Returns:
            The number of its own last step.

        Raises:
            Unexpected: a step came out otherwise than it must; says which.
            E4Error: the broker cannot be reached, or does not do its work.
        """
        for chapter in self.chapters():
            self._printer.chapter(chapter.title)
            for step in chapter.steps:
                number += 1
                self._printer.step(number, step.title)
                try:
                    step.play()
                except (Unexpected, MessageError) as error:
                    self._printer.line("FAILED", str(error))
                    raise Unexpected(f"step {number} ({step.title}) failed: {error}") from error
        return number

    # What people do, and what must come of it.

    def _applies(self, person: Person) -> None:
        """The next command for this person must be applied."""
        deadline = self._deadline()
        while (event := person.next_event(deadline)) is not None:
            if event.topic == person.receiving_topic:
                if event.kind != "command":
                    raise Unexpected(f"{person.name} did not apply the command: {event.reason}")
                self._tell(person, "applies it")
                return
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
        self.seen += 1
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

    def _late(self, deadline: float) -> bool:
        return time.monotonic() > deadline
