"""Settings from a file, the environment and options; where each came from; the file of a new folder."""

from __future__ import annotations

import difflib
import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from e4.c2.settings.models import Settings
from e4.errors import InvalidSettings

__all__ = ["FILE", "Configuration", "Setting", "describe", "load", "render_file"]

FILE = "config.toml"
PREFIX = "E4_C2_"
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as documented. `default` is as the file writes it; empty: there is none."""

    name: str
    variable: str
    default: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings in force, and where each comes from.

    Args:
        folder: the data folder; files named in settings are relative to it.
        settings: with the paths as they were given.
        origins: of every setting: ``default``, the name of the file, the variable or the option.
    """

    folder: Path
    settings: Settings
    origins: Mapping[str, str]

    def path(self, path: Path) -> Path:
        """A file that a setting names."""
        return self.folder / path.expanduser()

    def database_url(self) -> str:
        """The database's URL; of SQLite with the absolute path of its file."""
        url = self.settings.database.url
        file = self.database_file()
        return url if file is None else f"sqlite:///{file}"

    def database_file(self) -> Path | None:
        """The file of a SQLite database; None for PostgreSQL."""
        scheme, _, rest = self.settings.database.url.partition("://")
        if scheme != "sqlite":
            return None
        name = rest.removeprefix("/")
        if not name or name == ":memory:" or "?" in name:
            raise InvalidSettings("database.url: should be sqlite:///FILE, with the name of a file")
        return (self.folder / name).absolute()

    def in_force(self) -> dict[str, Any]:
        """Every setting's value by its name, for people and JSON: without secrets."""
        values = self.settings.model_dump(mode="json")
        flat = {f"{section}.{name}": value for section, own in values.items() for name, value in own.items()}
        flat["database.url"] = _without_password(flat["database.url"])
        return flat


def load(
    folder: Path,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, tuple[str, object]] | None = None,
) -> Configuration:
    """The settings of a data folder.

    Args:
        folder: holds ``config.toml``; without the file the defaults count.
        environment: where ``E4_C2_SECTION_NAME`` is looked up; empty if not given.
        options: by the setting's name, the option that says it (``--broker``) and its value.

    Raises:
        InvalidSettings: a setting is unknown or not valid; names it, with its line in the file.
    """
    values: dict[str, dict[str, object]] = {}
    origins = {setting.name: DEFAULT for setting in describe()}
    text = _read(folder / FILE)
    for section, own in _parsed(text).items():
        if section not in Settings.model_fields:
            raise InvalidSettings(
                _unknown(f"{FILE}{_line(text, section, None)}", section, list(Settings.model_fields))
            )
        if not isinstance(own, dict):
            raise InvalidSettings(
                f"{FILE}{_line(text, None, section)}: {section} should be a section: [{section}]"
            )
        known = _section(section).model_fields
        for name, value in own.items():
            if name not in known:
                place = f"{FILE}{_line(text, section, name)}"
                raise InvalidSettings(_unknown(place, f"{section}.{name}", [f"{section}.{k}" for k in known]))
            values.setdefault(section, {})[name] = value
            origins[f"{section}.{name}"] = f"{FILE}{_line(text, section, name)}"
    for name, variable, value in _from_environment(environment or {}):
        section, _, key = name.partition(".")
        values.setdefault(section, {})[key] = value
        origins[name] = variable
    for name, (option, value) in (options or {}).items():
        section, _, key = name.partition(".")
        values.setdefault(section, {})[key] = value
        origins[name] = option
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise InvalidSettings(_explained(error, origins)) from None
    configuration = Configuration(folder, settings, origins)
    _check(configuration)
    return configuration


def describe() -> Iterator[Setting]:
    """Every setting, in the order of the documentation."""
    for section in Settings.model_fields:
        for name, field in _section(section).model_fields.items():
            yield Setting(
                f"{section}.{name}",
                f"{PREFIX}{section}_{name}".upper(),
                "" if field.default is None else _toml(field.default),
                field.description or "",
            )


