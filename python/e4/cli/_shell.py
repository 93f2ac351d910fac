"""The commands inside ``e4 client``. Knows no options, and not how a connection is made."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from e4.cli._errors import Failed, Usage
from e4.cli._output import shown
from e4.errors import E4Error, NotDelivered, TopicKeyMissing

if TYPE_CHECKING:
    from e4.cli._teller import Teller
    from e4.cli._terminal import Lines
    from e4.mqtt import Publication, SecureClient

__all__ = ["COMMANDS", "Shell"]

COMMANDS = {
    "help": ("help", "list these commands"),
    "print-key": ("print-key", "print this client's id and public key; never a secret"),
    "e4msg": ("e4msg TOPIC TEXT", "publish a protected message"),
    "clearmsg": ("clearmsg TOPIC TEXT", "publish a message in clear, on a topic without a key"),
    "subscribe": ("subscribe TOPIC", "print what is published there; + and # stand for levels"),
    "unsubscribe": ("unsubscribe TOPIC", "end that"),
    "exit": ("exit", "leave; so does the end of the input"),
}

# What C2 sent while the client was away comes right after connecting: a key gets this many seconds.
_GRACE = 1.0


class Shell:
    """Carries out the commands, one line after the other.

    Args:
        secure: the client and its connection.
        teller: for what there is to say.
        qos: with which messages are published.
        timeout: how many seconds to wait for the broker.
    """

    def __init__(
        self,
        secure: SecureClient,
        teller: Teller,
        qos: int,
        timeout: float,
    ) -> None:
        self._secure = secure
        self._teller = teller
        self._qos = qos
        self._timeout = timeout
        self._grace_until = 0.0
        self._topics: list[str] = []
        self._late: list[Publication] = []
        self._busy = False
        self._held: list[E4Error] = []

    def run(self, lines: Lines, *, numbered: bool) -> bool:
        """Carry out every line up to ``exit`` or the end; the connection is there.

        Args:
            lines: gives them.
            numbered: say in which line a command failed.

        Returns:
            Whether every command was carried out.
        """
        self._grace_until = time.monotonic() + _GRACE
        well = True
        number = 0
        while True:
            number += 1
            try:
                line = lines.read()
                if line is None or (words := line.split(maxsplit=1))[:1] == ["exit"]:
                    return well
                if words and not words[0].startswith("#"):
                    self._busy = True
                    self._do(words[0], words[1] if len(words) == 2 else "")
            except (E4Error, Usage, Failed, UnicodeDecodeError) as error:
                well = False
                if isinstance(error, UnicodeDecodeError):
                    error = Usage("the line is not UTF-8")
                self._teller.failed(error, number if numbered else None)
            finally:
                self._busy = False
                while self._held:
                    self._teller.background_error(self._held.pop(0))

    def background_error(self, error: E4Error) -> None:
        """Something went wrong on the connection. If a command waits for just that, it is for it to tell."""
        if self._busy:
            self._held.append(error)
        else:
            self._teller.background_error(error)

    def leave(self, timeout: float) -> bool:
        """Wait for what the broker has not acknowledged, and disconnect.

        Returns:
            Whether all of it was acknowledged.
        """
        try:
            self._secure.close(timeout)
        except NotDelivered as error:
            self._teller.failed(error)
            return False
        return all(publication.is_acknowledged for publication in self._late)

    def complete(self, line: str) -> list[str]:
        """The words that may stand at the end of this line: commands, then topics seen so far."""
        before, _, word = line.rpartition(" ")
        if not before.strip():
            return [f"{name} " for name in COMMANDS if name.startswith(word)]
        takes_topic = len(before.split()) == 1 and "TOPIC" in COMMANDS.get(before.split()[0], ("",))[0]
        return [f"{topic} " for topic in self._topics if takes_topic and topic.startswith(word)]

    def _do(self, name: str, rest: str) -> None:
        if name not in COMMANDS:
            raise Usage(f"there is no command '{shown(name)}': 'help' lists them")
        usage = COMMANDS[name][0]
        topic, text = _topic_and_text(rest) if "TOPIC" in usage else ("", "")
        if (
            ("TOPIC" in usage and not topic)
            or bool(text) != ("TEXT" in usage)
            or (rest and "TOPIC" not in usage)
        ):
            raise Usage(f"the command is: {usage}")
        if name == "help":
            self._help()
        elif name == "print-key":
            self._print_key()
        elif name == "subscribe":
            self._secure.subscribe(topic, qos=2, timeout=self._timeout)
            self._remember(topic)
            self._teller.tell("subscribed", f"subscribed to {shown(topic)}", colour="dim", topic=topic)
        elif name == "unsubscribe":
            self._secure.unsubscribe(topic, timeout=self._timeout)
            self._teller.tell("unsubscribed", f"unsubscribed from {shown(topic)}", colour="dim", topic=topic)
        else:
            self._publish(topic, text, protected=name == "e4msg")

    def _publish(self, topic: str, text: str, *, protected: bool) -> None:
        has_key = self._has_key(topic)
        if protected and not has_key:
            raise TopicKeyMissing
        if has_key and not protected:
            raise Usage(f"{shown(topic)} has a key, so nothing is sent there in clear: use e4msg")
        try:
            publication = self._secure.publish(topic, text, qos=self._qos)
        except TopicKeyMissing:
            if protected:
                raise
            raise Failed(f"{shown(topic)} had a key in this run, so nothing is sent there in clear") from None
        self._remember(topic)
        kind = "" if protected else " in clear"
        try:
            publication.wait(self._timeout)
        except NotDelivered:
            self._late.append(publication)
            note = f"not acknowledged yet: goes to {shown(topic)}{kind} when the broker answers"
            self._teller.tell("waiting", note, colour="yellow", topic=topic, protected=protected)
        else:
            self._teller.tell(
                "sent", f"sent{kind} to {shown(topic)}", colour="dim", topic=topic, protected=protected
            )

    def _has_key(self, topic: str) -> bool:
        client = self._secure.client
        while not client.has_topic_key(topic):
            if time.monotonic() >= self._grace_until:
                return False
            time.sleep(0.02)
        return True

    def _help(self) -> None:
        width = max(len(usage) for usage, _ in COMMANDS.values())
        for usage, what in COMMANDS.values():
            self._teller.tell("help", f"{usage:{width}}  {what}", usage=usage, what=what)

    def _print_key(self) -> None:
        client = self._secure.client
        key = client.public_key() if client.mode == "pubkey" else None
        text = (
            "none: in symmetric-key mode the only key is secret, and not shown" if key is None else key.hex()
        )
        self._teller.tell(
            "key",
            f"id {client.id.hex()}  public key {text}",
            id=client.id.hex(),
            mode=client.mode,
            public_key=None if key is None else key.hex(),
        )

    def _remember(self, topic: str) -> None:
        if topic not in self._topics:
            self._topics.append(topic)


def _topic_and_text(rest: str) -> tuple[str, str]:
    """The first word, or what stands in double quotes, and everything after it."""
    if rest.startswith('"') and '"' in rest[1:]:
        topic, _, text = rest[1:].partition('"')
        return topic, text.strip()
    topic, _, text = rest.partition(" ")
    return topic, text.strip()
