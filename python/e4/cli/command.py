"""``e4 command``: make a command, protect it for one client, and publish it or print it."""

from __future__ import annotations

import base64
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from e4 import _wire, commands, crypto
from e4.cli._errors import Usage
from e4.cli._options import (
    Connection,
    JsonFlag,
    Password,
    help_if_alone,
    read_client_id,
    read_key,
    read_public_key,
    with_groups,
)
from e4.cli._output import print_json, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from e4.commands import Command

__all__ = ["register"]

_MAKE_SYMMETRIC = "e4 keygen symmetric"
_MAKE_ED25519 = "e4 keygen ed25519"
_MAKE_CURVE25519 = "e4 keygen curve25519"
_FORMATS = ("hex", "base64", "raw")

_HELP = """Send a client a command without a key server.

The command is protected with the key that the client shares with C2, and published with QoS 2 on
the client's control topic. e4 waits for the broker's acknowledgement; whether the client is there
and accepts the command, only the client knows.

\b
Which client: --to NAME or --to-id HEX.
Its key, in symmetric-key mode: its password (asked for if nothing is given), or --client-key FILE.
Its key, in public-key mode: --c2-key FILE with --client-pubkey FILE (or with its password).

\b
Examples:
  e4 command set-topic-key --to alice --topic room --key-file room.key
  e4 command remove-topic --to alice --topic room --password-file alice.password
  e4 command reset-pub-keys --to alice --c2-key c2.key --client-pubkey alice.key.pub

'e4 command COMMAND --help' lists the options of one command.
"""


@dataclass(frozen=True)
class Recipient:
    """The client that the command is for, and where its key is."""

    to: Annotated[str | None, typer.Option("--to", metavar="NAME", help="The client, by name.")] = None
    to_id: Annotated[
        str | None, typer.Option("--to-id", metavar="HEX", help="The client, by its 16-byte id.")
    ] = None
    client_key: Annotated[
        Path | None,
        typer.Option("--client-key", metavar="FILE", help="The client's key, symmetric-key mode: 32 bytes."),
    ] = None
    c2_key: Annotated[
        Path | None,
        typer.Option("--c2-key", metavar="FILE", help="C2's private key, public-key mode: 32 bytes."),
    ] = None
    client_pubkey: Annotated[
        str | None,
        typer.Option(
            "--client-pubkey", metavar="FILE|HEX", help="The client's public key, public-key mode: 32 bytes."
        ),
    ] = None

    @property
    def public_key_mode(self) -> bool:
        """Whether the options are those of a client in public-key mode."""
        return self.c2_key is not None

    def id(self) -> bytes:
        """The client's id. Raises `Usage`, `InvalidName`."""
        return read_client_id(self.to, self.to_id, "--to NAME or --to-id HEX")

    def label(self) -> str:
        """The client, for people."""
        return shown(self.to) if self.to is not None else f"client {(self.to_id or '').lower()}"

    def key(self, password: Password) -> bytes:
        """The key that the client shares with C2, 32 bytes.

        Raises:
            Usage: options that do not go together.
            Failed, InvalidKey, InvalidPassword, StoreError: what they lead to cannot be used.
        """
        if self.client_key is not None and (self.c2_key is not None or self.client_pubkey is not None):
            raise Usage(
                "--client-key is for symmetric-key mode, --c2-key and --client-pubkey for public-key mode"
            )
        if password.given() and (self.client_key is not None or self.client_pubkey is not None):
            raise Usage("a password and a key file of the client exclude each other: give one of them")
        if self.client_pubkey is not None and self.c2_key is None:
            raise Usage("--client-pubkey goes with --c2-key: give C2's private key too")
        if self.client_key is not None:
            return read_key(self.client_key, _wire.KEY_LEN, _MAKE_SYMMETRIC)
        if self.c2_key is None:
            return crypto.derive_sym_key(password.read(f"Password of {self.label()}"))
        c2_key = read_key(self.c2_key, _wire.KEY_LEN, _MAKE_CURVE25519)
        if self.client_pubkey is not None:
            public_key = read_public_key(self.client_pubkey)
        else:
            private_key = crypto.ed25519_private_key_from_password(
                password.read(f"Password of {self.label()}")
            )
            public_key = crypto.ed25519_public_key(private_key)
        return crypto.c2_shared_key(c2_key, crypto.public_ed25519_key_to_curve25519(public_key))


