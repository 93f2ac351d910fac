"""The options of every command that asks a running key server, and what comes of them. Knows no command."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from e4.cli._errors import Failed, Usage
from e4.cli._options import VerboseFlag, read_password_file
from e4.cli._output import shown
from e4.cli.c2 import _profile
from e4.cli.c2._profile import Profile

if TYPE_CHECKING:
    from e4.c2.remote import Remote

__all__ = ["URL_VARIABLE", "Access", "YesFlag", "confirm", "open_remote"]

URL_VARIABLE = "E4_C2_URL"
TOKEN_VARIABLE = "E4_C2_TOKEN"
CA_VARIABLE = "E4_C2_CA"

YesFlag = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]


@dataclass(frozen=True)
class Access:
    """Which key server, and who asks.

    Each value comes from an option, else from the environment, else from the profile. A profile's token
    and certificates go to the profile's address alone.
    """

    url: Annotated[
        str | None,
        typer.Option(
            "--url", metavar="URL", help=f"The server's address [or {URL_VARIABLE}, or the profile]."
        ),
    ] = None
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help=f"A file whose first line is the token [or {TOKEN_VARIABLE}, or the profile].",
        ),
    ] = None
    ca: Annotated[
        Path | None,
        typer.Option(
            "--ca",
            metavar="FILE",
            help=f"The certificates to trust, PEM [or {CA_VARIABLE}, or the profile; else the system's].",
        ),
    ] = None
    cert: Annotated[
        Path | None,
        typer.Option(
            "--cert", metavar="FILE", help="The certificate of this side, PEM, if one is asked for."
        ),
    ] = None
    tls_key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="The private key of --cert, PEM.")
    ] = None
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="The data folder of a server on this machine: has its address and certificate.",
        ),
    ] = None
    profile: Annotated[
        str | None,
        typer.Option("--profile", metavar="NAME", help="What 'e4 c2 login' has kept under this name."),
    ] = None
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="How long to wait for an answer.")
    ] = 30.0
    verbose: VerboseFlag = False

    def resolved(self) -> Profile:
        """The address and the credentials that count.

        Raises:
            Usage: options that do not go together, or no server.
            Failed: a file cannot be used.
        """
        return self._with(self._kept())

    def _with(self, kept: Profile | None) -> Profile:
        if self.data is not None and self.url is not None:
            raise Usage("--data and --url exclude each other: give one of them")
        if self.tls_key is not None and self.cert is None:
            raise Usage("--key goes with --cert: give the certificate of this key too")
        here = None if self.data is None else _of_data_folder(self.data)
        url = self.url or (here and here.url) or os.environ.get(URL_VARIABLE) or (kept and kept.url)
        if not url:
            raise Usage(
                "which server is not clear: log in with 'e4 c2 login', or give --url, --data "
                f"or {URL_VARIABLE}"
            )
        # Another server than the profile's gets nothing of the profile.
        if kept is None or not _same(kept.url, url):
            kept = Profile(url)
        ca = self.ca or (here and here.ca) or os.environ.get(CA_VARIABLE) or kept.ca
        return Profile(
            url,
            self._token() or kept.token,
            None if ca is None else str(ca),
            kept.cert if self.cert is None else str(self.cert),
            kept.key if self.cert is None else None if self.tls_key is None else str(self.tls_key),
        )

    def fresh(self) -> Profile:
        """The same without the profile: what is to be kept in one. Raises as `resolved` does."""
        if self.url is None and self.data is None and URL_VARIABLE not in os.environ:
            raise Usage(
                "which server is not clear: give its address with --url, or its data folder with --data"
            )
        return self._with(None)

    def remote(self) -> Remote:
        """The server; use it in a ``with`` statement.

        Raises:
            Usage, Failed: see `resolved`.
            InvalidInput: the address or a file is not valid.
        """
        return open_remote(self.resolved(), self.timeout)

    def _kept(self) -> Profile | None:
        kept = _profile.load(self.profile or _profile.DEFAULT)
        if kept is None and self.profile is not None:
            known = ", ".join(_profile.names())
            there = f"there are {known}" if known else "there is none"
            raise Usage(f"there is no profile '{self.profile}' ({there}): make it with 'e4 c2 login'")
        return kept

    def _token(self) -> str | None:
        if self.token_file is not None:
            return read_password_file(self.token_file).strip()
        return os.environ.get(TOKEN_VARIABLE)


def open_remote(profile: Profile, timeout: float) -> Remote:
    """The server that a profile names. Raises `InvalidInput` as `Remote` does."""
    from e4.c2.remote import Remote

    return Remote(
        profile.url,
        profile.token,
        ca=profile.ca,
        certificate=profile.cert,
        key=profile.key,
        timeout=timeout,
    )


def confirm(question: str, yes: bool) -> None:
    """Ask whether to do what cannot be undone.

    Args:
        question: ends with a question mark.
        yes: whether it has been answered on the command line.

    Raises:
        Usage: there is nobody to ask.
        Failed: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty() or not sys.stderr.isatty():
        raise Usage(f"{question} Give --yes to do it without asking")
    print(f"{shown(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Failed("not done")


def _of_data_folder(folder: Path) -> Profile:
    """Address and certificate from a server's data folder."""
    from e4.c2 import settings

    if not (folder / settings.FILE).exists():
        raise Failed(f"{folder} is no data folder of a key server: it has no {settings.FILE}")
    configuration = settings.load(folder, os.environ)
    address = configuration.settings.http.address
    if address.port == 0:
        raise Usage(f"the server in {folder} listens on any free port: give --url and --ca instead of --data")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)
    host = f"[{host}]" if ":" in host else host
    certificate = configuration.path(configuration.settings.tls.certificate)
    return Profile(f"https://{host}:{address.port}", ca=str(certificate))


def _same(one: str, other: str) -> bool:
    """Whether two addresses are those of one server."""

    def parts(url: str) -> tuple[str, str | None, int | None, str]:
        split = urlsplit(url)
        port = split.port or {"https": 443, "http": 80}.get(split.scheme)
        return split.scheme, split.hostname, port, split.path.rstrip("/")

    try:
        return parts(one) == parts(other)
    except ValueError:
        return False
