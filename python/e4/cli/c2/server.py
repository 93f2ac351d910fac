"""``e4 c2 init, serve, config``: on the key server's own machine, in its data folder."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from e4.cli._errors import Usage
from e4.cli._options import JsonFlag, parse_broker, with_groups
from e4.cli._output import print_json, shown
from e4.cli.c2._passphrase import VARIABLE, PassphraseFile, new_passphrase, read_passphrase

if TYPE_CHECKING:
    from e4.c2.folder import Made
    from e4.c2.model import Mode
    from e4.c2.settings import Configuration

__all__ = ["DataOption", "NewFolder", "register", "settings_of", "tell_made"]

DATABASE_VARIABLE = "E4_C2_DATABASE_URL"
_MODES = {"symkey": "symmetric-key", "pubkey": "public-key"}
_TOKEN_FILE = "admin.token"

DataOption = Annotated[Path, typer.Option("--data", metavar="DIR", help="The key server's data folder.")]

_INIT = """Make the data folder of a new key server.

It gets a settings file, a database (SQLite unless --database names a PostgreSQL one), a certificate
for localhost unless --certificate names another, and a first token for its administrator, which is
printed this once. Keys in the database are sealed, and the passphrase opens them: without it, the
database is of no use to anybody. There is no way to recover it.

\b
Examples:
  e4 c2 init --data /srv/c2
  e4 c2 init --data /srv/c2 --mode pubkey --passphrase-file /run/secrets/c2
"""
_SERVE = """Run the key server of a data folder, until SIGTERM or Ctrl-C.

One process serves HTTP and gRPC, both with TLS, and sends clients their commands over the MQTT broker.
It logs to stdout, one JSON object on each line. A broker that is away is waited for.

