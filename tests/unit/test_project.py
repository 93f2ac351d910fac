"""The files around the code: what README shows works, links lead somewhere, make says what is missing."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
CARGO = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

needs_make = pytest.mark.skipif(os.name == "nt", reason="Windows has no make of its own")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ +(.+)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_readme_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sources = blocks(README, "python")
    assert sources
    for source in sources:
        exec(compile(source, "README.md", "exec"), {"__name__": "readme"})


def e4_commands() -> list[list[str]]:
    lines = "\n".join(blocks(README, "sh")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.startswith("e4 ")]


@pytest.mark.parametrize("words", e4_commands(), ids=lambda words: " ".join(words[1:3]))
def test_readme_command_line_exists(words: list[str]) -> None:
    options = [word for word in words if word.startswith("--")]
    command = words[: words.index(options[0])] if options else words
    program = shutil.which("e4", path=sysconfig.get_path("scripts"))
    assert program is not None
    environment = os.environ | {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}
    shown = subprocess.run(
        [program, *command[1:], "--help"], capture_output=True, encoding="utf-8", env=environment, check=True
    )
    assert set(options) <= set(re.findall(r"--[a-z0-9-]+", shown.stdout))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(text)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"no heading for {link}"


@pytest.mark.parametrize("folder", ["docs", "docs/decisions"])
def test_every_page_is_in_the_index(folder: str) -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    for page in (ROOT / folder).glob("*.md"):
        if page.name != "README.md":
            assert f"({page.relative_to(ROOT / 'docs').as_posix()})" in index


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_make_targets_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^)make ([a-z0-9-]+)", text, flags=re.MULTILINE))
    assert {"demo", "test"} <= named
    assert named <= set(
        re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M)
    )


def test_readme_shows_the_two_commands_first() -> None:
    assert [line.split("#")[0].strip() for line in blocks(README, "sh")[0].splitlines()] == [
        "make demo",
        "make test",
    ]


def test_readme_never_installs_by_name() -> None:
    for block in blocks(README, "sh"):
        assert not re.search(r"pip install (?:\S+ )*['\"]?e4\b", block)
    assert "`pip install e4` fetches" in README


def test_readme_names_the_versions_needed() -> None:
    rust = CARGO["workspace"]["package"]["rust-version"]
    assert f"{rust} or\nnewer" in README or f"{rust} or newer" in README
    assert f"Python {PROJECT['requires-python'].removeprefix('>=')} or newer" in README


def test_extra_dev_has_all_the_others() -> None:
    extras = PROJECT["optional-dependencies"]
    others = {requirement for name, extra in extras.items() if name != "dev" for requirement in extra}
    assert others <= set(extras["dev"])


def test_changelog_has_this_version() -> None:
    version = CARGO["workspace"]["package"]["version"]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


class Machine:
    """A clone on a machine whose path leads only to the tools a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.clone = folder / "clone"
        self.tools = folder / "tools"
        (self.clone / "rust").mkdir(parents=True)
        (self.clone / "python").mkdir()
        self.tools.mkdir()
        for name in ("Makefile", "Cargo.toml", "pyproject.toml"):
            shutil.copy(ROOT / name, self.clone)
        for name in ("sh", "sed", "find", "rm", "touch"):
            tool = shutil.which(name)
            assert tool is not None, f"the test needs {name}"
            (self.tools / name).symlink_to(tool)

    def add(self, name: str, script: str) -> None:
        tool = self.tools / name
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)

    def add_rust(self, version: str) -> None:
        for name in ("cargo", "rustc"):
            self.add(name, f'echo "{name} {version} (0123456789 2026-01-01)"')

    def make(self, target: str) -> str:
        """What an attempt prints on standard error; it must fail, and make nothing."""
        make = shutil.which("make")
        assert make is not None, "the test needs make"
        environment = {"PATH": str(self.tools), "HOME": str(self.clone), "LC_ALL": "C"}
        run = subprocess.run(
            [make, target],
            cwd=self.clone,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert run.returncode != 0
        assert not (self.clone / ".venv").exists()
        error, *rest = run.stderr.splitlines()
        assert all(line.startswith("make: ***") for line in rest), run.stderr
        return error


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


NO_PYTHON = (
    "error: Python 3.11 or newer is missing: install it from your system or https://www.python.org/downloads/"
)


@needs_make
@pytest.mark.parametrize("target", ["demo", "test", "lint", "bench", "dev"])
def test_make_without_rust(machine: Machine, target: str) -> None:
    machine.add("python3", f'exec "{sys.executable}" "$@"')
    assert (
        machine.make(target) == "error: Rust is missing: install Rust 1.89 or newer from https://rustup.rs/"
    )


@needs_make
def test_make_with_an_old_rust(machine: Machine) -> None:
    machine.add_rust("1.70.0")
    assert machine.make("test") == (
        "error: Rust 1.70 is too old: install Rust 1.89 or newer (with rustup: rustup update stable)"
    )


@needs_make
def test_make_with_rustup_but_no_rust(machine: Machine) -> None:
    for name in ("cargo", "rustc"):
        machine.add(name, 'echo "error: no default toolchain" >&2; exit 1')
    assert machine.make("demo") == (
        "error: Rust does not run: install Rust 1.89 or newer from https://rustup.rs/"
    )


@needs_make
def test_make_without_a_linker(machine: Machine) -> None:
    machine.add_rust("1.95.0")
    assert machine.make("demo") == (
        "error: Rust needs a C linker and there is no cc: "
        "install one (on Debian and Ubuntu: apt-get install build-essential)"
    )


@needs_make
@pytest.mark.parametrize("target", ["demo", "test"])
def test_make_without_python(machine: Machine, target: str) -> None:
    machine.add_rust("1.95.0")
    machine.add("cc", "exit 0")
    assert machine.make(target) == NO_PYTHON


@needs_make
def test_make_with_an_old_python_and_a_shim_with_nothing_behind(machine: Machine) -> None:
    machine.add_rust("2.0.0")
    machine.add("cc", "exit 0")
    machine.add("python3", "exit 1")  # what its version check comes to
    machine.add("python3.12", 'echo "python3.12: version not installed" >&2; exit 127')
    assert machine.make("test") == NO_PYTHON


@needs_make
def test_make_without_the_venv_module(machine: Machine) -> None:
    machine.add_rust("1.95.0")
    machine.add("cc", "exit 0")
    machine.add("python3", 'case "$2" in *ensurepip*) exit 1;; esac; exit 0')
    assert machine.make("test") == (
        "error: python3 has no venv module: install it (on Debian and Ubuntu: apt-get install python3-venv)"
    )


def test_release_tries_the_wheels_with_the_dependencies_they_ask_for() -> None:
    workflow = (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")
    for requirement in PROJECT["dependencies"]:
        assert f"'{requirement}'" in workflow
