"""What becomes of one message, in either direction: protected, opened, applied, passed in clear, refused.

Lives here: every decision about a message. Does no I/O and knows no connection; both clients use it.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from e4.errors import E4Error, NotAuthentic, ReplayedCommand, TimestampTooOld, TopicKeyMissing
from e4.mqtt._policy import ClearTopics, matches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from e4.client import Client

__all__ = ["CommandApplied", "Gate", "Message", "Refused"]

_logger = logging.getLogger("e4.mqtt")


@dataclass(frozen=True, slots=True)
class Message:
    """A message as the application gets it.

    Args:
        topic: where it was published.
        payload: the plaintext.
        qos: 0, 1 or 2, as the broker delivered it.
        retain: whether the broker had kept it from before the subscription.
        protected: whether it was protected; False only on a topic that `ClearTopics` lets pass.
    """

    topic: str
    payload: bytes = field(repr=False)
    qos: int
    retain: bool
    protected: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that was not let in.

    Args:
        topic: where it was published.
        payload: its bytes as received.
        qos: 0, 1 or 2.
        retain: whether the broker had kept it from before the subscription.
        reason: why, e.g. `e4.NotAuthentic`.
    """

    topic: str
    payload: bytes = field(repr=False)
    qos: int
    retain: bool
    reason: E4Error


@dataclass(frozen=True, slots=True)
class CommandApplied:
    """A command of C2 has changed the client, and the change is saved."""

    topic: str
    retain: bool


class Gate:
    """The border between one client and the broker.

    Args:
        client: holds the keys.
        clear: what may pass without one.
    """

    def __init__(self, client: Client, clear: ClearTopics) -> None:
        self._client = client
        self._clear = clear
        self._lock = threading.Lock()
        self._keys: object = None
        self._ever: set[bytes] = set()
        self._last_command: bytes | None = None
        self._remember_keys()

    def is_own(self, topic: str) -> bool:
        """Whether it is the receiving topic."""
        return self._client.is_receiving_topic(topic)

    def check(self, topic: str) -> None:
        """Whether a message on this topic could leave now.

        Raises:
            TopicKeyMissing: there is no key, and it may not pass in clear.
            InvalidTopic: not a topic name.
        """
        if not self._client.has_topic_key(topic) and not self._may_be_clear(topic, self._clear.outgoing):
            raise TopicKeyMissing

    def seal(self, topic: str, payload: bytes) -> tuple[bytes, bool]:
        """The bytes to publish, and whether they are protected.

        Raises:
            TopicKeyMissing: there is no key, and it may not pass in clear.
            InvalidTopic: not a topic name.
        """
        try:
            return self._client.protect_message(payload, topic), True
        except TopicKeyMissing:
            if not self._may_be_clear(topic, self._clear.outgoing):
                raise
            return payload, False

    def open(
        self, topic: str, payload: bytes, qos: int, retain: bool
    ) -> Message | CommandApplied | Refused | None:
        """What a received message comes to; ``None`` for one that brokers deliver again in the ordinary way.

        On the receiving topic this may write the client's state to disk.
        """
        command = self._client.is_receiving_topic(topic)
        if command:
            self._remember_keys()
        try:
            plaintext = self._client.unprotect(payload, topic)
        except TopicKeyMissing as error:
            if self._may_be_clear(topic, self._clear.incoming):
                return Message(topic, payload, qos, retain, protected=False)
            return Refused(topic, payload, qos, retain, error)
        except E4Error as error:
            if command and self._is_ordinary(payload, retain, error):
                _logger.debug("command on %s delivered again: %s", topic, error)
                return None
            return Refused(topic, payload, qos, retain, error)
        if plaintext is None:
            self._remember_keys()
            self._last_command = payload
            return CommandApplied(topic, retain)
        return Message(topic, plaintext, qos, retain, protected=True)

    def _is_ordinary(self, payload: bytes, retain: bool, error: E4Error) -> bool:
        """A broker delivers a retained command at each reconnection, however old it is by then.

        Once the command to change the client's own key is applied, the key no longer opens it.
        """
        if isinstance(error, ReplayedCommand):
            return True
        return retain and (
            isinstance(error, TimestampTooOld)
            or (isinstance(error, NotAuthentic) and payload == self._last_command)
        )

    def _may_be_clear(self, topic: str, filters: Iterable[str]) -> bool:
        """Asked after a key was found missing, so a key that came or went meanwhile leads to refusal."""
        if self._client.is_receiving_topic(topic) or not any(matches(f, topic) for f in filters):
            return False
        self._remember_keys()
        return self._client.topic_hash(topic) not in self._ever

    def _remember_keys(self) -> None:
        """Note which topics have a key, for when they have none any more."""
        keys = self._client.topic_hashes
        if keys is not self._keys:
            with self._lock:
                self._ever |= keys
                self._keys = keys
