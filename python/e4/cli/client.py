"""``e4 client``: one client on a broker, at a terminal or through pipes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from e4 import _wire, crypto
from e4.cli._errors import FAILED, Failed, Usage
from e4.cli._options import Connection, JsonFlag, Password, read_key, read_public_key, with_groups
from e4.cli._output import colours, shown
from e4.client import (
    Client,
    FileStore,
    PubIdAndKey,
    PubNameAndPassword,
    SymIdAndKey,
    SymNameAndPassword,
)
from e4.errors import InvalidState

if TYPE_CHECKING:
    from e4.client import ClientConfig

__all__ = ["register", "state_path"]

_HELP = """Be a client on a broker: publish protected messages, print those that arrive, obey C2's commands.

The first run makes the client, from --name and a password (asked for if nothing is given) or
--key-file, and keeps its state in a file; later runs take it from there and need only --name.

\b
Commands, one on a line ('help' lists them inside):
  e4msg TOPIC TEXT      publish a protected message
  clearmsg TOPIC TEXT   publish a message in clear, on a topic without a key
  subscribe TOPIC       print what is published there
  unsubscribe TOPIC     end that
  print-key             print the id and the public key
  exit                  leave

Without a terminal it reads commands from its input up to the end, prints one line for each event, and
exits with 1 if a command failed.

\b
Examples:
  e4 client --name alice --broker localhost:1883
  e4 client --name alice --pubkey --c2-pubkey c2.key.pub
  echo 'e4msg room hello' | e4 client --name alice --password-file alice.password
