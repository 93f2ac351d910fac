"""The command ``e4``: its command groups put together, and the one place where it ends."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from typer.main import get_command

from e4.cli import c2, client, command, demo, keygen
from e4.cli._errors import FAILED, OK, report
from e4.cli._options import help_if_alone

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["app", "main"]

_HELP = """End-to-end protection of MQTT messages, and the keys of whole fleets of devices.

\b
Examples:
  e4 demo
  e4 keygen symmetric --out room.key
  e4 command set-topic-key --to alice --topic room --key-file room.key
  e4 client --name alice --broker localhost:1883
  e4 c2 serve --data c2 --dev
"""
_EPILOG = "Exit codes: 0 done, 1 refused or failed, 2 wrong arguments, 130 interrupted."


def _print_version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata  # as slow as all the rest together

        try:
            print(f"e4 {importlib.metadata.version('e4')}")
        except importlib.metadata.PackageNotFoundError:  # the sources on a path, nothing installed
            print("e4, not installed")
        raise typer.Exit


def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    help_if_alone(context)


def _make_app() -> typer.Typer:
    # Plain help: it reads the same in a terminal and in a pipe, and needs no second library.
    app = typer.Typer(name="e4", rich_markup_mode=None, pretty_exceptions_enable=False, epilog=_EPILOG)
    app.callback(help=_HELP, invoke_without_command=True)(_root)
    for group in (demo, keygen, client, command, c2):
        group.register(app)
    return app


app = _make_app()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``e4``.

    Args:
        arguments: those after the command's name; of this process if not given.

    Returns:
        The exit code.
    """
    # Without a handler Python prints warnings to stderr, where one line about each error is enough.
    logging.getLogger("e4").addHandler(logging.NullHandler())
    # What stdout cannot encode is escaped, never an error.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = get_command(app).main(
            args=None if arguments is None else list(arguments), prog_name="e4", standalone_mode=False
        )
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone. Python flushes once more at exit: into nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except typer.Abort:
        return report(KeyboardInterrupt())
    except (Exception, KeyboardInterrupt) as error:
        return report(error)
    return code if isinstance(code, int) else OK
