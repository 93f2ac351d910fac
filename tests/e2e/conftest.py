"""Fixtures of the command line as a process: alone, and with a broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests._broker import Brokers
from tests.e2e._cli import Cli


@pytest.fixture
def make_cli(tmp_path: Path) -> Iterator[Callable[..., Cli]]:
    """Makes command lines: ``make_cli()``, or ``make_cli(broker)`` to have every command told of it."""
    made: list[Cli] = []

    def make(*arguments: object) -> Cli:
        made.append(Cli(tmp_path, *arguments))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for cli in made:
        cli.end()


@pytest.fixture
def cli(make_cli: Callable[..., Cli], mosquitto: Brokers) -> Cli:
    """The command line, and a broker that every command is told of."""
    return make_cli(mosquitto())
