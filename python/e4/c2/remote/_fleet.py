"""Operations on clients, topics, memberships, links, keys and messages."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, BinaryIO

from e4.c2.jsonform import from_json
from e4.c2.model import (
    Client,
    ClientDetails,
    ImportProgress,
    Job,
    Mode,
    Page,
    ServerInfo,
    Topic,
    TopicDetails,
)
from e4.c2.remote import _imports
from e4.c2.remote._base import LIMIT, Base
from e4.c2.remote._imports import Format
from e4.c2.remote._requests import (
    client_path,
    json_line,
    membership_body,
    memberships_body,
    name_of,
    names_body,
    new_client_body,
    optional,
    topic_path,
)
from e4.c2.remote._transport import segment

__all__ = ["Fleet"]


class Fleet(Base):
    """What a server knows of clients and topics, and does to them."""

    # --- The server

    def info(self) -> ServerInfo:
        """Mode, version, and how many clients and topics there are."""
        return self._one(ServerInfo, "GET", "info")

    def get_crypto_mode(self) -> Mode:
        """``symkey`` or ``pubkey``."""
        return self.info().mode

    # --- Clients

    def new_client(self, client: str | bytes, key: bytes) -> Client:
        """Register a client with its key, or give an existing one another.

        Args:
            client: its name, or its 16-byte id.
            key: SK mode: the 32-byte symmetric key; PK mode: the 32-byte Ed25519 public key.
        """
        return self._one(Client, "POST", "clients", body=new_client_body(client, key))

    def new_clients(self, clients: Iterable[tuple[str | bytes, bytes]]) -> list[Client]:
        """Register up to 1000 clients: all, or none if one is refused."""
        body = {"clients": [new_client_body(client, key) for client, key in clients]}
        return self._list(Client, "POST", "batch/clients", body=body)

    def import_clients(self, rows: Iterable[tuple[str | bytes, bytes]]) -> Iterator[ImportProgress]:
        """Register any number of clients; rows that are refused are reported, and the others go on.

        Nothing is sent until the iterator is read.

        Yields:
            How far it has come, after every mebibyte or so.
        """
        lines = (json_line(new_client_body(client, key)) for client, key in rows)
        return _imports.import_lines(self._transport, "import/clients", lines, "jsonl")

    def import_clients_file(self, file: BinaryIO, format: Format) -> Iterator[ImportProgress]:
        """Register the clients of a file: CSV with columns ``name`` (or ``id``) and ``key``, or JSON lines.

        Keys are in base64 or hex. Otherwise as `import_clients`.
        """
        return _imports.import_lines(self._transport, "import/clients", file, format)

    def remove_client(self, client: str | bytes) -> None:
        """Forget a client, its memberships, its links and its queued commands."""
        self._transport.call("DELETE", client_path(client))

    def reset_client(self, client: str | bytes) -> None:
        """Have a client forget all topic keys; its memberships end."""
        self._transport.call("POST", f"{client_path(client)}/reset")

    def reset_clients(self, clients: Iterable[str | bytes]) -> None:
        """Reset up to 1000 clients: all, or none if one is unknown."""
        self._transport.call("POST", "batch/reset", body=names_body(clients))

    def resync_client(self, client: str | bytes) -> None:
        """Send a client everything that it should hold, from nothing."""
        self._transport.call("POST", f"{client_path(client)}/resync")

    def get_client(self, client: str | bytes) -> ClientDetails:
        """A client with its key versions, counts and last commands."""
        return self._one(ClientDetails, "GET", client_path(client))

    def find_client(self, id: bytes) -> Client | None:
        """The client with a 16-byte id, however it was registered."""
        found = self._page(Client, "clients", None, 1, id=id.hex())
        return found.items[0] if found.items else None

    def count_clients(self) -> int:
        """How many clients there are."""
        return self.info().clients

    def page_clients(self, cursor: str | None = None, limit: int = 100, prefix: str = "") -> Page[Client]:
        """Up to `limit` (1 to 1000) clients in the order of their names."""
        return self._page(Client, "clients", cursor, limit, prefix=prefix or None)

    def clients(self, prefix: str = "") -> Iterator[Client]:
        """All clients whose names begin so, in order."""
        return self._all(lambda cursor: self.page_clients(cursor, LIMIT, prefix))

    def export(self) -> Iterator[dict[str, Any]]:
        """Everything but the keys, one by one.

        Yields:
            ``{"topic": {...}}`` for each topic; then ``{"client": {...}}`` for each client, which has the
            names of its ``topics``, and as ``links`` those of the sources linked to it.
        """
        with self._transport.stream("GET", "export") as answer:
            for line in self._transport.lines(answer):
                yield self._read(partial(json.loads, line))

    # --- Topics

    def new_topic(self, topic: str) -> tuple[Topic, Job | None]:
        """Make a topic's first key, or rotate it: a new key that is sent to every member.

        Returns:
            The topic; and the job that sends its key, where it has members.
        """
        answer = self._transport.call("POST", "topics", body={"name": topic})
        return self._read(lambda: (from_json(Topic, answer["topic"]), optional(Job, answer["job"])))

    def remove_topic(self, topic: str) -> None:
        """Forget a topic and its keys."""
        self._transport.call("DELETE", topic_path(topic))

    def get_topic(self, topic: str) -> TopicDetails:
        """A topic with its key versions, number of members and newest job."""
        return self._one(TopicDetails, "GET", topic_path(topic))

    def count_topics(self) -> int:
        """How many topics there are."""
        return self.info().topics

    def page_topics(self, cursor: str | None = None, limit: int = 100, prefix: str = "") -> Page[Topic]:
        """Up to `limit` (1 to 1000) topics in the order of their names."""
        return self._page(Topic, "topics", cursor, limit, prefix=prefix or None)

    def topics(self, prefix: str = "") -> Iterator[Topic]:
        """All topics whose names begin so, in order."""
        return self._all(lambda cursor: self.page_topics(cursor, LIMIT, prefix))

    # --- Memberships

    def new_topic_client(self, client: str | bytes, topic: str) -> None:
        """Give a client a topic's key."""
        self._transport.call("PUT", f"{client_path(client)}/topics/{segment(topic)}")

    def new_topic_clients(self, pairs: Iterable[tuple[str | bytes, str]]) -> None:
        """Give up to 1000 clients topics' keys: all, or none if a client or topic is unknown."""
        self._transport.call("POST", "batch/memberships", body=memberships_body(pairs))

    def remove_topic_client(self, client: str | bytes, topic: str) -> None:
        """Have a client forget a topic's key."""
        self._transport.call("DELETE", f"{client_path(client)}/topics/{segment(topic)}")

    def remove_topic_clients(self, pairs: Iterable[tuple[str | bytes, str]]) -> None:
        """Have up to 1000 clients forget topics' keys: all, or none if a client or topic is unknown."""
        self._transport.call("POST", "batch/memberships/remove", body=memberships_body(pairs))

    def import_memberships(self, rows: Iterable[tuple[str | bytes, str]]) -> Iterator[ImportProgress]:
        """Give any number of clients topics' keys; otherwise as `import_clients`."""
        lines = (json_line(membership_body(client, topic)) for client, topic in rows)
        return _imports.import_lines(self._transport, "import/memberships", lines, "jsonl")

    def import_memberships_file(self, file: BinaryIO, format: Format) -> Iterator[ImportProgress]:
        """Import the memberships of a file: CSV with columns ``client`` and ``topic``, or JSON lines."""
        return _imports.import_lines(self._transport, "import/memberships", file, format)

    def count_topics_for_client(self, client: str | bytes) -> int:
        """How many topics' keys a client has been given."""
        return self.get_client(client).topics

    def page_topics_for_client(
        self, client: str | bytes, cursor: str | None = None, limit: int = 100
    ) -> Page[Topic]:
        """Up to `limit` (1 to 1000) of a client's topics in the order of their names."""
        return self._page(Topic, f"{client_path(client)}/topics", cursor, limit)

    def topics_for_client(self, client: str | bytes) -> Iterator[Topic]:
        """All topics of a client, in order."""
        return self._all(lambda cursor: self.page_topics_for_client(client, cursor, LIMIT))

    def count_clients_for_topic(self, topic: str) -> int:
        """How many members a topic has."""
        return self.get_topic(topic).clients

    def page_clients_for_topic(self, topic: str, cursor: str | None = None, limit: int = 100) -> Page[Client]:
        """Up to `limit` (1 to 1000) of a topic's members in the order of their names."""
        return self._page(Client, f"{topic_path(topic)}/clients", cursor, limit)

    def clients_for_topic(self, topic: str) -> Iterator[Client]:
        """All members of a topic, in order."""
        return self._all(lambda cursor: self.page_clients_for_topic(topic, cursor, LIMIT))

    # --- Links and public keys (PK mode)

    def link_client(self, source: str | bytes, target: str | bytes) -> None:
        """Record that the target should hold the source's public key."""
        self._transport.call("PUT", f"{client_path(target)}/links/{segment(name_of(source))}")

    def unlink_client(self, source: str | bytes, target: str | bytes) -> None:
        """Remove a link."""
        self._transport.call("DELETE", f"{client_path(target)}/links/{segment(name_of(source))}")

    def count_linked_clients(self, client: str | bytes) -> int:
        """How many sources are linked to a client."""
        return self.get_client(client).links

    def page_linked_clients(
        self, client: str | bytes, cursor: str | None = None, limit: int = 100
    ) -> Page[Client]:
        """Up to `limit` (1 to 1000) of the sources linked to a client, in the order of their names."""
        return self._page(Client, f"{client_path(client)}/links", cursor, limit)

    def linked_clients(self, client: str | bytes) -> Iterator[Client]:
        """All sources that are linked to a client, in order."""
        return self._all(lambda cursor: self.page_linked_clients(client, cursor, LIMIT))

    def send_client_pubkey(self, target: str | bytes, source: str | bytes) -> None:
        """Send the source's public key to the target."""
        self._transport.call("POST", f"{client_path(target)}/pubkeys/{segment(name_of(source))}")

    def remove_client_pubkey(self, target: str | bytes, source: str | bytes) -> None:
        """Have the target forget the source's public key."""
        self._transport.call("DELETE", f"{client_path(target)}/pubkeys/{segment(name_of(source))}")

    def reset_client_pubkeys(self, target: str | bytes) -> None:
        """Have the target forget all public keys."""
        self._transport.call("POST", f"{client_path(target)}/reset-pubkeys")

    # --- Keys

    def new_client_key(self, client: str | bytes) -> Client:
        """Make a client a new key and send it under the one that it has."""
        return self._one(Client, "POST", f"{client_path(client)}/new-key")

    def new_client_keys(self, clients: Iterable[str | bytes]) -> list[Client]:
        """Make up to 1000 clients new keys: all, or none if one is unknown."""
        return self._list(Client, "POST", "batch/new-key", body=names_body(clients))

    def confirm_client_key(self, client: str | bytes) -> None:
        """Say that a client uses its newest key: older ones are forgotten."""
        self._transport.call("POST", f"{client_path(client)}/confirm-key")

    def new_c2_key(self, force: bool = False) -> Job:
        """Make C2 a new key pair and send the public half to every client. PK mode; asks for `force`."""
        return self._one(Job, "POST", "c2-key", body={"force": force})

    def confirm_c2_key(self) -> None:
        """Say that every client uses C2's newest key: older ones are forgotten."""
        self._transport.call("POST", "c2-key/confirm")

    def c2_public_key(self) -> bytes:
        """C2's X25519 public key, 32 bytes. PK mode."""
        answer = self._transport.call("GET", "c2-key")
        return self._read(lambda: base64.b64decode(answer["public_key"], validate=True))

    # --- Messages

    def protect_message(self, topic: str, data: bytes) -> bytes:
        """Protect data under a topic's key, on the server."""
        return self._message("messages/protect", topic, data, "protected")

    def unprotect_message(self, topic: str, data: bytes) -> bytes:
        """Check and open a protected message, on the server."""
        return self._message("messages/unprotect", topic, data, "data")
