"""``e4 c2 passphrase, backup, restore, migrate, import-legacy``: care for the database of a data folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from e4 import _wire, keys
from e4.cli._options import JsonFlag
from e4.cli._output import print_json, shown
from e4.cli.c2._group import Entry, add
from e4.cli.c2._passphrase import PassphraseFile, new_passphrase, read_other, read_passphrase
from e4.cli.c2._progress import Progress
from e4.cli.c2.server import DataOption, NewFolder, settings_of, tell_made

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


def _backup(
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The new file.")],
    as_json: JsonFlag = False,
) -> None:
    from e4.c2 import folder

    configuration = settings_of(data)
    with Progress("rows") as progress:
        rows = _Rows(progress)
        folder.back_up(configuration, out, rows)
    _done(as_json, f"backup written to {shown(str(out))}, {rows.done} rows", file=str(out), rows=rows.done)


def _restore(
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="The new data folder.")],
    backup: Annotated[Path, typer.Option("--from", metavar="FILE", help="The backup.")],
    new: NewFolder,
    as_json: JsonFlag = False,
) -> None:
    from e4.c2 import folder

    folder.check_free(data)
    with Progress("rows") as progress:
        made = folder.restore(data, backup, progress=_Rows(progress), **new.arguments())  # type: ignore[arg-type]
    tell_made(made, data, as_json)


def _import_legacy(
    data: DataOption,
    source: Annotated[
        str,
        typer.Option("--from", metavar="URL|FILE", help="Its SQLite file, or postgresql://USER@HOST/NAME."),
    ],
    legacy_passphrase_file: Annotated[
        Path | None,
        typer.Option(
            "--legacy-passphrase-file",
            metavar="FILE",
            help="A file whose first line is its passphrase [or asked for].",
        ),
    ] = None,
    c2_key: Annotated[
        Path | None,
        typer.Option("--c2-key", metavar="FILE", help="Public-key mode: its private key, 32 bytes."),
    ] = None,
    passphrase_file: PassphraseFile = None,
    as_json: JsonFlag = False,
) -> None:
    from e4.c2 import folder

    configuration = settings_of(data)
    private = None if c2_key is None else keys.read_key_file(c2_key, _wire.KEY_LEN)
    passphrase = read_passphrase(passphrase_file, configuration)
    legacy = read_other(
        legacy_passphrase_file, "Passphrase of the deployed server", "--legacy-passphrase-file"
    )
    url = source if "://" in source else f"sqlite:///{Path(source).absolute()}"
    with Progress("rows") as progress:
        done = folder.import_legacy(configuration, passphrase, url, legacy, private, _Rows(progress))
    _done(
        as_json,
        f"taken over: {done.clients} clients, {done.topics} topics, {done.memberships} memberships, "
        f"{done.links} links; {done.dangling} memberships and links of nobody were left out",
        **dataclasses.asdict(done),
    )


class _Rows:
    """Tells of all tables together how far a copy is."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._done: dict[str, int] = {}
        self._total: dict[str, int] = {}

    @property
    def done(self) -> int:
        """How many rows were copied."""
        return sum(self._done.values())

    def __call__(self, table: str, done: int, total: int) -> None:
        self._done[table], self._total[table] = done, total
        self._progress.update(self.done, sum(self._total.values()))


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
        "backup",
        _backup,
        "Copy the database into one file, also while the server runs.",
        "--data /srv/c2 --out c2.backup",
        "Keys stay sealed under the passphrase. Settings and certificate are not in it.",
    ),
    Entry(
        "restore",
        _restore,
        "Make a new data folder from a backup.",
        "--data /srv/c2-new --from c2.backup\n"
        "--data /srv/c2-new --from c2.backup --certificate server.pem --key server.key",
        "Never start it while the server that the backup is of still runs.",
    ),
    Entry(
        "migrate",
        _migrate,
        "Bring the database of an older version up to this one.",
        "--data /srv/c2",
        "Stop every server that uses it, and make a backup first: there is no way back.",
    ),
    Entry(
        "import-legacy",
        _import_legacy,
        "Take over the database of a deployed server.",
        "--data /srv/c2 --from old.db --legacy-passphrase-file old.passphrase",
        "Into a data folder without clients and topics, in the same mode; whole or not at all. Nothing is "
        "sent: clients hold these keys already. In public-key mode they also know the old server's key: give "
        "it with --c2-key.",
    ),
)
