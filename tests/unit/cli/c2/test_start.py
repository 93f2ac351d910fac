"""What a start of ``e4`` imports, what it needs, and what every command of ``e4 c2`` has."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from typer.main import get_command

from e4.cli._app import app

HEAVY = {"httpx", "fastapi", "sqlalchemy", "grpc", "uvicorn", "structlog", "pydantic", "cryptography"}


def python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | environment,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "words", [["--help"], ["c2", "client", "--help"], ["c2", "topic", "rotate", "--help"]]
)
def test_help_imports_nothing_of_the_server(words: list[str]) -> None:
    program = f"""
import sys
from e4.cli import main
assert main({words}) == 0
print("imported:", *sorted({HEAVY} & sys.modules.keys()))
"""
    result = python(program, E4_BACKEND="native")
    assert result.stderr == ""
    assert result.stdout.splitlines()[-1] == "imported:"


def test_without_the_extra_it_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['httpx'] = None\nfrom e4.cli import main\nsys.exit(main(['c2', 'count']))"
    )
    result = python(program)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        "e4: the key server needs e4's extra 'c2': from a clone, install it with \"pip install '.[c2]'\"\n"
    )


def test_without_the_extra_the_rest_works() -> None:
    program = f"""
import sys
for name in {sorted(HEAVY)}:
    sys.modules[name] = None
from e4.cli import main
assert main(["--help"]) == main(["keygen", "--help"]) == main(["demo", "--help"]) == 0
"""
    assert python(program, E4_BACKEND="native").stderr == ""


def test_commands_and_options_are_completed() -> None:
    for words, expected in (
        ("e4 c2 c", "client"),
        ("e4 c2 topic r", "rotate"),
        ("e4 c2 count --cl", "--client"),
    ):
        variables = {
            "_E4_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        result = subprocess.run(
            [sys.executable, "-c", "from e4.cli import main; main()"],
            capture_output=True,
            encoding="utf-8",
            env=os.environ | variables,
            timeout=60,
            check=False,
        )
        assert expected in result.stdout.split(), result.stderr


def test_every_command_that_asks_a_server_prints_json() -> None:
    group = get_command(app).get_command(None, "c2")  # type: ignore[attr-defined]
    asking = {}
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        for child in getattr(command, "commands", {"": command}).values():
            options = {option for parameter in child.params for option in parameter.opts}
            if "--url" in options:
                asking[f"{name} {child.name}"] = options
    assert len(asking) > 35
    without = {name for name, options in asking.items() if "--json" not in options}
    assert without == {"export export"}  # which prints nothing but JSON
    for options in asking.values():
        assert {"--token-file", "--ca", "--profile", "--data", "--timeout"} <= options