@dataclass(frozen=True)
class Delivery:
    """What becomes of the protected command."""

    retain: Annotated[
        bool,
        typer.Option("--retain/--no-retain", help="Whether the broker keeps the command for the client."),
    ] = True
    print_format: Annotated[
        str | None,
        typer.Option(
            "--print", metavar="hex|base64|raw", help="Print the protected command; publish nothing."
        ),
    ] = None
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the protected command's bytes; publish nothing."),
    ] = None
    as_json: JsonFlag = False

    def check(self) -> None:
        """Raises `Usage` for options that do not go together."""
        if self.print_format is not None and self.print_format not in _FORMATS:
            raise Usage("--print is hex, base64 or raw")
        if self.as_json and self.print_format == "raw":
            raise Usage("--json holds no raw bytes: give --print hex or --print base64")

    @property
    def publishes(self) -> bool:
        """Whether the command goes to the broker."""
        return self.print_format is None and self.out is None


@dataclass(frozen=True)
class Sending:
    """All the options that every command has."""

    recipient: Recipient
    password: Password
    delivery: Delivery
    connection: Connection

    def needs_public_key_mode(self, name: str) -> None:
        """Raises `Usage` for a recipient in symmetric-key mode, which would refuse the command."""
        if not self.recipient.public_key_mode:
            raise Usage(f"{name} is for clients in public-key mode: give --c2-key and --client-pubkey")

    def send(self, name: str, make: Callable[[], Command]) -> None:
        """Make the command, protect it, and publish or print it.

        Args:
            name: the command's name.
            make: makes the command.
        """
        self.delivery.check()
        self.connection.check()
        id = self.recipient.id()
        command = make()
        message = crypto.protect_sym_key(command.encode(), self.recipient.key(self.password))
        topic = crypto.topic_for_id(id)
        done: dict[str, Any] = {
            "command": name,
            "client": self.recipient.to,
            "id": id.hex(),
            "topic": topic,
            "published": self.delivery.publishes,
        }
        if self.delivery.publishes:
            self._publish(topic, message)
            if self.delivery.as_json:
                print_json(done | {"retain": self.delivery.retain})
            else:
                print(f"{name} for {self.recipient.label()} published on {topic}, acknowledged by the broker")
            return
        if self.delivery.out is not None:
            self.delivery.out.write_bytes(message)
        self._print(topic, message, done)

    def _publish(self, topic: str, message: bytes) -> None:
        from e4.mqtt import publish_command  # paho-mqtt, only where a broker is asked for

        publish_command(
            topic,
            message,
            retain=self.delivery.retain,
            timeout=self.connection.timeout,
            **self.connection.arguments(),
        )

    def _print(self, topic: str, message: bytes, done: dict[str, Any]) -> None:
        text = message.hex() if self.delivery.print_format == "hex" else base64.b64encode(message).decode()
        if self.delivery.as_json:
            out = self.delivery.out
            print_json(done | {"message": text, "file": None if out is None else str(out)})
            return
        if self.delivery.print_format == "raw":
            sys.stdout.buffer.write(message)
            sys.stdout.buffer.flush()
        elif self.delivery.print_format is not None:
            print(text)
        # Not on stdout: what is there goes into a file or another program.
        print(f"publish it within 10 minutes on {topic} with QoS 2", file=sys.stderr)


_Topic = Annotated[str, typer.Option("--topic", metavar="TOPIC", help="The topic.")]
_OfName = Annotated[
    str | None, typer.Option("--of", metavar="NAME", help="The client whose public key it is, by name.")
]
_OfId = Annotated[
    str | None, typer.Option("--of-id", metavar="HEX", help="The client whose public key it is, by its id.")
]
_OF = "--of NAME or --of-id HEX"


def _set_topic_key(
    topic: _Topic,
    key_file: Annotated[Path, typer.Option("--key-file", metavar="FILE", help="The topic's key: 32 bytes.")],
    sending: Sending,
) -> None:
    sending.send(
        "set-topic-key",
        lambda: commands.set_topic_key(read_key(key_file, _wire.KEY_LEN, _MAKE_SYMMETRIC), topic),
    )


