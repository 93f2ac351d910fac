"""Who calls, and what they may do: tokens, roles, and the limit on failed attempts (C2, section 4.6).

A token is ``e4_`` and 32 random bytes in base64url. Only its SHA-256 is stored, and it is looked up by
that: what a comparison's time could tell is the hash of a guess, which the guesser knows. A random secret
of 256 bits needs no slow hash.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from e4.c2.model import ANYBODY, Actor, Right, Role
from e4.errors import PermissionDenied, TooManyAttempts, Unauthenticated

if TYPE_CHECKING:
    from e4.c2.storage import Store

__all__ = ["Authenticator", "allows", "new_secret", "require", "secret_hash"]

PREFIX: Final = "e4_"
SECRET_LEN: Final = 32
TOKEN_MAX: Final = 128  # characters of what is presented; a token has 46
_REMEMBERED: Final = 1024  # good tokens used lately
_ADDRESSES: Final = 10_000  # that failed lately

_RIGHTS: Final = {
    Role.VIEWER: frozenset({Right.VIEW}),
    Role.OPERATOR: frozenset({Right.VIEW, Right.OPERATE}),
    Role.ADMIN: frozenset({Right.VIEW, Right.OPERATE, Right.ADMINISTER}),
}


def allows(actor: Actor, right: Right) -> bool:
    """Whether the actor has that right."""
    return actor.protect if right is Right.PROTECT else right in _RIGHTS[actor.role]


def require(actor: Actor, right: Right) -> None:
    """Raises `PermissionDenied` unless the actor has that right."""
    if not allows(actor, right):
        raise PermissionDenied(f"not allowed: this needs the right to {right}")


def new_secret() -> str:
    """A new token: shown once, and not stored."""
    return PREFIX + base64.urlsafe_b64encode(os.urandom(SECRET_LEN)).rstrip(b"=").decode()


def secret_hash(secret: str) -> bytes:
    """What is stored of a token, and what it is looked up by: its SHA-256, 32 bytes."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


class Authenticator:
    """Tells who a token is, and holds back an address that presents too many wrong ones.

    An address over the limit is refused without a look into the database, so that guessing goes no faster.
    Holders of good tokens behind the same address are not held back if theirs were used lately.

    Args:
        store: has the tokens.
        required: False lets anybody do everything, whatever they present.
        max_failed: failed attempts per address within the window.
        window: seconds.
        clock: milliseconds since the epoch; tokens expire by it.
        monotonic: seconds, for the window.
        refused: told of each wrong token within the limit, with the address and the request's id.
    """

    def __init__(
        self,
        store: Store,
        *,
        required: bool,
        max_failed: int = 10,
        window: float = 60.0,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        monotonic: Callable[[], float] = time.monotonic,
        refused: Callable[[str, str], None] = lambda peer, request_id: None,
    ) -> None:
        self._store = store
        self._refused = refused
        self._required = required
        self._clock = clock
        self._failures = _Failures(max_failed, window, monotonic)
        self._lock = threading.Lock()
        self._good: OrderedDict[bytes, None] = OrderedDict()

    @property
    def required(self) -> bool:
        """Whether credentials are needed."""
        return self._required

    def actor_of(self, token: str | None, peer: str, request_id: str = "") -> Actor:
        """Whose token this is.

        Args:
            token: as presented; None if none was.
            peer: the address it came from, without a port.
            request_id: of the request it came with.

        Raises:
            Unauthenticated: none, or one that is not known, has expired or was revoked.
            TooManyAttempts: too many such ones came from this address.
        """
        if not self._required:
            return ANYBODY
        if token is None:
            raise Unauthenticated("credentials are missing")
        if len(token) > TOKEN_MAX:
            return self._refuse(peer, request_id)
        hashed = secret_hash(token)
        if self._failures.exceeded(peer) and not self._used_lately(hashed):
            raise TooManyAttempts
        with self._store.read() as tx:
            found = tx.tokens.by_hash(hashed)
        now = self._clock()
        if (
            found is None
            or found.revoked_at is not None
            or (found.expires_at is not None and found.expires_at <= now)
        ):
            return self._refuse(peer, request_id)
        self._remember(hashed)
        return Actor(found.name, found.role, found.protect, found.id)

    def _refuse(self, peer: str, request_id: str) -> Actor:
        if self._failures.add(peer):
            raise TooManyAttempts
        self._refused(peer, request_id)
        raise Unauthenticated("credentials are not valid")

    def _used_lately(self, hashed: bytes) -> bool:
        with self._lock:
            return hashed in self._good

    def _remember(self, hashed: bytes) -> None:
        with self._lock:
            self._good[hashed] = None
            self._good.move_to_end(hashed)
            if len(self._good) > _REMEMBERED:
                self._good.popitem(last=False)


class _Failures:
    """When each address failed lately: at most so many times each, for at most so many addresses."""

    def __init__(self, limit: int, window: float, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._window = window
        self._clock = clock
        self._lock = threading.Lock()
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def exceeded(self, peer: str) -> bool:
        """Whether the address has used up its attempts."""
        with self._lock:
            times = self._times.get(_network(peer))
            return times is not None and self._full(times)

    def add(self, peer: str) -> bool:
        """Note a failure; whether the attempts were used up before it."""
        network = _network(peer)
        with self._lock:
            times = self._times.setdefault(network, deque(maxlen=self._limit))
            full = self._full(times)
            if not full:
                times.append(self._clock())
            self._times.move_to_end(network)
            if len(self._times) > _ADDRESSES:
                self._times.popitem(last=False)
            return full

    def _full(self, times: deque[float]) -> bool:
        since = self._clock() - self._window
        while times and times[0] <= since:
            times.popleft()
        return len(times) >= self._limit


def _network(peer: str) -> str:
    """What one caller can choose addresses from: an IPv6 network of 64 bits, or the address itself."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if address.version == 4:
        return peer
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address.packed[:8] + bytes(8), 64)))
