"""Topic filters and the policy for topics without a key."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

import e4
from e4.mqtt import ClearTopics
from e4.mqtt._policy import check_filter, matches
from e4.mqtt._subscriptions import check_subscription

LEVELS = st.sampled_from(["", "a", "b", "ab", "$SYS", "$"])
TOPICS = st.lists(LEVELS, min_size=1, max_size=4).map("/".join).filter(bool)


@st.composite
def filters(draw: st.DrawFn) -> str:
    levels = draw(st.lists(st.one_of(LEVELS, st.just("+")), max_size=4))
    if not levels or draw(st.booleans()):
        levels.append("#")
    return "/".join(levels) or "+"


@given(filters(), TOPICS)
@example("sport/#", "sport")
@example("#", "$SYS/load")
@example("+/load", "$SYS/load")
@example("$SYS/#", "$SYS/load")
@example("+", "")
@example("/+", "/finance")
@example("+/+", "/finance")
def test_a_filter_matches_as_in_paho(filter: str, topic: str) -> None:
    assert check_filter(filter) == filter
    assert matches(filter, topic) == topic_matches_sub(filter, topic)


@pytest.mark.parametrize(
    ("filter", "topic", "expected"),
    [  # the examples of MQTT 5.0, sections 4.7.1 and 4.7.2
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+", "/finance", False),
        ("#", "$SYS/monitor/Clients", False),
        ("$SYS/#", "$SYS/", True),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
    ],
)
def test_the_examples_of_the_standard(filter: str, topic: str, expected: bool) -> None:
    assert matches(filter, topic) is expected


@pytest.mark.parametrize(
    "filter", ["", "a#", "#/a", "a/#/b", "a+", "+a/b", "a\0", "\ud800", "é" * 32768, "sport/tennis#"]
)
def test_what_is_no_filter(filter: str) -> None:
    with pytest.raises(e4.InvalidTopic):
        ClearTopics(incoming=[filter])
    with pytest.raises(e4.InvalidTopic):
        ClearTopics(outgoing=[filter])


@pytest.mark.parametrize("filter", ["$share", "$share/", "$share//a", "$share/a", "$share/a/", "$share/+/a"])
def test_what_is_no_shared_subscription(filter: str) -> None:
    if filter == "$share":
        check_subscription(filter)
        return
    with pytest.raises(e4.InvalidTopic):
        check_subscription(filter)


def test_a_shared_subscription() -> None:
    check_subscription("$share/group/a/+/#")


def test_one_string_is_not_a_list_of_filters() -> None:
    with pytest.raises(e4.InvalidTopic, match="a list"):
        ClearTopics(incoming="#")
    with pytest.raises(TypeError):
        ClearTopics(outgoing=[b"a"])  # type: ignore[list-item]


def test_nothing_passes_unless_named() -> None:
    assert ClearTopics() == ClearTopics(incoming=(), outgoing=[])
    assert ClearTopics(incoming=iter(["a", "b"])).incoming == ("a", "b")
