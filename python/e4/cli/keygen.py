"""``e4 keygen``: make a key, write it to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from e4 import crypto, keys
from e4.cli._errors import Usage
from e4.cli._options import JsonFlag, Password, VerboseFlag, with_groups
from e4.cli._output import print_json, shown

__all__ = ["register"]

SYMMETRIC, ED25519, CURVE25519 = "symmetric", "ed25519", "curve25519"
_KINDS = (SYMMETRIC, ED25519, CURVE25519)

_HELP = """Make a key and write it to a file that only you can read (mode 0600).

\b
symmetric   32 bytes: the key of a topic, or of a client in symmetric-key mode
ed25519     64 bytes: the private key of a client in public-key mode
curve25519  32 bytes: the private key of C2, for clients in public-key mode

The two kinds of key pairs also get FILE.pub, with the 32 bytes of the public key, which may be shown
to anyone. The private key is never printed.

\b
Examples:
  e4 keygen symmetric --out room.key
  e4 keygen curve25519 --out c2.key
  e4 keygen ed25519 --from-password --out alice.key
"""


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("keygen", help=_HELP, short_help="Make a key and write it to a file.")(with_groups(_keygen))


def _keygen(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="symmetric, ed25519 or curve25519.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the key.")],
    password: Password,
    from_password: Annotated[
        bool,
        typer.Option(
            "--from-password", help="Derive the key from a client's password: symmetric or ed25519."
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    as_json: JsonFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    if not out.name or out.name == "..":
        raise Usage("--out is the name of a file")
    if kind not in _KINDS:
        raise Usage(f"there is no kind of key '{shown(kind)}': choose {', '.join(_KINDS[:2])} or {_KINDS[2]}")
    if from_password and kind == CURVE25519:
        raise Usage("a curve25519 key is not derived from a password: leave out --from-password")
    if password.given() and not from_password:
        raise Usage("--password and --password-file go with --from-password: the key is random without it")
    text = password.read("Password of the client", confirm=True) if from_password else None
    key, public_key = _make(kind, text)
    keys.write_key_file(out, key, public_key=public_key, force=force)
    public_file = None if public_key is None else keys.public_path(out)
    if as_json:
        print_json(
            {
                "kind": kind,
                "file": str(out),
                "public_file": None if public_file is None else str(public_file),
                "public_key": None if public_key is None else public_key.hex(),
            }
        )
        return
    print(f"private key written to {shown(str(out))}" if public_key else f"key written to {shown(str(out))}")
    if public_key is not None:
        print(f"public key written to {shown(str(public_file))}")
        print(f"public key {public_key.hex()}")


def _make(kind: str, password: str | None) -> tuple[bytes, bytes | None]:
    """The key and, of a pair, its public half."""
    if kind == SYMMETRIC:
        return (crypto.random_key() if password is None else crypto.derive_sym_key(password)), None
    if kind == ED25519:
        private = (
            crypto.random_ed25519_private_key()
            if password is None
            else crypto.ed25519_private_key_from_password(password)
        )
        return private, crypto.ed25519_public_key(private)
    private = crypto.random_curve25519_private_key()
    return private, crypto.curve25519_public_key(private)
