"""Runs the code of docs/mqtt.md, in order, against mosquitto."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests._broker import Brokers, require
from tests._certificates import Authority

pytestmark = pytest.mark.mosquitto

PAGE = Path(__file__).parents[2] / "docs" / "mqtt.md"


def test_the_code_of_the_page_runs(
    mosquitto: Brokers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    authority = Authority(tmp_path, "ca")
    certificate, key = authority.issue("broker")
    authority.issue("sensor-1")
    subprocess.run([require("mosquitto_passwd"), "-c", "-b", "users", "sensor-1", "a token"], check=True)
    secured = mosquitto(
        f"cafile {authority.file}",
        f"certfile {certificate}",
        f"keyfile {key}",
        "require_certificate true",
        f"password_file {tmp_path / 'users'}",
    )
    broker = mosquitto()
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 9
    names: dict[str, object] = {}
    for number, block in enumerate(blocks):
        port = secured.port if "TLS(" in block else broker.port
        code = block.replace('"broker.example"', f'"127.0.0.1", port={port}')
        assert code != block
        exec(compile(code, f"{PAGE.name}, block {number + 1}", "exec"), names)
    names["client"].close()  # type: ignore[attr-defined]
    out = capsys.readouterr().out
    assert "topic key not found" in out
    assert "True\n" in out
    assert "plant/1/temperature b'21.5'" in out
