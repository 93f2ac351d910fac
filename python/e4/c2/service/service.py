"""All operations of the key server, in groups. Knows no HTTP, no SQL and no broker."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from e4.c2.model import Actor, Call, Mode, Role
from e4.c2.service._change import Change
from e4.c2.service._core import Core
from e4.c2.service._expand import expand
from e4.c2.service.clients import Clients
from e4.c2.service.keys import Keys
from e4.c2.service.legacy import TakenOver, take_over
from e4.c2.service.links import Links
from e4.c2.service.members import Members
from e4.c2.service.messages import Messages
from e4.c2.service.outbox import settle
from e4.c2.service.records import Audit, Commands, Events, Jobs
from e4.c2.service.setup import mode_of
from e4.c2.service.tokens import Tokens
from e4.c2.service.topics import Topics
from e4.errors import DatabaseError, Unauthenticated

if TYPE_CHECKING:
    from e4.c2.storage import Outgoing, Store, Transaction
    from e4.c2.storage.legacy import LegacyDatabase
    from e4.c2.vault import Vault

__all__ = ["Service"]

_logger = logging.getLogger("e4.c2.service")


class Service:
    """The operations on one database. Safe to use from many threads; every call is one short transaction.

    Args:
        store: the database.
        vault: its keys, open.
        clock: milliseconds since the epoch.
        notify: called after a commit that queued commands or appended events.
    """

    def __init__(
        self,
        store: Store,
        vault: Vault,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        notify: Callable[[], None] = lambda: None,
    ) -> None:
        self._core = core = Core(store, vault, mode_of(store), clock, notify)
        self.clients = Clients(core)
        self.topics = Topics(core)
        self.members = Members(core)
        self.links = Links(core)
        self.keys = Keys(core)
        self.messages = Messages(core)
        self.commands = Commands(core)
        self.jobs = Jobs(core)
        self.events = Events(core)
        self.audit = Audit(core)
        self.tokens = Tokens(core)

    @property
    def mode(self) -> Mode:
        """The mode of the database."""
        return self._core.mode

    def import_legacy(
        self,
        call: Call,
        source: LegacyDatabase,
        passphrase: str,
        *,
        c2_private_key: bytes | None = None,
        progress: Callable[[str, int, int], None] = lambda table, done, total: None,
    ) -> TakenOver:
        """Take over a deployed server's database, whole or not at all; nothing is sent to its clients.

        Args:
            call: who asks; an administrator.
            source: the deployed database.
            passphrase: of the deployed server.
            c2_private_key: PK mode: the deployed server's X25519 private key, 32 bytes. Without it, C2 has
                another key than its clients know, and they take no command.
            progress: told of each part how much is done: table, done, total.

        Raises:
            Conflict: there are clients or topics already.
            WrongPassphrase: the passphrase does not open its keys.
            DatabaseError: something in it is damaged, or not valid in this mode.
        """
        return take_over(
            self._core, call, source, passphrase, c2_private_key=c2_private_key, progress=progress
        )

    def refused_token(self, peer: str, request_id: str) -> None:
        """Keep that somebody presented a wrong token. Without a database it is not kept, and that is logged.

        Args:
            peer: the address it came from.
            request_id: of the request it came with.
        """
        call = Call(Actor("", Role.VIEWER, protect=False), request_id, peer)
        try:
            self._core.transact(
                lambda change: change.audit(call, "authenticate", "", Unauthenticated.__name__)
            )
        except DatabaseError as error:
            _logger.warning("a wrong token is not in the audit: %s", error)

    def run_jobs_once(self) -> bool:
        """Queue one chunk of a job's commands; whether there may be more to do."""

        def work(change: Change) -> bool:
            change.touched_jobs()
            job = change.tx.jobs.lock_next()
            if job is not None:
                expand(change, job)
            return job is not None

        return self._core.transact(work)

    def delivered(
        self,
        tx: Transaction,
        sent: Sequence[tuple[Outgoing, int]],
        failed: Sequence[tuple[Outgoing, str, int]] = (),
        superseded: Sequence[Outgoing] = (),
    ) -> None:
        """Settle what a sender did, in the transaction of its claim; it calls `notify` after the commit.

        Args:
            tx: of the claim.
            sent: commands whose PUBCOMP was seen, and the second they were dated.
            failed: commands that the broker refused, why, and when to try again.
            superseded: commands about something that is gone.
        """
        change = Change(tx, self._core.vault, self._core.mode, self._core.clock())
        settle(change, sent, failed, superseded)
        change.finish()

    def notify(self) -> None:
        """Wake whoever waits for commands or events."""
        self._core.notify()
