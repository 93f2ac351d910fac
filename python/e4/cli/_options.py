"""Options that several commands share, in groups, and how their texts are read. Knows no command.

A command takes a group as one parameter whose type is a dataclass, which may hold groups in turn;
`with_groups` shows typer the fields in its place.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import getpass
import inspect
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from e4 import _wire, crypto, keys
from e4._names import read_id
from e4.cli._errors import USAGE, Failed, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "Connection",
    "JsonFlag",
    "Password",
    "VerboseFlag",
    "help_if_alone",
    "parse_broker",
    "read_client_id",
    "read_key",
    "read_public_key",
    "with_groups",
]


PASSWORD_VARIABLE = "E4_PASSWORD"

# A parameter as typer sees it, or a group with the shape of its fields.
_Node = inspect.Parameter | tuple[type[Any], dict[str, "_Node"]]

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Let typer see the fields of each parameter that is a dataclass as options of the command."""
    shape = _shape(command)
    parameters = list(_flat(shape))

    @functools.wraps(command)
    def wrapper(**values: Any) -> None:
        command(**_made(shape, values))

    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    return wrapper


def _shape(target: Callable[..., Any]) -> dict[str, _Node]:
    """The parameters of a command or group; for one that is a group, the group and its own shape."""
    hints = get_type_hints(target, include_extras=True)
    shape: dict[str, _Node] = {}
    for name, parameter in inspect.signature(target).parameters.items():
        hint = hints[name]
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            shape[name] = hint, _shape(hint)
        else:
            shape[name] = parameter.replace(annotation=hint, kind=inspect.Parameter.KEYWORD_ONLY)
    return shape


def _flat(shape: dict[str, _Node]) -> Iterator[inspect.Parameter]:
    for node in shape.values():
        if isinstance(node, inspect.Parameter):
            yield node
        else:
            yield from _flat(node[1])


def _made(shape: dict[str, _Node], values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: values[name] if isinstance(node, inspect.Parameter) else node[0](**_made(node[1], values))
        for name, node in shape.items()
    }


def help_if_alone(context: typer.Context) -> None:
    """For a group of commands without a command: its help, as an error."""
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(USAGE)


@dataclass(frozen=True)
class Password:
    """Where a password comes from. Other users of the machine can read the options of a process."""

    password: Annotated[
        str | None,
        typer.Option(
            "--password",
            metavar="TEXT",
            help="The client's password. Visible in the list of processes: rather let e4 ask for it, "
            "or use --password-file or the environment variable E4_PASSWORD.",
        ),
    ] = dataclasses.field(default=None, repr=False)
    password_file: Annotated[
        Path | None,
        typer.Option("--password-file", metavar="FILE", help="A file whose first line is the password."),
    ] = None

    def given(self) -> bool:
        """Whether an option says where the password is."""
        return self.password is not None or self.password_file is not None

    def read(self, prompt: str, *, confirm: bool = False) -> str:
        """The password: from the options, else the environment, else asked for without echo.

        Args:
            prompt: what to ask for.
            confirm: ask twice.

        Raises:
            Usage: two options, or no option and nobody to ask.
        """
        if self.password is not None and self.password_file is not None:
            raise Usage("--password and --password-file exclude each other: give one of them")
        if self.password is not None:
            return self.password
        if self.password_file is not None:
            return read_password_file(self.password_file)
        if PASSWORD_VARIABLE in os.environ:
            return os.environ[PASSWORD_VARIABLE]
        if not sys.stdin.isatty():
            raise Usage(f"no password: give --password-file, or set {PASSWORD_VARIABLE}")
        password = getpass.getpass(f"{prompt}: ")
        if confirm and getpass.getpass("The same again: ") != password:
            raise Failed("the two passwords differ: try again")
        return password


def read_password_file(path: Path) -> str:
    """The first line of a file, without its end. Raises `Failed` where it is not UTF-8."""
    try:
        return path.read_bytes().split(b"\n", 1)[0].removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        raise Failed(f"{path} does not hold UTF-8 text: write the password there as UTF-8") from None


def _log_to_stderr(verbose: bool) -> bool:
    if verbose:
        logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(name)s %(levelname)s %(message)s")
        logging.getLogger("e4").setLevel(logging.DEBUG)
    return verbose


VerboseFlag = Annotated[
    bool, typer.Option("--verbose", help="Log to stderr what happens.", callback=_log_to_stderr)
]