def _remove_topic(topic: _Topic, sending: Sending) -> None:
    sending.send("remove-topic", lambda: commands.remove_topic(topic))


def _reset_topics(sending: Sending) -> None:
    sending.send("reset-topics", commands.reset_topics)


def _set_id_key(
    key_file: Annotated[
        Path,
        typer.Option(
            "--key-file",
            metavar="FILE",
            help="The client's new key: 32 bytes in symmetric-key mode, 64 in public-key mode.",
        ),
    ],
    sending: Sending,
) -> None:
    if sending.recipient.public_key_mode:
        length, made_by = _wire.PRIVATE_KEY_LEN, _MAKE_ED25519
    else:
        length, made_by = _wire.KEY_LEN, _MAKE_SYMMETRIC
    sending.send("set-id-key", lambda: commands.set_id_key(read_key(key_file, length, made_by)))


def _set_pub_key(
    pubkey: Annotated[
        str,
        typer.Option("--pubkey", metavar="FILE|HEX", help="That client's Ed25519 public key: 32 bytes."),
    ],
    sending: Sending,
    of: _OfName = None,
    of_id: _OfId = None,
) -> None:
    sending.needs_public_key_mode("set-pub-key")
    id = read_client_id(of, of_id, _OF)
    sending.send("set-pub-key", lambda: commands.set_pub_key(read_public_key(pubkey), id))


def _remove_pub_key(sending: Sending, of: _OfName = None, of_id: _OfId = None) -> None:
    sending.needs_public_key_mode("remove-pub-key")
    id = read_client_id(of, of_id, _OF)
    sending.send("remove-pub-key", lambda: commands.remove_pub_key(id))


def _reset_pub_keys(sending: Sending) -> None:
    sending.needs_public_key_mode("reset-pub-keys")
    sending.send("reset-pub-keys", commands.reset_pub_keys)


def _set_c2_key(
    c2_pubkey: Annotated[
        str,
        typer.Option("--c2-pubkey", metavar="FILE|HEX", help="C2's new X25519 public key: 32 bytes."),
    ],
    sending: Sending,
) -> None:
    sending.needs_public_key_mode("set-c2-key")
    sending.send("set-c2-key", lambda: commands.set_c2_key(read_public_key(c2_pubkey)))


# Name, function, what it does, and an example of its options.
_PK = "--c2-key c2.key --client-pubkey alice.key.pub"
_COMMANDS: tuple[tuple[str, Callable[..., None], str, str], ...] = (
    (
        "set-topic-key",
        _set_topic_key,
        "Give a client the key of a topic.",
        "--to alice --topic room --key-file room.key",
    ),
    ("remove-topic", _remove_topic, "Make a client forget the keys of a topic.", "--to alice --topic room"),
    ("reset-topics", _reset_topics, "Make a client forget the keys of all topics.", "--to alice"),
    ("set-id-key", _set_id_key, "Replace a client's own key.", "--to alice --key-file new.key"),
    (
        "set-pub-key",
        _set_pub_key,
        "Give a client the public key of another.",
        f"--to alice {_PK} --of bob --pubkey bob.key.pub",
    ),
    ("remove-pub-key", _remove_pub_key, "Make a client forget a public key.", f"--to alice {_PK} --of bob"),
    ("reset-pub-keys", _reset_pub_keys, "Make a client forget all public keys.", f"--to alice {_PK}"),
    (
        "set-c2-key",
        _set_c2_key,
        "Give a client a new public key of C2.",
        f"--to alice {_PK} --c2-pubkey new-c2.key.pub",
    ),
)


def register(app: typer.Typer) -> None:
    """Add the group of commands to the app."""
    group = typer.Typer(rich_markup_mode=None)
    group.callback(
        help=_HELP, short_help="Send a client a command without a key server.", invoke_without_command=True
    )(help_if_alone)
    for name, function, summary, example in _COMMANDS:
        text = f"{summary}\n\n\b\nExample:\n  e4 command {name} {example}\n"
        group.command(name, help=text, short_help=summary)(with_groups(function))
    app.add_typer(group, name="command")
