"""How the commands of ``e4 c2`` are put into typer, each with its help and an example. Knows no command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import typer

from e4.cli._options import help_if_alone, with_groups

__all__ = ["Entry", "add", "make_group"]


@dataclass(frozen=True)
class Entry:
    """One command.

    Args:
        name: as it is typed.
        function: what it does; its parameters are its options.
        summary: what it does, in one line.
        example: its arguments in an example; several in several lines.
        more: what else there is to say.
    """

    name: str
    function: Callable[..., None]
    summary: str
    example: str
    more: str = ""


def add(app: typer.Typer, path: str, entries: tuple[Entry, ...]) -> None:
    """Add commands to an app or a group.

    Args:
        path: the words that lead there: ``e4 c2 topic``.
    """
    for entry in entries:
        more = f"{entry.more}\n\n" if entry.more else ""
        lines = "".join(f"  {path} {entry.name} {line}".rstrip() + "\n" for line in entry.example.split("\n"))
        title = "Examples" if "\n" in entry.example else "Example"
        text = f"{entry.summary}\n\n{more}\b\n{title}:\n{lines}"
        app.command(entry.name, help=text, short_help=entry.summary)(with_groups(entry.function))


def make_group(app: typer.Typer, name: str, summary: str, help: str) -> typer.Typer:
    """Add a group of commands to an app; without one of them, it prints its help."""
    group = typer.Typer(rich_markup_mode=None)
    group.callback(help=help, short_help=summary, invoke_without_command=True)(help_if_alone)
    app.add_typer(group, name=name)
    return group
