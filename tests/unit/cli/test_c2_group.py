"""``e4 c2`` costs nothing where it is not used, and says what it needs where that is missing."""

from __future__ import annotations

import subprocess
import sys

EXTRA = (
    "sqlalchemy",
    "alembic",
    "fastapi",
    "uvicorn",
    "grpc",
    "structlog",
    "httpx",
    "prometheus_client",
    "pydantic",
)


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_nothing_of_it_is_loaded_for_other_commands() -> None:
    code = f"""
import sys
from e4.cli import main
assert main(["--help"]) == 0
assert main(["keygen", "--help"]) == 0
assert main(["c2", "--help"]) == 0
print([name for name in {EXTRA} if name in sys.modules])
"""
    ended = python(code)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "[]"


def test_without_the_extra_it_says_what_to_install() -> None:
    code = f"""
import sys
for name in {EXTRA}:
    sys.modules[name] = None
from e4.cli import main
assert main(["--help"]) == 0
assert main(["keygen", "--help"]) == 0
print([main(words) for words in (["c2", "serve", "--data", "x"], ["c2", "--help"], ["c2", "client", "list"])])
"""
    ended = python(code)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "[1, 1, 1]"
    lines = ended.stderr.splitlines()
    assert len(lines) == 3
    assert all("pip install '.[c2]'" in line for line in lines)
