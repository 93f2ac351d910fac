"""What can be set: a typed TOML file, environment variables over it, the command line's options over both.

Every setting is ``section.name``: in the file under ``[section]``, in the environment as
``E4_C2_SECTION_NAME``. The documentation's table and the commented file of a new data folder are made
from the models. Reads files and nothing else: opens no database, no port, no broker.
"""

from __future__ import annotations

from e4.c2.settings.models import (
    Address,
    Auth,
    Broker,
    Database,
    Delivery,
    Grpc,
    Health,
    Http,
    Log,
    Server,
    Settings,
    Tls,
)
from e4.c2.settings.reading import FILE, Configuration, Setting, describe, load, render_file

__all__ = [
    "FILE",
    "Address",
    "Auth",
    "Broker",
    "Configuration",
    "Database",
    "Delivery",
    "Grpc",
    "Health",
    "Http",
    "Log",
    "Server",
    "Setting",
    "Settings",
    "Tls",
    "describe",
    "load",
    "render_file",
]
