"""Which subscriptions are wanted, asked for and granted."""

from __future__ import annotations

import pytest

import e4
from e4.mqtt._subscriptions import Subscriptions

OWN = "e4/00"


def ask_all(subscriptions: Subscriptions, mid: int = 1) -> dict[str, int | None]:
    asked: dict[str, int | None] = {}
    while (request := subscriptions.take()) is not None:
        subscriptions.sent(request, mid)
        asked[request.filter] = request.qos
        mid += 1
    return asked


def test_the_receiving_topic_is_asked_for_at_each_connection() -> None:
    subscriptions = Subscriptions(OWN)
    for _ in range(2):
        subscriptions.renew()
        assert subscriptions.renewing
        assert ask_all(subscriptions) == {OWN: 2}
        assert subscriptions.renewing
        subscriptions.answered(1)
        assert not subscriptions.renewing
    with pytest.raises(e4.InvalidTopic):
        subscriptions.request(OWN, None)
    subscriptions.request(OWN, 0)
    assert ask_all(subscriptions) == {OWN: 2}


def test_what_was_granted_is_renewed_and_what_was_refused_is_not() -> None:
    subscriptions = Subscriptions(OWN)
    subscriptions.renew()
    ask_all(subscriptions)
    subscriptions.answered(1)
    for mid, filter in ((2, "granted"), (3, "refused")):
        subscriptions.request(filter, 1)
        ask_all(subscriptions, mid)
        request = subscriptions.answered(mid, refused=filter == "refused")
        assert request is not None
        assert not request.automatic
    subscriptions.renew()
    assert ask_all(subscriptions) == {OWN: 2, "granted": 1}
    request = subscriptions.answered(2, refused=True)
    assert request is not None
    assert request.automatic
    subscriptions.renew()
    assert ask_all(subscriptions) == {OWN: 2, "granted": 1}


def test_what_was_not_answered_is_asked_again_for_those_who_wait() -> None:
    subscriptions = Subscriptions(OWN)
    subscriptions.renew()
    ask_all(subscriptions)
    asked = subscriptions.request("a", 1)
    ask_all(subscriptions, 5)
    waiting = subscriptions.request("b", 0)
    subscriptions.renew()
    assert ask_all(subscriptions) == {OWN: 2, "a": 1, "b": 0}
    for mid, future in ((2, asked), (3, waiting)):
        request = subscriptions.answered(mid)
        assert request is not None
        assert request.waiters == [future]
        assert not request.automatic


def test_the_last_wish_counts() -> None:
    subscriptions = Subscriptions(OWN)
    futures = [subscriptions.request("a", qos) for qos in (0, None, 1)]
    assert ask_all(subscriptions) == {"a": 1}
    request = subscriptions.answered(1)
    assert request is not None
    assert request.waiters == futures


def test_an_unsubscription_outlives_the_connection() -> None:
    """The broker may keep the session, and the subscription with it."""
    subscriptions = Subscriptions(OWN)
    future = subscriptions.request("a", None)
    ask_all(subscriptions)
    subscriptions.renew()
    assert ask_all(subscriptions) == {"a": None, OWN: 2}
    request = subscriptions.answered(1)
    assert request is not None
    assert request.waiters == [future]
    subscriptions.renew()
    assert ask_all(subscriptions) == {OWN: 2}


def test_a_request_that_cannot_be_sent_stays_first() -> None:
    subscriptions = Subscriptions(OWN)
    subscriptions.request("a", 1)
    subscriptions.request("b", 1)
    first = subscriptions.take()
    assert first is not None
    subscriptions.sent(first, None)
    assert list(ask_all(subscriptions)) == ["a", "b"]


def test_clear_returns_who_waits() -> None:
    subscriptions = Subscriptions(OWN)
    futures = [subscriptions.request("a", 1)]
    ask_all(subscriptions)
    futures.append(subscriptions.request("b", 1))
    assert subscriptions.clear() == futures
    assert subscriptions.answered(1) is None
