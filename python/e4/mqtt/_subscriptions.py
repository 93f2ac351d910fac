"""What the client wants to be subscribed to, and which of it the broker has been asked and has answered.

Does no I/O; everything here is called with the session's lock held.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

from e4.errors import InvalidTopic
from e4.mqtt._policy import check_filter

__all__ = ["Request", "Subscriptions", "check_subscription"]

_COMMAND_QOS = 2  # protocol, section 4


def check_subscription(filter: str) -> None:
    """Raises `InvalidTopic` for what a broker would answer by ending the connection."""
    check_filter(filter)
    if filter.startswith("$share/"):  # MQTT 5.0, section 4.8.2
        _, name, *rest = filter.split("/", 2)
        if not name or "+" in name or "#" in name or not rest or not rest[0]:
            raise InvalidTopic("a shared subscription is $share/NAME/FILTER, its name without wildcards")


@dataclass(slots=True, eq=False)
class Request:
    """A SUBSCRIBE (with its QoS) or UNSUBSCRIBE (None) to be sent, or sent and not answered.

    Attributes:
        filter: the topic filter.
        qos: of the subscription.
        automatic: whether it repeats, on a new connection, one that was granted before.
        waiters: those to be told of the answer.
    """

    filter: str
    qos: int | None
    automatic: bool = False
    waiters: list[Future[None]] = field(default_factory=list)


class Subscriptions:
    """The subscriptions of one client, its receiving topic among them.

    Args:
        own: the receiving topic.
    """

    def __init__(self, own: str) -> None:
        self._own = own
        self._wanted: dict[str, int] = {own: _COMMAND_QOS}
        self._unsent: deque[Request] = deque()
        self._sent: dict[int, Request] = {}

    def request(self, filter: str, qos: int | None) -> Future[None]:
        """Want a subscription, at this QoS, or no longer (None); done when the broker has answered."""
        if filter == self._own:
            if qos is None:
                raise InvalidTopic("the client stays subscribed to its receiving topic")
            qos = _COMMAND_QOS
        if qos is None:
            self._wanted.pop(filter, None)
        else:
            self._wanted[filter] = qos
        # One that waits to be sent takes on what is wanted now.
        request = next((r for r in self._unsent if r.filter == filter), None)
        if request is None:
            request = Request(filter, qos)
            self._unsent.append(request)
        request.qos = qos
        future: Future[None] = Future()
        request.waiters.append(future)
        return future

    def renew(self) -> None:
        """A new connection: ask for everything wanted again, and for what was not answered."""
        open_requests = [*self._sent.values(), *self._unsent]
        asked = {r.filter for r in open_requests if not r.automatic}
        waiters: dict[str, list[Future[None]]] = {r.filter: [] for r in open_requests}
        for request in open_requests:
            waiters[request.filter] += request.waiters
        self._sent.clear()
        self._unsent.clear()
        for filter, futures in waiters.items():
            if filter not in self._wanted:
                self._unsent.append(Request(filter, None, waiters=futures))
        for filter, qos in self._wanted.items():
            automatic = filter not in asked or filter == self._own
            self._unsent.append(Request(filter, qos, automatic, waiters.get(filter, [])))

    def take(self) -> Request | None:
        """The next to send; `sent` must follow."""
        return self._unsent.popleft() if self._unsent else None

    def sent(self, request: Request, mid: int | None) -> None:
        """It is on its way under this packet identifier; or, with None, the connection is gone."""
        if mid is None:
            self._unsent.appendleft(request)
        else:
            self._sent[mid] = request

    def answered(self, mid: int, refused: bool = False) -> Request | None:
        """The broker has answered; None if nobody asked.

        A new subscription that it refuses is not wanted any more. One that it granted before is asked
        for again at the next connection.
        """
        request = self._sent.pop(mid, None)
        if request is not None and refused and not request.automatic and request.filter != self._own:
            self._wanted.pop(request.filter, None)
        return request

    @property
    def renewing(self) -> bool:
        """Whether subscriptions of the previous connection are not granted again yet."""
        return any(r.automatic for r in (*self._sent.values(), *self._unsent))

    def clear(self) -> list[Future[None]]:
        """Forget all requests; returns who waits for them."""
        waiters = [f for r in (*self._sent.values(), *self._unsent) for f in r.waiters]
        self._sent.clear()
        self._unsent.clear()
        return waiters
