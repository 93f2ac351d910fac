"""``e4 c2 passphrase, migrate``: care for the database of a data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from e4.cli._options import JsonFlag
from e4.cli._output import print_json, shown
from e4.cli.c2._group import Entry, add
from e4.cli.c2._passphrase import PassphraseFile, new_passphrase, read_passphrase
from e4.cli.c2.server import DataOption, settings_of

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands to the group."""
    add(app, "e4 c2", _COMMANDS)


def _passphrase(
    data: DataOption,
    passphrase_file: PassphraseFile = None,
    new_passphrase_file: Annotated[
        Path | None,
        typer.Option(
            "--new-passphrase-file",
            metavar="FILE",
            help="A file whose first line is the new one [or asked for].",
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    from e4.c2 import folder

    configuration = settings_of(data)
    old = read_passphrase(passphrase_file, configuration)
    new = new_passphrase(new_passphrase_file, "New passphrase", environment=False)
    folder.change_passphrase(configuration, old, new)
    kept = configuration.settings.server.passphrase_file
    note = "" if kept is None else f": write the new one into {shown(str(configuration.path(kept)))}"
    _done(as_json, f"the passphrase is changed{note}")


def _migrate(data: DataOption, as_json: JsonFlag = False) -> None:
    from e4.c2 import folder

    folder.migrate(settings_of(data))
    _done(as_json, "the database is of this version")


def _done(as_json: bool, text: str, **members: object) -> None:
    if as_json:
        print_json({"done": True} | members)
    else:
        print(text)


_COMMANDS = (
    Entry(
        "passphrase",
        _passphrase,
        "Change the passphrase of a data folder.",
        "--data /srv/c2",
        "A running server goes on. Backups made before keep the old passphrase.",
    ),
    Entry(
        "migrate",
        _migrate,
        "Bring the database of an older version up to this one.",
        "--data /srv/c2",
        "Stop every server that uses it, and make a backup first: there is no way back.",
    ),
)
