"""One E4 client: protects, unprotects, and applies the commands that C2 sends it.

Knows no MQTT. A client's state is an immutable value behind one reference: readers take the
reference once and need no lock, a command builds the next state, saves it, and only then swaps it in.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from e4 import _wire, commands
from e4._names import Limits, encode_topic, read_buffer
from e4.backend import get
from e4.client.material import sym_key
from e4.client.state import State, decode, encode
from e4.crypto import topic_for_id
from e4.errors import StoreError, TopicKeyMissing, UnsupportedOperation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

    from typing_extensions import Buffer

    from e4.backend import TopicContext
    from e4.client.config import ClientConfig
    from e4.client.material import Mode
    from e4.client.stores import Store
    from e4.commands import Command
    from e4.errors import E4Error

__all__ = ["Client"]

_logger = logging.getLogger("e4.client")

# A previous key that could not be removed from the store is tried again after this many seconds.
_PURGE_RETRY = 60


class Client:
    """One E4 client, safe to use from many threads at once.

    Make one with `create`, open it again with `load`. It keeps its store open until `close`.
    """

    __slots__ = (
        "__weakref__",
        "_backend",
        "_clock",
        "_closed",
        "_limits",
        "_lock",
        "_seconds",
        "_store",
        "_view",
    )

    def __init__(
        self,
        state: State,
        store: Store,
        clock: Callable[[], float] | None,
        limits: Limits,
        backend: str | None,
    ) -> None:
        """Not for direct use: see `create` and `load`."""
        self._backend = backend
        self._clock = clock
        self._seconds: Callable[[], float] = time.time if clock is None else clock
        self._closed = False
        self._limits = limits
        self._lock = threading.Lock()
        self._store = store
        self._view = _View(state, limits)

    @classmethod
    def create(
        cls,
        config: ClientConfig,
        store: Store,
        receiving_topic: str | None = None,
        clock: Callable[[], float] | None = None,
        *,
        limits: Limits | None = None,
        backend: str | None = None,
    ) -> Self:
        """Make a new client and save its first state.

        Args:
            config: one of the four ways to be a client, e.g. `e4.SymNameAndPassword`.
            store: where its state is kept; it must be empty.
            receiving_topic: where C2 publishes its commands; ``e4/`` and the id in hex if not given.
            clock: gives seconds since the Unix epoch; the system's clock if not given.
            limits: how far timestamps may be from the clock.
            backend: ``"native"`` or ``"reference"``; the choice of ``E4_BACKEND`` if not given.

        Raises:
            StoreError: the store holds a client already, or cannot be written.
            InvalidInput: the subclass for a key, id or topic that breaks a rule of the protocol.
        """
        limits = limits or Limits()
        if receiving_topic is not None:
            encode_topic(receiving_topic)
        try:
            if store.read() is not None:
                raise StoreError("the store holds a client already: open it with Client.load")
            id = config.client_id()
            state = State(id, receiving_topic or topic_for_id(id), config.material(backend, limits))
            store.write(encode(state, backend))
        except BaseException:
            store.close()
            raise
        return cls(state, store, clock, limits, backend)

    @classmethod
    def load(
        cls,
        store: Store,
        clock: Callable[[], float] | None = None,
        *,
        limits: Limits | None = None,
        backend: str | None = None,
    ) -> Self:
        """Open the client whose state is in the store; it may have been written by a deployed Go client.

        Args:
            store: where the state is kept.
            clock: gives seconds since the Unix epoch; the system's clock if not given.
            limits: how far timestamps may be from the clock.
            backend: ``"native"`` or ``"reference"``; the choice of ``E4_BACKEND`` if not given.

        Raises:
            InvalidState: the state is not as section 5 of the protocol has it; it is left untouched.
            StoreError: there is no state, it is open elsewhere, or it cannot be read.
        """
        limits = limits or Limits()
        try:
            data = store.read()
            if data is None:
                raise StoreError("the store holds no client: make one with Client.create")
            client = cls(decode(data, limits, backend), store, clock, limits, backend)
        except BaseException:
            store.close()
            raise
        client._current()
        return client

    def __repr__(self) -> str:
        return f"<e4.Client {self.id.hex()} ({self.mode})>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an e4.Client cannot be pickled or copied: load it from its store")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def id(self) -> bytes:
        """The client's id, 16 bytes."""
        return self._view.state.id

    @property
    def receiving_topic(self) -> str:
        """The topic on which C2 sends this client its commands."""
        return self._view.state.receiving_topic

    @property
    def mode(self) -> Mode:
        """``"symkey"`` or ``"pubkey"``."""
        return self._view.state.material.mode

    @property
    def limits(self) -> Limits:
        """How far timestamps may be from the clock."""
        return self._limits

    def now(self) -> int:
        """The client's clock: whole seconds since the Unix epoch."""
        return int(self._seconds())

    def public_key(self) -> bytes:
        """The client's Ed25519 public key, 32 bytes, as it is after the last command.

        Raises:
            UnsupportedOperation: the client is in SK mode.
        """
        return self._view.state.material.public_key()

    @property
    def topic_hashes(self) -> frozenset[bytes]:
        """The topic hashes, 16 bytes each, of the topics for which the client holds a key.

        The same object until a command changes the client, so that a cache can tell by identity.
        """
        return self._current().topic_hashes()

    def topic_hash(self, topic: str) -> bytes:
        """The topic's 16-byte hash, as in `topic_hashes`. Raises `InvalidTopic`."""
        return get(self._backend).sha3_256(encode_topic(topic))[: _wire.TOPIC_HASH_LEN]

    def is_receiving_topic(self, topic: str) -> bool:
        """Whether messages on this topic are commands for this client."""
        return topic == self._view.state.receiving_topic

    def has_topic_key(self, topic: str) -> bool:
        """Whether the client holds a key for the topic. Raises `InvalidTopic`."""
        view = self._current()
        return topic in view.contexts or self.topic_hash(topic) in view.state.topic_keys

    def protect_message(self, payload: Buffer, topic: str) -> bytes:
        """Protect one payload for a topic (protocol, section 3).

        Args:
            payload: any length, also empty.
            topic: the topic's name.

        Returns:
            The message to publish: 24 bytes longer than the payload in SK mode, 104 in PK mode.

        Raises:
            TopicKeyMissing: the client has no key for the topic.
            InvalidTopic: not a topic name.
        """
        # The steps of _context, spelled out: a call costs a tenth of the whole.
        view = self._view
        if view.purge_at is not None and self._seconds() >= view.purge_at:
            view = self._current()
        context = view.contexts.get(topic)
        if context is None:
            context = self._open(view, topic)
        clock = self._clock
        return context.protect(payload) if clock is None else context.protect(payload, int(clock()))

    def unprotect(self, message: Buffer, topic: str) -> bytes | None:
        """Open one message, or apply the command that it is.

        Args:
            message: as received.
            topic: the topic on which it was received.

        Returns:
            The payload (possibly empty) of an application message; ``None`` for a command, which has
            been applied and saved.

        Raises:
            MessageError: the subclass of the first check that fails (section 3).
            CommandError: the command is a replay, or none of this client's mode; nothing has changed.
            InvalidKey: the command carries a key that the key checks refuse; nothing has changed.
            StoreError: the command's effect could not be saved; nothing has changed.
            InvalidTopic: not a topic name.
        """
        view = self._view
        if view.purge_at is not None and self._seconds() >= view.purge_at:
            view = self._current()
        context = view.contexts.get(topic)
        if context is None:
            if topic == view.state.receiving_topic:
                self._apply(read_buffer(message))
                return None
            context = self._open(view, topic)
        clock = self._clock
        return context.unprotect(message) if clock is None else context.unprotect(message, int(clock()))

    def protect_messages(self, payloads: Sequence[Buffer], topic: str) -> list[bytes]:
        """Protect many payloads for one topic, all with the same timestamp.

        Equal payloads in one call give equal messages (section 7).

        Raises:
            TopicKeyMissing: the client has no key for the topic.
            InvalidTopic: not a topic name.
        """
        context = self._context(topic)
        return context.protect_many(payloads, self._time())

    def unprotect_messages(self, messages: Sequence[Buffer], topic: str) -> list[bytes | E4Error]:
        """Open many application messages of one topic.

        Returns:
            For each message its payload, or the error for which it was refused.

        Raises:
            TopicKeyMissing: the client has no key for the topic.
            InvalidTopic: not a topic name.
            UnsupportedOperation: the topic is the receiving topic: commands go one by one to `unprotect`.
        """
        if self.is_receiving_topic(topic):
            raise UnsupportedOperation("commands are applied one at a time: use unprotect")
        context = self._context(topic)
        return context.unprotect_many(messages, self._time())

    def close(self) -> None:
        """Release the store. Messages can still be protected and opened; commands are refused."""
        with self._lock:
            self._closed = True
            self._store.close()

    def _time(self) -> int | None:
        """The clock's seconds; None leaves it to the backend."""
        return None if self._clock is None else int(self._clock())

    def _current(self) -> _View:
        """What the client is now, without previous keys that have expired."""
        view = self._view
        if view.purge_at is None or self._seconds() < view.purge_at:
            return view
        with self._lock:
            return self._purge()

    def _context(self, topic: str) -> TopicContext:
        """What protects the topic's messages. Raises `TopicKeyMissing`, `InvalidTopic`."""
        view = self._current()
        return view.contexts.get(topic) or self._open(view, topic)

    def _open(self, view: _View, topic: str) -> TopicContext:
        topic_hash = self.topic_hash(topic)
        keys = view.state.topic_keys.get(topic_hash)
        if keys is None:
            raise TopicKeyMissing
        key = sym_key(self._backend, self._limits, keys.key, keys.previous, keys.previous_since)
        context = view.state.material.topic_context(key)
        # The receiving topic stays out: a context found there would hide the commands.
        if topic != view.state.receiving_topic:
            view.names[topic_hash] = topic
            view.contexts[topic] = context
        return context

    def _apply(self, message: bytes) -> None:
        with self._lock:
            state = self._view.state
            now = self.now()
            payload = state.material.command_key.unprotect(message, now)
            replay = state.replay.after(message)
            command = commands.parse(payload, backend=self._backend)
            state = replace(self._effect(state, command, now), replay=replay)
            self._commit(state.without_expired(now, self._limits))

    def _effect(self, state: State, command: Command, now: int) -> State:
        material = state.material
        match command:
            case commands.RemoveTopic(topic_hash):
                return state.without_topic(topic_hash)
            case commands.ResetTopics():
                return replace(state, topic_keys={})
            case commands.SetIdKey(key):
                return replace(state, material=material.with_id_key(key))
            case commands.SetTopicKey(key, topic_hash):
                sym_key(self._backend, self._limits, key)  # the key check, before anything changes
                return state.with_topic_key(topic_hash, key, now)
            case commands.RemovePubKey(id):
                return replace(state, material=material.without_public_key(id))
            case commands.ResetPubKeys():
                return replace(state, material=material.without_public_keys())
            case commands.SetPubKey(public_key, id):
                return replace(state, material=material.with_public_key(id, public_key))
            case commands.SetC2Key(public_key):
                return replace(state, material=material.with_c2_key(public_key))
            case _:
                raise UnsupportedOperation

    def _commit(self, state: State) -> None:
        """Save the state, then let it be seen. Called with the lock held."""
        if self._closed:
            raise StoreError("the client is closed")
        self._store.write(encode(state, self._backend))
        self._view = self._view.changed(state, self._limits)

    def _purge(self) -> _View:
        """Forget expired previous keys, in memory even where the store cannot be written just now."""
        view = self._view
        now = self.now()
        state = view.state.without_expired(now, self._limits)
        if state is not view.state or view.unsaved:
            changed = view.changed(state, self._limits)
            try:
                self._commit(state)
            except StoreError as error:
                _logger.warning("an expired topic key is still in the store: %s", error)
                changed.unsaved = True
                changed.purge_at = now + _PURGE_RETRY
                self._view = changed
        return self._view


