"""What a server keeps of its work: commands, jobs, events, the audit; and its tokens."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from e4.c2 import jsonform
from e4.c2.jsonform import from_json
from e4.c2.model import (
    AuditCheck,
    AuditRow,
    Command,
    CommandState,
    Event,
    EventKind,
    Job,
    JobState,
    Page,
    Role,
    Token,
)
from e4.c2.remote import _events
from e4.c2.remote._base import LIMIT, Base
from e4.c2.remote._requests import name_of

__all__ = ["Records"]

_LONG = 600.0  # seconds that the check of an audit of millions of rows may take


class Records(Base):
    """What a server has done, does, and whom it obeys."""

    # --- Commands and jobs

    def page_commands(
        self,
        cursor: str | None = None,
        limit: int = 100,
        *,
        client: str | bytes | None = None,
        state: CommandState | None = None,
        job: int | None = None,
    ) -> Page[Command]:
        """Up to `limit` (1 to 1000) commands, newest first."""
        name = None if client is None else name_of(client)
        return self._page(Command, "commands", cursor, limit, client=name, state=state, job=job)

    def commands(
        self,
        *,
        client: str | bytes | None = None,
        state: CommandState | None = None,
        job: int | None = None,
    ) -> Iterator[Command]:
        """All commands that are kept, newest first."""
        return self._all(
            lambda cursor: self.page_commands(cursor, LIMIT, client=client, state=state, job=job)
        )

    def get_command(self, id: int) -> Command:
        """A command and how far it has come."""
        return self._one(Command, "GET", f"commands/{id:d}")

    def retry_commands(self) -> int:
        """Try refused commands again now, instead of after their waiting times; how many there are."""
        answer = self._transport.call("POST", "commands/retry")
        return self._read(lambda: int(answer["count"]))

    def page_jobs(
        self, cursor: str | None = None, limit: int = 100, *, state: JobState | None = None
    ) -> Page[Job]:
        """Up to `limit` (1 to 1000) jobs, newest first."""
        return self._page(Job, "jobs", cursor, limit, state=state)

    def jobs(self, *, state: JobState | None = None) -> Iterator[Job]:
        """All jobs, newest first."""
        return self._all(lambda cursor: self.page_jobs(cursor, LIMIT, state=state))

    def get_job(self, id: int) -> Job:
        """A job and how far it has come."""
        return self._one(Job, "GET", f"jobs/{id:d}")

    def watch_job(self, id: int, interval: float = 0.5) -> Iterator[Job]:
        """A job again and again, every `interval` seconds, until it is done or superseded."""
        while True:
            job = self.get_job(id)
            yield job
            if job.state is not JobState.RUNNING:
                return
            time.sleep(interval)

    # --- Events and audit

    def events(self, after: int | None = None, kinds: Sequence[EventKind] = ()) -> Iterator[Event]:
        """Events as they happen, without end; after a lost connection from where it broke off.

        Args:
            after: number of the last event that is known, 0 for all that are kept; None for new ones only.
            kinds: which; all if empty.

        Raises:
            Unavailable: the server cannot be reached at first. Later it is waited for.
        """
        return _events.follow(self._transport, after, kinds)

    def page_events(
        self,
        cursor: str | None = None,
        limit: int = 100,
        *,
        after: int | None = None,
        kinds: Sequence[EventKind] = (),
    ) -> Page[Event]:
        """Up to `limit` (1 to 1000) of the events that are kept, oldest first.

        Args:
            after: number of the last event that is known; instead of a cursor.
            kinds: which; all if empty. Then a page can be short although more follow.
        """
        wanted = [kind.value for kind in kinds] or None
        return self._page(Event, "events", cursor, limit, after=after, kind=wanted)

    def page_audit(self, cursor: str | None = None, limit: int = 100) -> Page[AuditRow]:
        """Up to `limit` (1 to 1000) rows of the audit, newest first."""
        return self._page(AuditRow, "audit", cursor, limit)

    def audit(self) -> Iterator[AuditRow]:
        """All rows of the audit, newest first."""
        return self._all(lambda cursor: self.page_audit(cursor, LIMIT))

    def verify_audit(self) -> AuditCheck:
        """Check the chain of the audit, row by row, on the server."""
        return self._one(AuditCheck, "GET", "audit/verify", silence=_LONG)

    # --- Tokens

    def new_token(
        self, name: str, role: Role, *, protect: bool = False, expires_at: int | None = None
    ) -> tuple[Token, str]:
        """Make a token.

        Args:
            name: unique; appears in the audit.
            protect: whether it may protect and unprotect messages.
            expires_at: milliseconds since the epoch; None for never.

        Returns:
            The token; and its secret, which cannot be had again.
        """
        expires = None if expires_at is None else jsonform.time_text(expires_at)
        body = {"name": name, "role": role, "protect": protect, "expires_at": expires}
        # Not sent again: were the answer lost, the secret would be too.
        answer = self._transport.call("POST", "tokens", body=body, again=False)
        return self._read(lambda: (from_json(Token, answer["token"]), str(answer["secret"])))

    def page_tokens(self, cursor: str | None = None, limit: int = 100) -> Page[Token]:
        """Up to `limit` (1 to 1000) tokens, oldest first, without their secrets."""
        return self._page(Token, "tokens", cursor, limit)

    def tokens(self) -> Iterator[Token]:
        """All tokens, oldest first."""
        return self._all(lambda cursor: self.page_tokens(cursor, LIMIT))

    def revoke_token(self, id: int) -> None:
        """End a token."""
        self._transport.call("DELETE", f"tokens/{id:d}")
