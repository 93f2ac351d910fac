"""Runs the code of docs/c2-api.md, in order, against a server that runs."""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
from pathlib import Path

import pytest

from tests._broker import require
from tests.e2e._c2_server import C2Servers, clean_environment

PAGE = Path(__file__).parents[3] / "docs" / "c2-api.md"


def test_the_code_of_the_page_runs(
    c2_server: C2Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in ("bash", "curl", "openssl"):
        require(program)
    monkeypatch.chdir(tmp_path)
    server = c2_server(data=tmp_path / "try")
    (tmp_path / "try" / "admin.token").write_text(server.token + "\n")
    blocks = re.findall(r"^```(sh|python)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    said: dict[str, str] = {"sh": "", "python": ""}
    function = ""
    for number, (language, block) in enumerate(blocks):
        code = block.replace("https://localhost:8888", server.url)
        if language == "sh":
            function = function or code.partition("\n\n")[0]
            run = subprocess.run(
                ["bash", "-euc", f"{function}\n{code}"],
                capture_output=True,
                text=True,
                env=clean_environment(),
                timeout=60,
                check=False,
            )
            assert run.returncode == 0, (block, run.stdout, run.stderr)
            said["sh"] += run.stdout + "\n"
        else:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(code, f"{PAGE.name}, block {number + 1}", "exec"), names)
            promised = re.findall(r"print\(.*\)  # (.*)", block)
            assert promised == out.getvalue().splitlines() or not promised, (block, out.getvalue())
            said["python"] += out.getvalue()
    assert '"mode":"symkey"' in said["sh"]
    assert said["sh"].count('"name":"plant/pump"') >= 2
    assert '"version":2' not in said["sh"]  # the second request with the key did not rotate it
    assert "id: 1\n" in said["sh"]
    assert '"errors":[{"line":5,' in said["sh"]
    assert "membership.added" in said["python"]
    assert "3000 0" in said["python"]
    lines = [json.loads(line) for line in (tmp_path / "everything.jsonl").read_text().splitlines()]
    assert {line["topic"]["name"] for line in lines if "topic" in line} == {
        "plant/boiler/temperature",
        "plant/pump",
    }
    assert sum("client" in line for line in lines) == 2 + 3 + 3000