class _View:
    """A state, and the contexts made from it so far, by topic name."""

    __slots__ = ("_topic_hashes", "contexts", "names", "purge_at", "state", "unsaved")

    def __init__(self, state: State, limits: Limits) -> None:
        self.state = state
        self.contexts: dict[str, TopicContext] = {}
        self.names: dict[bytes, str] = {}
        self.purge_at = min(
            (e + 1 for keys in state.topic_keys.values() if (e := keys.expiry(limits)) is not None),
            default=None,
        )
        self.unsaved = False
        self._topic_hashes: frozenset[bytes] | None = None

    def topic_hashes(self) -> frozenset[bytes]:
        """The topics with a key; computed when first asked for."""
        if self._topic_hashes is None:
            self._topic_hashes = frozenset(self.state.topic_keys)
        return self._topic_hashes

    def changed(self, state: State, limits: Limits) -> _View:
        """The view of the next state, with the contexts that it has not made stale."""
        view = _View(state, limits)
        if state.material is self.state.material:
            for topic_hash, topic in self.names.copy().items():
                if state.topic_keys.get(topic_hash) is self.state.topic_keys.get(topic_hash):
                    context = self.contexts.get(topic)
                    if context is not None:
                        view.names[topic_hash] = topic
                        view.contexts[topic] = context
        return view
