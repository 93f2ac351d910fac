"""The second act of the demo: a key server hands out the keys, and changes them while messages flow.

Every expectation is judged by what reached the people through the broker. Knows no process and no
connection: it is told a cast and a server, which a test may replace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from e4 import crypto
from e4.c2.model import Job, JobState
from e4.cli._demo_stage import Chapter, Stage, Step, Unexpected
from e4.errors import TopicKeyMissing

if TYPE_CHECKING:
    from e4.c2.remote import Remote
    from e4.cli._demo_cast import Cast, Person
    from e4.cli._demo_print import Printer

__all__ = ["KeyServerStory"]

_ROTATIONS = 3
_ENOUGH = 10  # messages under each key


class KeyServerStory(Stage):
    """The second act.

    Args:
        cast: alice, bob and eve.
        topic: on which they talk; new to the server.
        url: the server's address.
        remote: the server.
        suffix: of their names, by which the server knows them.
        printer: tells the story.
        timeout: seconds in which what is published must have arrived.
    """

    def __init__(
        self,
        cast: Cast,
        topic: str,
        url: str,
        remote: Remote,
        suffix: str,
        printer: Printer,
        timeout: float,
    ) -> None:
        super().__init__(cast, topic, printer, timeout)
        self._url = url
        self.remote = remote
        self._suffix = suffix

    def chapters(self) -> list[Chapter]:
        """One."""
        return [
            Chapter(
                "The key server: it keeps the keys, hands them out, and changes them",
                [
                    Step("bob, eve and alice are registered, each with a key of its own", self.register),
                    Step("The server makes a key for the topic and gives it to all three", self.give_keys),
                    Step("alice writes, bob and eve read", self.alice_to_both),
                    Step("The topic's key changes while alice goes on writing", self.rotate),
                    Step("eve is to read no more", self.shut_out_eve),
                    Step("What was done is on record", self.audit),
                ],
            )
        ]

    def register(self) -> None:
        """As clients in symmetric-key mode."""
        self._server(f"listens on {self._url}, with a database of its own")
        for person in self._everybody():
            key = crypto.random_key()
            person.join_symkey(key)
            person.forget_events()
            self.remote.new_client(self._name(person), key)
            self._server(f"registers {person.name}")
        for person in self._readers():
            person.subscribe(self.topic)
        count = self.remote.count_clients()
        if count != len(self._everybody()):
            raise Unexpected(f"the server knows {count} clients")
        self._ok("the server's database has their keys, sealed")

    def give_keys(self) -> None:
        """One after the other."""
        self.remote.new_topic(self.topic)
        for person in self.members():
            self._server(f"gives {person.name} the key of {self.topic}")
            self.remote.new_topic_client(self._name(person), self.topic)
            self._on_wire(person.receiving_topic, None)
            self._applies(person)
        self._ok("nobody has handled a key by hand")

    def alice_to_both(self) -> None:
        """All have the key."""
        self._write(self.cast.alice, "open window 3")
        for person in self._readers():
            self._reads(person, "open window 3")
        self._ok("the key is the same for all")

    def rotate(self) -> None:
        """Several times."""
        alice, bob = self.cast.alice, self.cast.bob
        read = dict.fromkeys((person.name for person in self._readers()), 0)
        text = "the temperature is 21"
        alice.start_sending(self.topic, text)
        self._tell(alice, f"sends {text!r} and so on, one after the other")
        self._reads_flow(bob, text, _ENOUGH, read)
        for _ in range(_ROTATIONS):
            topic, job = self.remote.new_topic(self.topic)
            done = self._finished(job)
            self._server(f"makes key {topic.version} and sends it to {done.done} clients")
            self._applies(alice)
            self._reads_flow(bob, text, read[bob.name] + _ENOUGH, read)
        sent = alice.stop_sending()
        self._tell(alice, f"has sent {sent} messages meanwhile")
        for person in self._readers():
            self._reads_flow(person, text, sent, read)
            self._tell(person, f"has read {read[person.name]} messages, in their order")
        self._flow_on_wire(sent, text)
        self._ok(f"{sent} sent, {min(read.values())} read: not one was lost")

    def shut_out_eve(self) -> None:
        """The topic's key is taken from her, and changed, should she have kept it."""
        eve = self.cast.eve
        self.take_key_from(eve)
        topic, job = self.remote.new_topic(self.topic)
        done = self._finished(job)
        self._server(f"makes key {topic.version} and sends it to {done.done} clients")
        for person in (self.cast.bob, self.cast.alice):
            self._on_wire(person.receiving_topic, None)
            self._applies(person)
        self._write(self.cast.alice, "close window 3")
        self._reads(self.cast.bob, "close window 3")
        self._refuses(eve, self._message, TopicKeyMissing, "cannot open it")
        self._ok("eve still receives the bytes, and can make nothing of them")

    def take_key_from(self, person: Person) -> None:
        """Have this person forget the topic's key."""
        self._server(f"takes {person.name} from {self.topic}")
        self.remote.remove_topic_client(self._name(person), self.topic)
        self._on_wire(person.receiving_topic, None)
        self._applies(person)

    def audit(self) -> None:
        """And nobody has changed the record."""
        check = self.remote.verify_audit()
        if check.broken is not None or check.rows < 1:
            raise Unexpected(f"row {check.broken} of the audit does not follow from the one before")
        self._server(f"has an audit of {check.rows} rows, each chained to the one before by a hash")
        self._ok("who did what, and when; and not one key")

    # Who there is.

    def members(self) -> tuple[Person, ...]:
        """Who is given the topic's key."""
        return self._everybody()

    def _everybody(self) -> tuple[Person, Person, Person]:
        """In the order in which the server sends to them: who reads has a new key before who writes."""
        return self.cast.bob, self.cast.eve, self.cast.alice

    def _readers(self) -> tuple[Person, Person]:
        return self.cast.bob, self.cast.eve

    def _name(self, person: Person) -> str:
        return person.name + self._suffix

    def _server(self, text: str) -> None:
        self._printer.line("server", text)

    # What must come of it.

    def _finished(self, job: Job | None) -> Job:
        """The job of a new key, when the broker has taken all its commands."""
        if job is None:
            raise Unexpected("the new key goes to nobody")
        deadline = self._deadline()
        for now in self.remote.watch_job(job.id, interval=0.05):
            job = now
            if self._late(deadline):
                raise Unexpected(f"the new key was not sent within {self._timeout:g} seconds")
        if job.state is not JobState.DONE:
            raise Unexpected(f"the job of the new key is {job.state.value}")
        return job

    def _reads_flow(self, person: Person, text: str, number: int, read: dict[str, int]) -> None:
        """This person must read the messages of the flow, each in its turn, up to that number."""
        deadline = self._deadline()
        while read[person.name] < number:
            event = person.next_event(deadline)
            if event is None:
                raise Unexpected(
                    f"{person.name} read {read[person.name]} of {number} messages "
                    f"within {self._timeout:g} seconds"
                )
            if event.kind == "refused":
                raise Unexpected(f"{person.name} refused a message: {event.reason}")
            if event.kind != "read" or event.topic != self.topic:
                continue
            expected = f"{text}, {read[person.name] + 1}"
            if event.payload != expected.encode():
                found = event.payload.decode(errors="replace")
                raise Unexpected(f"{person.name} read {found!r} instead of {expected!r}")
            read[person.name] += 1
            deadline = self._deadline()

    def _flow_on_wire(self, sent: int, text: str) -> None:
        """All of it passed the broker: the messages and, for each new key, a command to each client."""
        commands = _ROTATIONS * len(self._everybody())
        deadline = self._deadline()
        for _ in range(sent + commands):
            event = self.cast.eve.next_on_wire(deadline)
            if event is None:
                raise Unexpected(f"nothing came through the broker within {self._timeout:g} seconds")
            if text.encode() in event.payload:
                raise Unexpected("a message passed in clear")
            self.seen += 1
        self._printer.line("wire", f"{sent} messages and {commands} commands passed")
