"""The public names: what is exported exists, and docs/api.md has all of it."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

MODULES = ["e4", "e4.errors", "e4.crypto", "e4.commands", "e4.keys", "e4.client", "e4.mqtt", "e4.mqtt.aio"]
DOCUMENT = (Path(__file__).parents[2] / "docs" / "api.md").read_text()


@pytest.mark.parametrize("name", MODULES)
def test_exports(name: str) -> None:
    module = importlib.import_module(name)
    assert len(set(module.__all__)) == len(module.__all__)
    for exported in module.__all__:
        assert hasattr(module, exported), exported
        assert (getattr(module, exported).__doc__ or "").strip(), f"{exported} has no docstring"


@pytest.mark.parametrize("name", [m for m in MODULES if m != "e4.client"])
def test_the_document_has_every_name(name: str) -> None:
    words = set(re.findall(r"\w+", DOCUMENT))
    module = importlib.import_module(name)
    assert set(module.__all__) - words == set()


def test_the_document_has_every_method_of_a_client() -> None:
    import e4

    words = set(re.findall(r"\w+", DOCUMENT))
    assert {n for n in vars(e4.Client) if not n.startswith("_")} - words == set()


def test_importing_does_nothing_more() -> None:
    """Rule 7 of the house: no MQTT library, no Python crypto, no thread, before they are asked for."""
    program = """
import sys, threading, e4
for module in ("paho", "aiomqtt", "typer", "cryptography", "nacl", "numpy", "asyncio", "e4.mqtt", "e4.cli"):
    assert module not in sys.modules, module
assert threading.active_count() == 1
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
