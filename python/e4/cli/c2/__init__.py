"""``e4 c2``: run a key server, and operate one. Its commands are loaded when one of them is asked for."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from e4.cli._errors import Failed
from e4.cli._options import help_if_alone

__all__ = ["installed", "register"]

# Each has a function `register`.
_MODULES = (
    "server",
    "upkeep",
    "login",
    "clients",
    "topics",
    "keys",
    "messages",
    "work",
    "admin",
    "transfer",
)

_EXTRA = ("sqlalchemy", "alembic", "fastapi", "uvicorn", "grpc", "structlog", "httpx", "prometheus_client")
_INSTALL = "the key server needs e4's extra 'c2': from a clone, install it with \"pip install '.[c2]'\""

_SHORT = "Run and operate the key server, which holds the keys of whole fleets of clients."
_HELP = """Run a key server, C2, and operate it: clients, topics and who has which key.

The server keeps the keys of clients and topics, and sends each client its commands over MQTT. A data
folder holds all of it.

\b
Examples:
  e4 c2 serve --data try --dev
  e4 c2 init --data /srv/c2
  e4 c2 serve --data /srv/c2 --broker broker.example:1883
"""


class _Group(TyperGroup):
    """Finds its commands in modules that it imports only then: `e4` itself stays fast and needs no extra."""

    _loaded: Any = None

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the commands, in the order of the help."""
        return list(self._real().list_commands(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name."""
        return self._real().get_command(ctx, cmd_name)

    def _real(self) -> Any:
        if self._loaded is None:
            if not installed():
                raise Failed(_INSTALL)
            app = typer.Typer(rich_markup_mode=None)
            app.callback()(_nothing)
            for module in _MODULES:
                importlib.import_module(f"e4.cli.c2.{module}").register(app)
            self._loaded = get_command(app)
        return self._loaded


def register(app: typer.Typer) -> None:
    """Add the group of commands to the app."""
    group = typer.Typer(cls=_Group, rich_markup_mode=None)
    group.callback(help=_HELP, short_help=_SHORT, invoke_without_command=True)(help_if_alone)
    app.add_typer(group, name="c2")


def installed() -> bool:
    """Whether what the key server needs is installed."""
    return all(importlib.util.find_spec(library) is not None for library in _EXTRA)


def _nothing() -> None:
    """A callback makes it a group even where it has one command only."""
