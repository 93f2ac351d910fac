"""Where the passphrase of the key server's database comes from. Knows no command."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from e4.cli._errors import Failed, Usage
from e4.cli._options import read_password_file

if TYPE_CHECKING:
    from e4.c2.settings import Configuration

__all__ = ["VARIABLE", "PassphraseFile", "new_passphrase", "read_passphrase"]

VARIABLE = "E4_C2_PASSPHRASE"

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help=f"A file whose first line is the passphrase [or {VARIABLE}, or asked for].",
    ),
]


def read_passphrase(option: Path | None, configuration: Configuration) -> str:
    """The passphrase of a data folder: option, environment, setting, or asked for without echo.

    Raises:
        Usage: nothing says it, and there is nobody to ask.
        Failed: a file does not hold UTF-8 text.
    """
    if (given := _given(option)) is not None:
        return given
    file = configuration.settings.server.passphrase_file
    if file is not None:
        return read_password_file(configuration.path(file))
    return _ask("Passphrase of the key server")


def read_other(option: Path | None, prompt: str, name: str) -> str:
    """Another passphrase, which only an option gives, or a person.

    Args:
        option: the file that the option names.
        prompt: what to ask for.
        name: the option.

    Raises:
        Usage: there is nobody to ask.
        Failed: the file does not hold UTF-8 text.
    """
    if option is not None:
        return read_password_file(option)
    if not sys.stdin.isatty():
        raise Usage(f"no passphrase: give {name}")
    return getpass.getpass(f"{prompt}: ")


def new_passphrase(option: Path | None, prompt: str, *, environment: bool = True, keep: bool = False) -> str:
    """A passphrase for the time to come; asked for twice.

    Args:
        option: the file that the option names.
        prompt: what to ask for.
        environment: whether the variable counts.
        keep: leave the variable there for `read_passphrase`.

    Raises:
        Usage: nothing says it, and there is nobody to ask.
        Failed: the two differ, or the file does not hold UTF-8 text.
        InvalidPassword: it is too short.
    """
    from e4.c2.folder import check_passphrase

    given = _given(option, environment=environment, keep=keep)
    if given is not None:
        check_passphrase(given)
        return given
    passphrase = _ask(prompt)
    check_passphrase(passphrase)
    if getpass.getpass("The same again: ") != passphrase:
        raise Failed("the two passphrases differ: try again")
    return passphrase


def _given(option: Path | None, *, environment: bool = True, keep: bool = False) -> str | None:
    if option is not None:
        return read_password_file(option)
    given = os.environ.get(VARIABLE) if environment else None
    if given is not None and not keep:
        del os.environ[VARIABLE]  # so that no process that this one starts has it
    return given


def _ask(prompt: str) -> str:
    if not sys.stdin.isatty():
        raise Usage(f"no passphrase: give --passphrase-file, or set {VARIABLE}")
    return getpass.getpass(f"{prompt}: ")
