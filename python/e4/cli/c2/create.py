"""``e4 c2 client create``: register a client, with a key that is there, derived or made."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from e4 import _wire, crypto, keys
from e4.c2.model import Mode
from e4.cli._errors import Failed, Usage
from e4.cli._options import JsonFlag, Password, read_client_id, read_key, with_groups
from e4.cli._output import shown
from e4.cli.c2._access import Access
from e4.cli.c2._show import document, json_of
from e4.errors import E4Error, NotFound, Unavailable

__all__ = ["register"]

_HELP = """Register a client with its key.

\b
The key is one of these:
  a new one        written to the file of --out, readable by you alone; give it to the client
  --key-file       one that is there: 32 bytes, in public-key mode those of the public key
  --from-password  derived from the client's password, which e4 asks for if nothing gives it

In public-key mode only the public key goes to the server: of a new pair FILE.pub, of a password the
public half of what it derives.

\b
Examples:
  e4 c2 client create alice --out alice.key
  e4 c2 client create bob --key-file bob.key
  e4 c2 client create carol --from-password
  e4 c2 client create --id 00112233445566778899aabbccddeeff --key-file device.key
"""


@dataclass(frozen=True)
class _Source:
    """Where the key comes from."""

    password: Password
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file",
            metavar="FILE",
            help="The client's key; in public-key mode its public key: 32 bytes.",
        ),
    ] = None
    from_password: Annotated[
        bool, typer.Option("--from-password", help="Derive the key from the client's password.")
    ] = False
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Make a new key and write it there.")
    ] = None
    print_key: Annotated[bool, typer.Option("--print-key", help="Make a new key and print it in hex.")] = (
        False
    )

    def check(self) -> None:
        """Raises `Usage` for options that do not go together, `Failed` for a file that is there."""
        derives = self.from_password or self.password.given()
        makes = self.out is not None or self.print_key
        if sum((derives, makes, self.key_file is not None)) != 1:
            raise Usage(
                "which key is not clear: give one of --key-file FILE, --from-password, "
                "or --out FILE for a new one"
            )
        if self.out is not None and (not self.out.name or self.out.name == ".."):
            raise Usage("--out is the name of a file")
        if self.out is not None and self.out.exists():
            raise Failed(f"{self.out} exists already: choose another name")


@dataclass(frozen=True)
class _Made:
    """A key for the server, and what was made of it here."""

    key: bytes  # the symmetric or the public one
    private: bytes | None = None  # a new one: the symmetric or the private one

    def public(self) -> bytes | None:
        """The public half of a new key pair."""
        return None if self.private is None or self.private == self.key else self.key


def register(group: typer.Typer) -> None:
    """Add the command to the group of commands."""
    group.command("create", help=_HELP, short_help="Register a client with its key.")(with_groups(_create))


def _create(
    source: _Source,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The client's name.")] = None,
    id: Annotated[
        str | None, typer.Option("--id", metavar="HEX", help="Its 16-byte id, for a client without a name.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Give a client that is registered already this key.")
    ] = False,
    as_json: JsonFlag = False,
    *,
    access: Access,
) -> None:
    source.check()
    if (name is None) == (id is None):
        raise Usage("which client is not clear: give its name or --id")
    client = name if name is not None else read_client_id(None, id, "--id HEX")
    label = shown(name) if name is not None else f"{id}"
    with access.remote() as remote:
        if not replace:
            with contextlib.suppress(NotFound):
                remote.get_client(client)
                raise Failed(f"the client {label} exists already: give it another key with --replace")
        made = _key(source, remote.get_crypto_mode(), label)
        # The file is there before the client is: a key that only the server knew would be no use.
        if source.out is not None and made.private is not None:
            keys.write_key_file(source.out, made.private, public_key=made.public())
        try:
            created = remote.new_client(client, made.key)
        except Unavailable:
            raise  # nobody knows whether it was done: the file stays
        except E4Error:
            _take_back(source, made)
            raise
    if as_json:
        document(
            json_of(created)
            | {"key_file": None if source.out is None else str(source.out)}
            | ({"key": made.private.hex()} if source.print_key and made.private is not None else {})
        )
        return
    print(f"client {shown(created.name)} registered, id {created.id.hex()}")
    if source.out is not None:
        print(f"{'private key' if made.public() else 'key'} written to {shown(str(source.out))}")
        if made.public():
            print(f"public key written to {shown(str(keys.public_path(source.out)))}")
    if source.print_key and made.private is not None:
        print(f"{'private key' if made.public() else 'key'} {made.private.hex()}")


def _key(source: _Source, mode: Mode, label: str) -> _Made:
    """The client's key, from where the options say."""
    if source.key_file is not None:
        return _Made(_from_file(source.key_file, mode))
    if source.from_password or source.password.given():
        password = source.password.read(f"Password of {label}", confirm=True)
        if mode == "symkey":
            return _Made(crypto.derive_sym_key(password))
        return _Made(crypto.ed25519_public_key(crypto.ed25519_private_key_from_password(password)))
    if mode == "symkey":
        key = crypto.random_key()
        return _Made(key, key)
    private = crypto.random_ed25519_private_key()
    return _Made(crypto.ed25519_public_key(private), private)


def _from_file(path: Path, mode: Mode) -> bytes:
    if mode == "symkey":
        return read_key(path, _wire.KEY_LEN, "e4 keygen symmetric")
    if path.exists() and path.stat().st_size == _wire.PRIVATE_KEY_LEN:
        raise Failed(f"{path} is as long as a private key: give {keys.public_path(path)}, the public one")
    return read_key(path, _wire.PUBLIC_KEY_LEN, "e4 keygen ed25519")


def _take_back(source: _Source, made: _Made) -> None:
    """Remove the files of a client that was refused."""
    if source.out is None or made.private is None:
        return
    for path in (source.out, keys.public_path(source.out)) if made.public() else (source.out,):
        path.unlink(missing_ok=True)
