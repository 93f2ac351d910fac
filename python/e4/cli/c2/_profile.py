"""The file in which ``e4 c2 login`` keeps addresses and tokens. Knows no command and no server.

TOML, one table for each profile, readable by its owner alone (0600)::

    [default]
    url = "https://127.0.0.1:8888"
    token = "…"
    ca = "/srv/c2/server.pem"
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import tempfile
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path

from e4.cli._errors import Failed, Usage

__all__ = ["DEFAULT", "Profile", "forget", "load", "names", "profiles_path", "save"]

DEFAULT = "default"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Profile:
    """How to reach a server.

    Args:
        url: its address.
        token: says who asks; None where the server wants none.
        ca: PEM file of the certificates to trust; None for the system's.
        cert: PEM file of this side's certificate.
        key: PEM file of its private key.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    ca: str | None = None
    cert: str | None = None
    key: str | None = None


def profiles_path() -> Path:
    """Where the profiles are kept.

    Raises:
        Failed: the user has no home folder.
    """
    try:
        if os.name == "nt":
            base = Path(os.environ.get("APPDATA") or "~/AppData/Roaming").expanduser()
        else:
            # A relative path there is to be ignored, says the XDG Base Directory Specification.
            folder = Path(os.environ.get("XDG_CONFIG_HOME") or "")
            base = folder if folder.is_absolute() else Path("~/.config").expanduser()
    except RuntimeError:
        raise Failed("there is no home folder to look for profiles in: give --url and --token-file") from None
    return base / "e4" / "c2.toml"


def load(name: str) -> Profile | None:
    """The profile of that name, if there is one.

    Raises:
        Usage: not a name for a profile.
        Failed: the file cannot be used.
    """
    _check_name(name)
    return _read(profiles_path()).get(name)


def names() -> list[str]:
    """The names of all profiles. Raises `Failed` as `load` does."""
    return sorted(_read(profiles_path()))


def save(name: str, profile: Profile) -> Path:
    """Keep a profile under a name, in place of the one there. Raises as `load` does; returns the file."""
    _check_name(name)
    path = profiles_path()
    _write(path, _read(path) | {name: profile})
    return path


def forget(name: str) -> bool:
    """Remove a profile; whether there was one. Raises as `load` does."""
    _check_name(name)
    path = profiles_path()
    profiles = _read(path)
    if profiles.pop(name, None) is None:
        return False
    _write(path, profiles)
    return True


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Usage("a profile's name is up to 64 letters, digits, '-' and '_'")


def _read(path: Path) -> dict[str, Profile]:
    try:
        with path.open("rb") as file:
            if os.name != "nt" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise Failed(f"{path} can be read by other users of this machine: run 'chmod 600 {path}'")
            document = tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise Failed(f"{path} is not TOML: correct it, or delete it and log in again") from None
    return {name: _profile(path, name, table) for name, table in document.items()}


def _profile(path: Path, name: str, table: object) -> Profile:
    known = {member.name for member in fields(Profile)}
    if (
        not isinstance(table, dict)
        or "url" not in table
        or not table.keys() <= known
        or not all(isinstance(value, str) for value in table.values())
    ):
        members = ", ".join(sorted(known))
        raise Failed(f"{path}: profile '{name}' is not one: it has url and may have the texts {members}")
    return Profile(**table)


def _write(path: Path, profiles: dict[str, Profile]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lines = []
    for name, profile in sorted(profiles.items()):
        lines.append(f"[{name}]")
        for member in fields(Profile):
            value = getattr(profile, member.name)
            if value is not None:
                lines.append(f"{member.name} = {_quoted(value)}")
        lines.append("")
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".c2-")  # 0600 from the start
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _quoted(text: str) -> str:
    """As a TOML basic string, which has JSON's escapes; DEL too must be one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Failed("a profile holds only UTF-8 text, and the name of a file given is none") from None
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
