"""``e4 c2 login, logout, info``: which server the other commands ask."""

from __future__ import annotations

import getpass
import os
import sys
from typing import Annotated

import typer

from e4.cli._errors import Failed
from e4.cli._options import JsonFlag
from e4.cli._output import shown
from e4.cli.c2 import _profile
from e4.cli.c2._access import Access, open_remote
from e4.cli.c2._group import Entry, add
from e4.cli.c2._profile import Profile
from e4.cli.c2._show import details, document, done, json_of
from e4.errors import Unauthenticated

__all__ = ["register"]


def _login(
    no_token: Annotated[
        bool, typer.Option("--no-token", help="The server asks for no token ('--auth none').")
    ] = False,
    as_json: JsonFlag = False,
    *,
    access: Access,
) -> None:
    name = access.profile or _profile.DEFAULT
    given = access.fresh()
    token = None if no_token else given.token
    if token is None and not no_token:
        if not sys.stdin.isatty():
            raise Failed("no token: give --token-file, or --no-token for a server that asks for none")
        token = getpass.getpass("Token: ").strip()
    profile = Profile(given.url, token, *(_absolute(file) for file in (given.ca, given.cert, given.key)))
    with open_remote(profile, access.timeout) as remote:
        try:
            info = remote.info()
        except Unauthenticated:
            raise Failed(f"{profile.url} does not know this token: nothing was kept") from None
    path = _profile.save(name, profile)
    if as_json:
        document({"profile": name, "url": profile.url, "file": str(path)} | json_of(info))
    else:
        print(
            f"logged in to {shown(profile.url)} ({info.mode}, {info.clients} clients), "
            f"kept in {shown(str(path))}"
        )


def _absolute(file: str | None) -> str | None:
    return None if file is None else os.path.abspath(file)


def _logout(
    profile: Annotated[
        str, typer.Option("--profile", metavar="NAME", help="What 'e4 c2 login' has kept under this name.")
    ] = _profile.DEFAULT,
    as_json: JsonFlag = False,
) -> None:
    if not _profile.forget(profile):
        raise Failed(f"there is no profile {profile}")
    done(
        f"the address and the token of {profile} are forgotten; the token itself stays good",
        as_json,
        forgotten=profile,
    )


def _info(as_json: JsonFlag = False, *, access: Access) -> None:
    profile = access.resolved()
    with open_remote(profile, access.timeout) as remote:
        info = remote.info()
    if as_json:
        document({"url": profile.url} | json_of(info))
    else:
        details(
            [
                ("server", profile.url),
                ("version", info.version),
                ("mode", info.mode),
                ("clients", info.clients),
                ("topics", info.topics),
            ]
        )


_COMMANDS = (
    Entry(
        "login",
        _login,
        "Keep a server's address and a token, for the commands that follow.",
        "--url https://c2.example:8888 --token-file admin.token\n--data /srv/c2 --profile here",
        "Without --token-file e4 asks for the token. Kept in ~/.config/e4/c2.toml, readable by you alone.",
    ),
    Entry("logout", _logout, "Forget what 'login' has kept.", "\n--profile here"),
    Entry("info", _info, "Show the server: its address, version and mode, how much it holds.", ""),
)


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    add(app, "e4 c2", _COMMANDS)
