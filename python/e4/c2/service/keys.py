"""Operations on the keys of clients and of C2 itself (C2, section 2)."""

from __future__ import annotations

from collections.abc import Sequence

from e4 import crypto
from e4.c2.auth import require
from e4.c2.model import Call, Client, EventKind, Job, JobKind, KeyState, Mode, Right
from e4.c2.service._change import Change
from e4.c2.service._checks import Ref, label, read_ref
from e4.c2.service._client_keys import confirm, next_client_key, tell_linked
from e4.c2.service._core import Core
from e4.c2.service._expand import start
from e4.c2.service._reading import check_batch
from e4.errors import FailedPrecondition

__all__ = ["Keys"]


class Keys:
    """Changing keys, and confirming that the new ones are in use."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def new_client_key(self, call: Call, client: Ref) -> Client:
        """Make a client's next key and send it under the one that it has, which is kept until confirmed.

        In PK mode the new public key goes to the clients that this one is linked to.

        Raises:
            NotFound: the client is not known.
        """
        with self._core.attempt(call, "new_client_key", label(client)) as attempt:
            ref = read_ref(client)
            return attempt.commit(lambda change: _renew(change, change.client(ref)))

    def new_client_keys(self, call: Call, clients: Sequence[Ref]) -> list[Client]:
        """As `new_client_key` for many; all or none."""
        with self._core.attempt(call, "new_client_key", f"{len(clients)} clients") as attempt:
            check_batch(clients)
            refs = list(dict.fromkeys(map(read_ref, clients)))

            def work(change: Change) -> list[Client]:
                found = change.clients(refs)
                renewed = {client.row: client for client in found.values()}
                renewed = {row: _renew(change, client) for row, client in sorted(renewed.items())}
                return [renewed[found[ref].row] for ref in refs]

            return attempt.commit(work, each=lambda _: [label(ref) for ref in refs])

    def confirm_client_key(self, call: Call, client: Ref) -> None:
        """The client is known to use its newest key: forget the older ones.

        Raises:
            NotFound: the client is not known.
            FailedPrecondition: the newest key has not been sent yet.
        """
        with self._core.attempt(call, "confirm_client_key", label(client)) as attempt:
            ref = read_ref(client)
            attempt.commit(lambda change: confirm(change, change.client(ref)))

    def new_c2_key(self, call: Call, force: bool) -> Job:
        """Make C2's next key pair and send its public half to every client under the one it has.

        Raises:
            FailedPrecondition: SK mode, or `force` is not given.
        """
        with self._core.attempt(call, "new_c2_key", right=Right.ADMINISTER) as attempt:
            self._core.require_public_keys()
            if not force:
                raise FailedPrecondition("a new key of C2 changes every client: ask for it with force")
            return attempt.commit(_renew_c2)

    def confirm_c2_key(self, call: Call) -> None:
        """Every client is known to use C2's newest key: forget the older ones.

        Raises:
            FailedPrecondition: SK mode, or it has not been sent to every client yet.
        """
        with self._core.attempt(call, "confirm_c2_key", right=Right.ADMINISTER) as attempt:
            self._core.require_public_keys()
            attempt.commit(_confirm_c2)

    def c2_public_key(self, call: Call) -> bytes:
        """C2's newest public key, 32 bytes: what new clients are given. Raises `FailedPrecondition`."""
        with self._core.reading(call) as tx:
            self._core.require_public_keys()
            return tx.keys.c2_keys()[-1].public

    def get_crypto_mode(self, call: Call) -> Mode:
        """The mode of the database, for good."""
        require(call.actor, Right.VIEW)
        return self._core.mode


def _renew(change: Change, client: Client) -> Client:
    renewed = next_client_key(change, client)
    change.set_id_key(client, renewed.key_version)
    tell_linked(change, renewed)
    return renewed


def _renew_c2(change: Change) -> Job:
    tx = change.tx
    tx.keys.hold_c2_keys(renew=True)
    version = tx.keys.c2_keys()[-1].version + 1
    private = crypto.random_curve25519_private_key()
    sealed = change.vault.seal("c2_keys", version, version, private)
    public = crypto.curve25519_public_key(private)
    tx.keys.add_c2_key(version, KeyState.PENDING, sealed, public, change.now)
    total = tx.clients.count_below_c2_key_version(version)
    return start(change, JobKind.C2_KEY, 0, "", version, total)


def _confirm_c2(change: Change) -> None:
    tx = change.tx
    keys = tx.keys.c2_keys()
    newest = keys[-1]
    if newest.state is not KeyState.CURRENT or tx.commands.pending_c2_keys():
        raise FailedPrecondition("C2's new key has not been sent to every client yet")
    below = tx.clients.count_below_c2_key_version(newest.version)
    if below:
        raise FailedPrecondition(f"{below} clients have C2's older key: make a new key again, or resync them")
    if len(keys) > 1:
        tx.keys.delete_c2_keys(newest.version)
        change.event(EventKind.KEY_C2_CONFIRMED, "", str(newest.version))
