"""``e4 c2 init, serve, config``: on the machine of the key server, in its data folder."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from e4.cli._errors import Failed, Usage
from e4.cli._options import JsonFlag, parse_broker, with_groups
from e4.cli._output import print_json, shown
from e4.cli.c2._passphrase import PassphraseFile, new_passphrase, read_passphrase

if TYPE_CHECKING:
    from e4.c2.folder import Made
    from e4.c2.settings import Configuration

__all__ = ["register"]

_MODES = ("symkey", "pubkey")

DataOption = Annotated[
    Path, typer.Option("--data", metavar="DIR", help="The key server's data folder.", show_default=False)
]