"""

# What becomes of a file name that would be longer than file systems take.
_LONGEST_NAME = 200


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("client", help=_HELP, short_help="Be a client on a broker.")(with_groups(_client))


def state_path(name: str) -> Path:
    """Where the state of the client of this name is kept if ``--state`` does not say.

    Raises:
        Failed: the user has no home folder.
    """
    try:
        base = _state_folder()
    except RuntimeError:
        raise Failed("there is no home folder to keep the client's state in: give --state FILE") from None
    file = quote(name, safe=" ")
    return base / "e4" / f"{file if len(file) <= _LONGEST_NAME else crypto.hash_id_alias(name).hex()}.json"


def _state_folder() -> Path:
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or "~/AppData/Local").expanduser()
    # A relative path there is to be ignored, says the XDG Base Directory Specification.
    folder = Path(os.environ.get("XDG_STATE_HOME") or "")
    return folder if folder.is_absolute() else Path("~/.local/state").expanduser()


def _client(
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The client's name.")],
    password: Password,
    connection: Connection,
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file",
            metavar="FILE",
            help="The client's key instead of a password: 32 bytes, or 64 with --pubkey.",
        ),
    ] = None,
    pubkey: Annotated[
        bool, typer.Option("--pubkey", help="Public-key mode; without it, symmetric-key mode.")
    ] = False,
    c2_pubkey: Annotated[
        str | None,
        typer.Option(
            "--c2-pubkey", metavar="FILE|HEX", help="C2's public key, for public-key mode: 32 bytes."
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state",
            metavar="FILE",
            help="Where the client's state is kept.",
            show_default="one for each name",
        ),
    ] = None,
    qos: Annotated[
        int, typer.Option("--qos", min=0, max=2, metavar="0|1|2", help="With which QoS to publish.")
    ] = 2,
    keep_session: Annotated[
        bool,
        typer.Option(
            "--keep-session", help="Have the broker keep commands and messages while the client is away."
        ),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    connection.check()
    if c2_pubkey is not None and not pubkey:
        raise Usage("--c2-pubkey is for public-key mode: give --pubkey too")
    if key_file is not None and password.given():
        raise Usage("a password and --key-file exclude each other: give one of them")
    id = crypto.hash_id_alias(name)
    store = FileStore(_default_path(name) if state is None else state)
    if store.exists():
        client = _load(store, id, name, pubkey)
        if password.given() or key_file is not None or c2_pubkey is not None:
            print("e4: the client exists already: the keys given are not used", file=sys.stderr)
    else:
        config = _config(name, password, key_file, pubkey, c2_pubkey)
        client = Client.create(config, store)
        print(f"e4: new client {shown(name)}, kept in {shown(str(store.path))}", file=sys.stderr)
    with client:
        settings = {"clean_session": not keep_session, **connection.arguments()}
        if not _run(client, shown(name), settings, connection.timeout, qos, as_json):
            raise typer.Exit(FAILED)


def _default_path(name: str) -> Path:
    path = state_path(name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _load(store: FileStore, id: bytes, name: str, pubkey: bool) -> Client:
    """The client as it is stored, if it is the one that the options speak of."""
    try:
        client = Client.load(store)
    except InvalidState as error:
        raise Failed(f"{store.path} holds no valid state, and was left as it is: {error}") from error
    problem = None
    if client.id != id:
        problem = (
            f"holds another client (id {client.id.hex()}), not {name}: give its name, or another --state"
        )
    elif client.mode == "symkey" and pubkey:
        problem = f"holds {name} in symmetric-key mode: leave out --pubkey, or give another --state"
    elif client.mode == "pubkey" and not pubkey:
        problem = f"holds {name} in public-key mode: add --pubkey, or give another --state"
    if problem is not None:
        client.close()
        raise Failed(f"{store.path} {problem}")
    return client


def _config(
    name: str, password: Password, key_file: Path | None, pubkey: bool, c2_pubkey: str | None
) -> ClientConfig:
    """How to make a client that is not stored yet."""
    prompt = f"Password of {shown(name)}"
    if not pubkey:
        if key_file is not None:
            return SymIdAndKey(
                crypto.hash_id_alias(name), read_key(key_file, _wire.KEY_LEN, "e4 keygen symmetric")
            )
        return SymNameAndPassword(name, password.read(prompt, confirm=True))
    if c2_pubkey is None:
        raise Usage("a new client in public-key mode needs C2's public key: give --c2-pubkey")
    c2_public_key = read_public_key(c2_pubkey)
    if key_file is not None:
        private_key = read_key(key_file, _wire.PRIVATE_KEY_LEN, "e4 keygen ed25519")
        return PubIdAndKey(crypto.hash_id_alias(name), private_key, c2_public_key)
    return PubNameAndPassword(name, password.read(prompt, confirm=True), c2_public_key)


def _run(
    client: Client,
    name: str,
    settings: dict[str, Any],
    timeout: float,
    qos: int,
    as_json: bool,
) -> bool:
    """Connect and carry out commands. Returns whether it went well."""
    from e4.cli._shell import Shell
    from e4.cli._teller import Teller
    from e4.cli._terminal import Pipe, Terminal
    from e4.mqtt import ClearTopics, SecureClient

    at_terminal = sys.stdin.isatty() and sys.stdout.isatty() and not as_json
    lines = Terminal(f"{name}> ", lambda line: shell.complete(line)) if at_terminal else Pipe()
    teller = Teller(lines, as_json=as_json, colour=at_terminal and colours(sys.stdout))
    # Which message goes in clear, the shell decides one by one; the border below it still keeps to
    # itself what belongs to a topic that has a key, or had one in this run.
    secure = SecureClient(
        client,
        clear=ClearTopics(incoming=["#"], outgoing=["#"]),
        on_message=teller.message,
        on_refused=teller.refused,
        on_command=teller.command,
        on_connect=teller.connected,
        on_disconnect=teller.disconnected,
        on_error=lambda error: shell.background_error(error),
        connect_timeout=min(timeout, 5.0),
        max_delay=10.0,
        **settings,
    )
    shell = Shell(secure, teller, qos, timeout)
    waits = 0.0
    try:
        secure.connect(timeout)
        # Who types a command sees it fail; the exit code is for scripts.
        well = shell.run(lines, numbered=not at_terminal) or at_terminal
        waits = timeout
    except KeyboardInterrupt:
        if lines.broken:
            raise BrokenPipeError from None
        raise
    finally:
        left = shell.leave(waits)
        lines.close()
    return well and left
