"""``e4 c2 token`` and ``e4 c2 audit``: who may do what, and who has done what."""

from __future__ import annotations

import datetime
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from e4.c2 import jsonform
from e4.c2.model import Role
from e4.cli._errors import FAILED, Failed, Usage
from e4.cli._options import JsonFlag
from e4.cli._output import shown
from e4.cli.c2._access import Access, YesFlag, confirm
from e4.cli.c2._columns import AUDIT, TOKENS
from e4.cli.c2._group import Entry, add, make_group
from e4.cli.c2._pages import LimitOption, paged
from e4.cli.c2._show import document, done, json_of, listed

if TYPE_CHECKING:
    from e4.c2.model import Token
    from e4.c2.remote import Remote

__all__ = ["register"]

_DAY = 86_400_000  # milliseconds

_TOKEN_HELP = """Make, list and end the tokens by which callers are known.

\b
viewer    may look at everything but the audit
operator  may also change clients and topics
admin     may also make C2's key, tokens, and read the audit

The right to protect and unprotect messages on the server is separate (--protect): no role has it.

\b
Examples:
  e4 c2 token create console --role viewer
  e4 c2 token list
"""
_AUDIT_HELP = """Read the audit: who changed what, when, and how it ended. Check that nobody has changed it.

\b
Examples:
  e4 c2 audit list --json
  e4 c2 audit verify
"""


def _create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="For the list and the audit; unique.")],
    role: Annotated[
        str, typer.Option("--role", metavar="ROLE", help="viewer, operator or admin.", show_default=False)
    ],
    protect: Annotated[
        bool, typer.Option("--protect", help="It may also protect and unprotect messages.")
    ] = False,
    expires: Annotated[
        str | None,
        typer.Option(
            "--expires",
            metavar="WHEN",
            help="Until when: 90d for days, or a time as 2027-01-31T12:00:00Z.",
            show_default="never",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the secret there, readable by you alone."),
    ] = None,
    as_json: JsonFlag = False,
    *,
    access: Access,
) -> None:
    if role not in tuple(Role):
        raise Usage(f"--role is {', '.join(Role)}")
    expires_at = None if expires is None else _moment(expires)
    if out is not None and out.exists():
        raise Failed(f"{out} exists already: choose another name")
    with access.remote() as remote:
        token, secret = remote.new_token(name, Role(role), protect=protect, expires_at=expires_at)
    if out is not None:
        _write_secret(out, secret)
    if as_json:
        document(
            json_of(token) | {"file": None if out is None else str(out)} | ({} if out else {"secret": secret})
        )
        return
    print(f"token {token.id} ({shown(token.name)}, {token.role.value}) made")
    if out is None:
        print(f"its secret, which is shown only now: {shown(secret)}")
    else:
        print(f"its secret is in {shown(str(out))}")


def _list(limit: LimitOption = None, as_json: JsonFlag = False, *, access: Access) -> None:
    with access.remote() as remote:
        listed(paged(remote.page_tokens, limit), TOKENS, as_json, none="no tokens")


def _revoke(
    which: Annotated[str, typer.Argument(metavar="NAME|ID", help="The token's name or number.")],
    yes: YesFlag = False,
    as_json: JsonFlag = False,
    *,
    access: Access,
) -> None:
    with access.remote() as remote:
        token = _find(remote, which)
        confirm(f"End the token {token.id} ({token.name})?", yes)
        remote.revoke_token(token.id)
    done(f"token {token.id} ({token.name}) is ended", as_json, revoked=token.id)


def _find(remote: Remote, which: str) -> Token:
    """The token of that name, else the one of that number. Raises `Failed`."""
    numbered = None
    for token in remote.tokens():
        if token.name == which:
            return token
        if str(token.id) == which:
            numbered = token
    if numbered is None:
        raise Failed(f"there is no token {which}: see 'e4 c2 token list'")
    return numbered


def _moment(text: str) -> int:
    """A time to come, in milliseconds since the epoch. Raises `Usage`."""
    now = time.time_ns() // 1_000_000
    if days := re.fullmatch(r"(\d{1,5})d", text):
        return now + int(days[1]) * _DAY
    try:
        at = jsonform.time_value(text)
    except (ValueError, OverflowError):
        example = datetime.datetime.now(datetime.UTC).year + 1
        raise Usage(f"--expires is a number of days as 90d, or a time as {example}-01-31T12:00:00Z") from None
    if at <= now:
        raise Usage("--expires is in the past")
    return at


def _write_secret(path: Path, secret: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(secret + "\n")


def _audit_list(limit: LimitOption = None, as_json: JsonFlag = False, *, access: Access) -> None:
    with access.remote() as remote:
        listed(paged(remote.page_audit, limit), AUDIT, as_json, none="nothing was done yet")


def _audit_verify(as_json: JsonFlag = False, *, access: Access) -> None:
    with access.remote() as remote:
        check = remote.verify_audit()
    if as_json:
        document(json_of(check))
    elif check.broken is None:
        print(f"the audit is as it was written: {check.rows} rows, each chained to the one before")
        if check.rows:
            print(f"the hash of row {check.rows} is {check.head.hex()}")
    else:
        print(f"the audit was changed: row {check.broken} does not follow from the {check.rows} before it")
    if check.broken is not None:
        raise typer.Exit(FAILED)


_TOKENS = (
    Entry(
        "create",
        _create,
        "Make a token, and show its secret once.",
        "console --role viewer\ngateway --role operator --protect --expires 90d --out gateway.token",
    ),
    Entry("list", _list, "List tokens, without their secrets.", ""),
    Entry("revoke", _revoke, "End a token.", "console", "Whoever uses it gets nothing from then on."),
)
_AUDITS = (
    Entry(
        "list", _audit_list, "List all changes and refused attempts, the newest first.", "\n--limit 20 --json"
    ),
    Entry(
        "verify",
        _audit_verify,
        "Check that every row follows from the one before.",
        "",
        "The exit code is 1 where one does not. Rows that were cut off at the end leave no trace there: keep "
        "the hash that is printed, and look later whether that row still has it.",
    ),
)


def register(app: typer.Typer) -> None:
    """Add the groups of commands to the app."""
    tokens = make_group(app, "token", "Tokens: make, list and end them.", _TOKEN_HELP)
    add(tokens, "e4 c2 token", _TOKENS)
    audits = make_group(app, "audit", "The audit: read it, check it.", _AUDIT_HELP)
    add(audits, "e4 c2 audit", _AUDITS)
