"""The command line: arguments in, lines of text out. Knows no MQTT library, and no rule of the protocol."""

from __future__ import annotations

from e4.cli._app import main

__all__ = ["main"]
