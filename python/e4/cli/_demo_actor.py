"""One person of the demo, a process of its own: an E4 client with its own connection to the broker.

It does what the lines of JSON on its standard input say, answers each with one line, and reports in
further lines what arrives from the broker. Its private key never leaves it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from typing import Any

from e4 import crypto
from e4.client import Client, ClientConfig, MemoryStore, PubIdAndKey, SymIdAndKey
from e4.errors import E4Error, MqttError
from e4.mqtt import ClearTopics, CommandApplied, Message, Refused, SecureClient

_QOS = 2
_FAREWELL = 1.0  # seconds
_PACE = 0.01  # seconds between two messages of a flow


class Actor:
    """Carries out the requests; each public method is one, and returns what the answer holds."""

    def __init__(self, host: str, port: int, timeout: float) -> None:
        self._broker = host, port
        self._timeout = timeout  # seconds for each request
        self._lock = threading.Lock()
        self._topics: frozenset[str] = frozenset()
        self._client: Client | None = None
        self._private_key = b""
        self._c2_public_key = b""
        self._secure: SecureClient | None = None
        self._tap: SecureClient | None = None
        self._flow: threading.Thread | None = None
        self._enough = threading.Event()
        self._sent: int | E4Error = 0  # by the flow; or why it ended

    def say(self, **members: object) -> None:
        """Write one line of JSON."""
        with self._lock:
            sys.stdout.write(json.dumps(members) + "\n")
            sys.stdout.flush()

    def listen(self, topics: list[str]) -> dict[str, object]:
        """Receive every message as it is, and be able to send any bytes: a plain MQTT client.

        It is a client without any key for which every topic may pass in clear.
        """
        client = Client.create(SymIdAndKey(crypto.random_id(), crypto.random_key()), MemoryStore())
        self._topics = frozenset(topics)
        everything = ClearTopics(incoming=["#"], outgoing=["#"])
        self._tap = SecureClient(client, *self._broker, clear=everything, on_message=self._on_wire)
        self._tap.connect(self._timeout)
        self._tap.subscribe("#", _QOS, self._timeout)
        return {}

    def join_symkey(self, id: str, key: str) -> dict[str, object]:
        """Connect as a client in symmetric-key mode."""
        self._join(SymIdAndKey(bytes.fromhex(id), bytes.fromhex(key)))
        return {}

    def join_pubkey(self, id: str, c2_public_key: str) -> dict[str, object]:
        """Connect as a client in public-key mode with a new key pair; the answer has its public half."""
        self._private_key = crypto.random_ed25519_private_key()
        self._c2_public_key = bytes.fromhex(c2_public_key)
        config = PubIdAndKey(bytes.fromhex(id), self._private_key, self._c2_public_key)
        self._join(config)
        return {"public_key": config.public_key().hex()}

    def subscribe(self, filter: str) -> dict[str, object]:
        """Receive what is published on topics that match."""
        self._connection(self._secure).subscribe(filter, _QOS, self._timeout)
        return {}

    def publish(self, topic: str, text: str) -> dict[str, object]:
        """Protect a text and publish it."""
        self._connection(self._secure).publish(topic, text, _QOS).wait(self._timeout)
        return {}

    def start_sending(self, topic: str, text: str) -> dict[str, object]:
        """Protect and publish one message after the other, the text and a number, until `stop_sending`."""
        self._enough.clear()
        self._flow = threading.Thread(target=self._send_on, args=(topic, text), daemon=True)
        self._flow.start()
        return {}

    def stop_sending(self) -> dict[str, object]:
        """Send no more; the answer has how many the broker has acknowledged."""
        assert self._flow is not None
        self._enough.set()
        self._flow.join()
        if isinstance(self._sent, E4Error):
            raise self._sent
        return {"sent": self._sent}

    def publish_bytes(self, topic: str, message: str) -> dict[str, object]:
        """Publish any bytes as they are."""
        self._connection(self._tap).publish(topic, bytes.fromhex(message), _QOS).wait(self._timeout)
        return {}

    def impersonate(self, id: str, command: str, topic: str, text: str) -> dict[str, object]:
        """Make a message that claims to be another client's: with its id, but signed with this one's key.

        Args:
            id: of the other client.
            command: the protected command that brought this client the topic's key; the impostor has
                the same keys, so it opens it as well.
            topic: for which topic.
            text: what it says.
        """
        assert self._client is not None
        config = PubIdAndKey(bytes.fromhex(id), self._private_key, self._c2_public_key)
        own_topic = self._client.receiving_topic
        with Client.create(config, MemoryStore(), receiving_topic=own_topic) as impostor:
            impostor.unprotect(bytes.fromhex(command), own_topic)
            return {"message": impostor.protect_message(text.encode(), topic).hex()}

    def leave(self) -> None:
        """End the connections."""
        for connection in (self._secure, self._tap):
            if connection is not None:
                connection.close(_FAREWELL)

    def _join(self, config: ClientConfig) -> None:
        if self._secure is not None:
            self._secure.close(_FAREWELL)
        self._client = Client.create(config, MemoryStore())
        self._secure = SecureClient(
            self._client,
            *self._broker,
            on_message=self._on_message,
            on_refused=self._on_refused,
            on_command=self._on_command,
        )
        self._secure.connect(self._timeout)

    def _send_on(self, topic: str, text: str) -> None:
        connection = self._connection(self._secure)
        number = 0
        try:
            while not self._enough.is_set():
                number += 1
                connection.publish(topic, f"{text}, {number}", _QOS).wait(self._timeout)
                self._enough.wait(_PACE)
        except E4Error as error:
            self._sent = error
        else:
            self._sent = number

    def _connection(self, connection: SecureClient | None) -> SecureClient:
        if connection is None:
            raise MqttError("no connection was asked for")
        return connection

    # What arrives, told on the network threads. On a broker of others there may be much that is not ours.

    def _on_wire(self, message: Message) -> None:
        if message.topic in self._topics and not message.retain:
            self.say(event="wire", topic=message.topic, payload=message.payload.hex())

    def _on_message(self, message: Message) -> None:
        self.say(event="read", topic=message.topic, payload=message.payload.hex())

    def _on_refused(self, refused: Refused) -> None:
        if not self._topics or refused.topic in self._topics:
            self.say(
                event="refused",
                topic=refused.topic,
                payload=refused.payload.hex(),
                error=type(refused.reason).__name__,
                text=str(refused.reason),
            )

    def _on_command(self, command: CommandApplied) -> None:
        self.say(event="command", topic=command.topic, payload="")


def main() -> None:
    """Serve requests until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the demo, which then ends us
    host, port, timeout = sys.argv[1:]
    actor = Actor(host, int(port), float(timeout))
    for line in sys.stdin.buffer:
        request: dict[str, Any] = json.loads(line)
        try:
            answer = getattr(actor, request.pop("do"))(**request)
        except E4Error as error:
            actor.say(error=type(error).__name__, text=str(error))
        except Exception as error:
            actor.say(error="E4Error", text=f"internal error ({type(error).__name__})")
        else:
            actor.say(**answer)
    with contextlib.suppress(E4Error):  # what nobody waits for any more
        actor.leave()
    os._exit(0)  # without waiting for a connection that does not end


if __name__ == "__main__":
    main()