def render_file(values: Mapping[str, object] | None = None) -> str:
    """A ``config.toml`` with every setting commented out at its default, but those given.

    Args:
        values: by name, as ``database.url``.
    """
    values = values or {}
    lines = [
        "# Settings of e4 c2. What is commented out is the default. Files are relative to this folder.",
        "# An environment variable E4_C2_SECTION_NAME (E4_C2_BROKER_HOST) counts more than this file,",
        "# and an option of 'e4 c2 serve' more than both. 'e4 c2 config' prints what is in force.",
    ]
    for section in Settings.model_fields:
        model = _section(section)
        lines += ["", f"[{section}]  # {model.__doc__}"]
        for name, field in model.model_fields.items():
            given = values.get(f"{section}.{name}")
            lines.append(f"# {field.description}")
            if given is not None:
                lines.append(f"{name} = {_toml(given)}")
            else:
                lines.append(f"# {name} = {_toml(_example(field))}")
    return "\n".join([*lines, ""])


def _section(name: str) -> type[BaseModel]:
    section = Settings.model_fields[name].annotation
    assert isinstance(section, type)
    assert issubclass(section, BaseModel)
    return section


def _example(field: FieldInfo) -> object:
    """The default, or something of the right type where there is none."""
    if field.default is not None:
        return field.default
    return 0 if "int" in str(field.annotation) else ""


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:.1f}" if value == int(value) else repr(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise InvalidSettings(f"{path} is not UTF-8 text") from None
    except OSError as error:
        raise InvalidSettings(f"cannot read {path}: {error.strerror}") from None


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidSettings(f"{FILE} is not TOML: {str(error)[:1].lower()}{str(error)[1:]}") from None


def _line(text: str, section: str | None, name: str | None) -> str:
    """Where a key (or, without one, the section) stands in the file: ``, line 3``; empty if not found."""
    at: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([\w-]+)\s*\]", line):
            at = header[1]
            if name is None and at == section:
                return f", line {number}"
        elif name is not None:
            key = rf"\s*(?:{re.escape(section or '')}\s*\.\s*)?[\"']?{re.escape(name)}[\"']?\s*[=.]"
            if at in (section, None) and re.match(key, line):
                return f", line {number}"
        elif at is None and re.match(rf"\s*{re.escape(section or '')}\s*[.=]", line):
            return f", line {number}"
    return ""


def _unknown(place: str, name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    hint = f"is it {close[0]}?" if close else f"there are {', '.join(known)}"
    return f"{place}: there is no setting {name}: {hint}"


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, str, object]]:
    """Name, variable and value of what the environment sets.

    A variable's text is what stands in the file, for a text without its quotes.
    """
    known = {setting.variable: setting.name for setting in describe()}
    sections = tuple(f"{PREFIX}{section}_".upper() for section in Settings.model_fields)
    for variable, text in environment.items():
        name = known.get(variable.upper() if sys.platform == "win32" else variable)
        if name is None:
            if variable.startswith(sections):
                raise InvalidSettings(_unknown("environment", variable, list(known)))
            continue
        section, _, key = name.partition(".")
        yield name, variable, _typed(text, _section(section).model_fields[key])


def _typed(text: str, field: FieldInfo) -> object:
    if not {bool, int, float} & {field.annotation, *get_args(field.annotation)}:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text  # refused with the reason that its type gives


def _explained(error: ValidationError, origins: Mapping[str, str]) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    name = ".".join(str(part) for part in first["loc"][:2])
    reason = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if first["type"] == "string_pattern_mismatch" and name == "database.url":
        reason = "should be sqlite:///FILE or postgresql://USER@HOST/NAME"
    origin = origins[name]
    return f"{name} {reason[:1].lower()}{reason[1:]} (it is set by {origin})"


def _check(configuration: Configuration) -> None:
    """What no single setting can tell."""
    broker, delivery = configuration.settings.broker, configuration.settings.delivery
    if broker.key is not None and broker.certificate is None:
        raise InvalidSettings("broker.key goes with broker.certificate: set the certificate of this key too")
    if broker.password_file is not None and broker.username is None:
        raise InvalidSettings("broker.password_file goes with broker.username: set the user's name too")
    if delivery.retry_max_seconds < delivery.retry_min_seconds:
        raise InvalidSettings("delivery.retry_max_seconds is less than delivery.retry_min_seconds")
    configuration.database_file()


def _without_password(url: str) -> str:
    url = re.sub(r"://([^:/@?]*):.*@", r"://\1:***@", url)
    return re.sub(r"(?i)(password=)[^&]*", r"\1***", url)