With --dev it starts a broker of its own (amqtt, from e4's extra 'demo') and makes the data folder if
there is none, passphrase and token in it: everything there is, for trying out.

\b
Examples:
  e4 c2 serve --data try --dev
  e4 c2 serve --data /srv/c2 --broker broker.example:1883 --http 0.0.0.0:8888
"""
_CONFIG = """Print the settings in force and where each comes from. No secret is among them.

An option of 'e4 c2 serve' counts more than the environment, and that more than config.toml in the
data folder.

\b
Example:
  e4 c2 config --data /srv/c2
"""


def register(app: typer.Typer) -> None:
    """Add the commands to the group."""
    app.command("init", help=_INIT, short_help="Make the data folder of a new key server.")(
        with_groups(_init)
    )
    app.command("serve", help=_SERVE, short_help="Run the key server.")(with_groups(_serve))
    app.command("config", help=_CONFIG, short_help="Print the settings in force.")(_config)


@dataclass(frozen=True)
class NewFolder:
    """What a new data folder gets from outside."""

    database: Annotated[
        str | None,
        typer.Option(
            "--database",
            metavar="URL",
            help=f"postgresql://USER@HOST/NAME, empty; a password rather in {DATABASE_VARIABLE}.",
        ),
    ] = field(default=None, repr=False)
    certificate: Annotated[
        Path | None,
        typer.Option("--certificate", metavar="FILE", help="The server's certificate chain, PEM."),
    ] = None
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="The private key of --certificate, PEM.")
    ] = None
    host: Annotated[
        list[str] | None,
        typer.Option("--host", metavar="NAME", help="One more name or address for the certificate made."),
    ] = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise Usage("--certificate and --key go together: give both")
        if self.certificate is not None and self.host:
            raise Usage("--host is for a certificate that is made: leave it out with --certificate")

    def arguments(self) -> dict[str, object]:
        """As `e4.c2.folder.make` takes them."""
        pair = None if self.certificate is None else (self.certificate, self.key)
        return {
            "database": self.database or os.environ.get(DATABASE_VARIABLE),
            "certificate": pair,
            "hosts": self.host or (),
        }


def settings_of(
    data: Path, options: dict[str, tuple[str, object]] | None = None, *, check: bool = True
) -> Configuration:
    """The settings of a data folder, with the environment's. Raises `Usage` where there is no such folder."""
    from e4.c2 import settings

    if check and not (data / settings.FILE).is_file():
        raise Usage(f"{data} is not a key server's data folder: make it with 'e4 c2 init --data {data}'")
    return settings.load(data.absolute(), os.environ, options)


def tell_made(made: Made, data: Path, as_json: bool) -> None:
    """Say what was made, with the token."""
    if as_json:
        print_json(
            {
                "folder": str(made.folder),
                "mode": made.mode,
                "token": made.token,
                "certificate": str(made.certificate),
                "fingerprint": made.fingerprint,
                "c2_public_key": None if made.c2_public_key is None else made.c2_public_key.hex(),
            }
        )
        return
    for line in _made_lines(made):
        print(line)
    if made.token is None:
        return
    certificate = shlex.quote(str(made.certificate))
    print()
    print("The token is shown this once. To start the server, and to use it from another terminal:")
    print(f"  e4 c2 serve --data {shown(shlex.quote(str(data)))}")
    print(f"  e4 c2 login --url https://localhost:8888 --ca {shown(certificate)}")


def _made_lines(made: Made) -> list[str]:
    lines = [
        f"data folder   {shown(str(made.folder))}, {_MODES[made.mode]} mode",
        f"certificate   {shown(str(made.certificate))}",
        f"  SHA-256     {made.fingerprint}",
    ]
    if made.c2_public_key is not None:
        lines.append(f"C2 public key {made.c2_public_key.hex()}")
    if made.token is not None:
        lines.append(f"admin token   {made.token}")
    return lines


def _init(
    data: DataOption,
    new: NewFolder,
    mode: Annotated[
        str, typer.Option("--mode", metavar="symkey|pubkey", help="Symmetric or public keys; for good.")
    ] = "symkey",
    passphrase_file: PassphraseFile = None,
    as_json: JsonFlag = False,
) -> None:
    from e4.c2 import folder

    if mode not in _MODES:
        raise Usage("--mode is symkey or pubkey")
    folder.check_free(data)
    passphrase = new_passphrase(passphrase_file, "Passphrase for the new key server")
    made = folder.make(data, mode=_mode(mode), passphrase=passphrase, **new.arguments())  # type: ignore[arg-type]
    tell_made(made, data, as_json)


def _mode(text: str) -> Mode:
    return "pubkey" if text == "pubkey" else "symkey"


def _serve(
    data: DataOption,
    broker: Annotated[
        str | None,
        typer.Option("--broker", metavar="HOST[:PORT]", help="The MQTT broker; [localhost:1883]."),
    ] = None,
    http: Annotated[
        str | None,
        typer.Option("--http", metavar="HOST:PORT", help="Where HTTP listens; [127.0.0.1:8888]."),
    ] = None,
    grpc: Annotated[
        str | None,
        typer.Option("--grpc", metavar="HOST:PORT", help="Where gRPC listens; [127.0.0.1:5555]."),
    ] = None,
    auth: Annotated[
        str | None,
        typer.Option("--auth", metavar="none", help="Ask nobody for a token; on loopback addresses only."),
    ] = None,
    passphrase_file: PassphraseFile = None,
    dev: Annotated[
        bool, typer.Option("--dev", help="For trying out: with a broker, and a data folder if need be.")
    ] = False,
) -> None:
    if auth not in (None, "none"):
        raise Usage("--auth can only be none; without it every call needs a token")
    if dev and broker is not None:
        raise Usage("--dev brings its own broker: leave out --broker or --dev")
    options: dict[str, tuple[str, object]] = {}
    if broker is not None:
        host, port = parse_broker(broker, 0)
        options["broker.host"] = "--broker", host
        if port:
            options["broker.port"] = "--broker", port
    if http is not None:
        options["http.address"] = "--http", http
    if grpc is not None:
        options["grpc.address"] = "--grpc", grpc
    if auth is not None:
        options["auth.required"] = "--auth", False
    with contextlib.ExitStack() as stack:
        if dev:
            _prepare_dev(data, passphrase_file, http)
            options |= _dev_broker(stack)
        _run(settings_of(data, options), passphrase_file, announce=dev or sys.stderr.isatty())


def _run(configuration: Configuration, passphrase_file: Path | None, *, announce: bool) -> None:
    # gRPC's core reads this when it is loaded. It would tell of every port scan, on stderr, in its own form.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from e4.c2.app import Server

    server = Server(configuration, read_passphrase(passphrase_file, configuration))
    server.run(_announce if announce else None)


def _announce(line: str) -> None:
    print(shown(line), file=sys.stderr, flush=True)


def _prepare_dev(data: Path, passphrase_file: Path | None, http: str | None) -> None:
    """Make the data folder for trying out, if there is none."""
    from e4.c2 import folder
    from e4.c2.settings import FILE

    if (data / FILE).is_file():
        return
    folder.check_free(data)
    given = passphrase_file is not None or VARIABLE in os.environ
    passphrase = new_passphrase(passphrase_file, "", keep=True) if given else secrets.token_urlsafe(24)
    made = folder.make(data, mode="symkey", passphrase=passphrase, keep_passphrase=not given)
    token = made.folder / _TOKEN_FILE
    folder.write_secret(token, f"{made.token}\n".encode())
    for line in (
        *_made_lines(made),
        "",
        "This folder is for trying out: the passphrase that protects its keys, and the token, are in it.",
        "From another terminal:",
        f"  e4 c2 login --url https://{http or 'localhost:8888'} --ca {shlex.quote(str(made.certificate))} "
        f"--token-file {shlex.quote(str(token))}",
        "",
    ):
        _announce(line)


def _dev_broker(stack: contextlib.ExitStack) -> dict[str, tuple[str, object]]:
    """Start a broker that ends with this process, however that ends."""
    from e4.cli._demo_cast import start_broker

    port = stack.enter_context(start_broker(1883))
    return {
        name: ("--dev", value)
        for name, value in {
            "broker.host": "127.0.0.1",
            "broker.port": port,
            "broker.version": "3.1.1",  # the most that it speaks
            "broker.tls": False,
            "broker.ca": None,
            "broker.certificate": None,
            "broker.key": None,
            "broker.username": None,
            "broker.password_file": None,
        }.items()
    }


def _config(data: DataOption, as_json: JsonFlag = False) -> None:
    configuration = settings_of(data)
    values = configuration.in_force()
    if as_json:
        print_json(
            {name: {"value": value, "from": configuration.origins[name]} for name, value in values.items()}
        )
        return
    width = max(len(name) for name in values)
    texts = {name: _text(value) for name, value in values.items()}
    column = min(40, max(len(text) for text in texts.values()))
    for name, text in texts.items():
        print(f"{name:{width}}  {text:{column}}  {shown(configuration.origins[name])}")


def _text(value: object) -> str:
    if value is None:
        return "-"
    return str(value).lower() if isinstance(value, bool) else shown(str(value))