@dataclass(frozen=True)
class Connection:
    """How to reach a broker."""

    broker: Annotated[
        str, typer.Option("--broker", metavar="HOST[:PORT]", help="The broker; port 1883, or 8883 with TLS.")
    ] = "localhost"
    tls: Annotated[
        bool,
        typer.Option("--tls", help="Use TLS; --ca and --cert imply it. The system's CAs count without --ca."),
    ] = False
    ca: Annotated[
        Path | None, typer.Option("--ca", metavar="FILE", help="The CA certificates to trust, PEM.")
    ] = None
    cert: Annotated[
        Path | None, typer.Option("--cert", metavar="FILE", help="The certificate of this side, PEM.")
    ] = None
    tls_key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="The private key of --cert, PEM.")
    ] = None
    mqtt_user: Annotated[
        str | None,
        typer.Option("--mqtt-user", metavar="NAME", help="The user name that the broker asks for."),
    ] = None
    mqtt_password_file: Annotated[
        Path | None,
        typer.Option("--mqtt-password-file", metavar="FILE", help="A file whose first line is its password."),
    ] = None
    mqtt_version: Annotated[
        str, typer.Option("--mqtt-version", metavar="3.1.1|5", help="The version of MQTT.")
    ] = "3.1.1"
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="How long to wait for the broker.")
    ] = 10.0
    verbose: VerboseFlag = False

    def uses_tls(self) -> bool:
        """Whether the options ask for TLS."""
        return self.tls or self.ca is not None or self.cert is not None

    def address(self) -> tuple[str, int]:
        """Host and port. Raises `Usage`."""
        return parse_broker(self.broker, 8883 if self.uses_tls() else 1883)

    def arguments(self) -> dict[str, Any]:
        """The arguments that everything in `e4.mqtt` takes for a connection."""
        from e4.mqtt import TLS

        host, port = self.address()
        file = self.mqtt_password_file
        return {
            "host": host,
            "port": port,
            "tls": TLS(self.ca, self.cert, self.tls_key) if self.uses_tls() else None,
            "username": self.mqtt_user,
            "password": None if file is None else read_password_file(file),
            "version": self.mqtt_version,
        }

    def check(self) -> None:
        """Raises `Usage` for options that do not go together."""
        self.address()
        if self.mqtt_version not in ("3.1.1", "5"):
            raise Usage("--mqtt-version is 3.1.1 or 5")
        if self.tls_key is not None and self.cert is None:
            raise Usage("--key goes with --cert: give the certificate of this key too")
        if self.mqtt_password_file is not None and self.mqtt_user is None:
            raise Usage("--mqtt-password-file goes with --mqtt-user: give the user's name too")


def parse_broker(text: str, default_port: int) -> tuple[str, int]:
    """Host and port of ``HOST``, ``HOST:PORT``, ``[IPv6]`` or ``[IPv6]:PORT``.

    Raises:
        Usage: anything else.
    """
    host, separator, port = text.rpartition(":")
    if (text.startswith("[") and text.endswith("]")) or not separator:
        host, port = text, str(default_port)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host or "/" in host:
        host = ""
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise Usage("--broker is HOST or HOST:PORT, as in localhost:1883 or [::1]:1883")
    return host, int(port)


def read_client_id(name: str | None, id: str | None, options: str) -> bytes:
    """The id of the client that one of two options names.

    Args:
        name: the client's name.
        id: its id, 32 hex digits.
        options: both options, for the error: ``--to NAME or --to-id HEX``.

    Raises:
        Usage: neither or both, or not an id.
        InvalidName: not a name.
    """
    if (name is None) == (id is None):
        raise Usage(f"which client is not clear: give one of {options}")
    if name is not None:
        return crypto.hash_id_alias(name)
    with contextlib.suppress(ValueError):
        return read_id(bytes.fromhex(id or ""))
    raise Usage(f"an id is {2 * _wire.ID_LEN} hex digits")


def read_key(path: Path, length: int, made_by: str) -> bytes:
    """The key in a file.

    Args:
        path: the file.
        length: how many bytes it must hold.
        made_by: the command that makes such a file, for who has none yet.

    Raises:
        Failed: there is no such file.
        InvalidKey: it holds another number of bytes.
        StoreError: it cannot be read.
    """
    if not path.exists():
        raise Failed(f"{path} does not exist: make it with '{made_by} --out {path}'")
    return keys.read_key_file(path, length)


def read_public_key(text: str) -> bytes:
    """A public key: its file, or 64 hex digits (a file of such a name is ``./NAME``).

    Raises:
        Failed: there is no such file.
        InvalidKey: it holds another number of bytes.
        StoreError: it cannot be read.
    """
    if len(text) == 2 * _wire.PUBLIC_KEY_LEN:
        with contextlib.suppress(ValueError):
            return bytes.fromhex(text)
    if not os.path.exists(text):
        raise Failed(
            f"{text} does not exist: give the file or the {2 * _wire.PUBLIC_KEY_LEN} hex digits of a key"
        )
    return keys.read_key_file(text, _wire.PUBLIC_KEY_LEN)
