"""``e4 c2 new-c2-key`` and ``c2-public-key``: the key server's own key pair, in public-key mode."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from e4.cli._errors import Failed, Usage
from e4.cli._options import JsonFlag
from e4.cli._output import shown
from e4.cli.c2._access import Access, YesFlag, confirm
from e4.cli.c2._group import Entry, add
from e4.cli.c2._show import document, done, json_of
from e4.cli.c2._watch import WatchFlag, job_text, watch

__all__ = ["register"]


def _new_c2_key(
    force: Annotated[bool, typer.Option("--force", help="Do it without asking.")] = False,
    confirmed: Annotated[
        bool,
        typer.Option(
            "--confirm",
            help="Make no key: say that all clients use the newest, so that older ones are forgotten.",
        ),
    ] = False,
    yes: YesFlag = False,
    watched: WatchFlag = False,
    as_json: JsonFlag = False,
    *,
    access: Access,
) -> None:
    if confirmed and (force or watched):
        raise Usage("--confirm makes no key: leave out --force and --watch")
    with access.remote() as remote:
        if confirmed:
            confirm(
                "A client that does not have the newest can then not be reached any more. "
                "Forget C2's older keys?",
                yes,
            )
            remote.confirm_c2_key()
            done("C2's older keys are forgotten", as_json, confirmed=True)
            return
        confirm("Make C2 a new key, and send it to every client?", force or yes)
        job = remote.new_c2_key(force=True)
        if watched:
            job = watch(remote, job.id)
    done(f"C2 has a new key: {job_text(job)}, see 'e4 c2 job {job.id}'", as_json, job=json_of(job))


def _c2_public_key(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write its 32 bytes there instead.")
    ] = None,
    as_json: JsonFlag = False,
    *,
    access: Access,
) -> None:
    with access.remote() as remote:
        key = remote.c2_public_key()
    if out is not None:
        if out.exists():
            raise Failed(f"{out} exists already: choose another name")
        out.write_bytes(key)
    if as_json:
        document({"public_key": key.hex(), "file": None if out is None else str(out)})
    elif out is None:
        print(key.hex())
    else:
        print(f"public key written to {shown(str(out))}")


_COMMANDS = (
    Entry(
        "new-c2-key",
        _new_c2_key,
        "Make C2 a new key pair, and send every client its public half (public-key mode).",
        "--force --watch\n--confirm",
        "The old pair is kept until you say with --confirm that every client uses the new one.",
    ),
    Entry(
        "c2-public-key",
        _c2_public_key,
        "Print C2's public key, which clients in public-key mode need.",
        "\n--out c2.key.pub",
    ),
)


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    add(app, "e4 c2", _COMMANDS)
