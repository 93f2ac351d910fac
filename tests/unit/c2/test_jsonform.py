"""The JSON form of model's values: there and back again."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e4.c2 import model
from e4.c2.api.http.v1 import models
from e4.c2.jsonform import (
    command_kind,
    from_json,
    kind_name,
    page_from_json,
    time_text,
    time_value,
    to_json,
)

TIMES = st.integers(0, 253_402_300_799_999)
NAMES = st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS = st.integers(0, 1 << 62)
IDS = st.binary(min_size=16, max_size=16)

CLIENTS = st.builds(
    model.Client,
    st.just(0),
    IDS,
    NAMES,
    st.booleans(),
    NUMBERS,
    NUMBERS,
    TIMES,
)
TOPICS = st.builds(model.Topic, st.just(0), NAMES, IDS, NUMBERS, TIMES, TIMES)
KEYS = st.builds(model.KeyInfo, NUMBERS, st.sampled_from(model.KeyState), TIMES)
COMMANDS = st.builds(
    model.Command,
    id=NUMBERS,
    client=NAMES,
    kind=st.sampled_from(model.CommandKind),
    subject=NAMES,
    state=st.sampled_from(model.CommandState),
    attempts=NUMBERS,
    error=NAMES,
    created_at=TIMES,
    sent_at=st.none() | TIMES,
    timestamp=st.none() | NUMBERS,
    job=st.none() | NUMBERS,
)
JOBS = st.builds(
    model.Job,
    id=NUMBERS,
    kind=st.sampled_from(model.JobKind),
    subject=NAMES,
    state=st.sampled_from(model.JobState),
    total=NUMBERS,
    queued=NUMBERS,
    done=NUMBERS,
    created_at=TIMES,
    finished_at=st.none() | TIMES,
)
VALUES = {
    model.Client: CLIENTS,
    model.Topic: TOPICS,
    model.KeyInfo: KEYS,
    model.Command: COMMANDS,
    model.Job: JOBS,
    model.ClientDetails: st.builds(
        model.ClientDetails,
        CLIENTS,
        st.lists(KEYS, max_size=3).map(tuple),
        NUMBERS,
        NUMBERS,
        NUMBERS,
        st.lists(COMMANDS, max_size=3).map(tuple),
    ),
    model.TopicDetails: st.builds(
        model.TopicDetails, TOPICS, st.lists(KEYS, max_size=3).map(tuple), NUMBERS, st.none() | JOBS
    ),
    model.Event: st.builds(model.Event, NUMBERS, st.sampled_from(model.EventKind), NAMES, NAMES, TIMES),
    model.AuditRow: st.builds(
        model.AuditRow, NUMBERS, TIMES, *[NAMES] * 6, st.binary(min_size=32, max_size=32)
    ),
    model.AuditCheck: st.builds(
        model.AuditCheck, NUMBERS, st.none() | NUMBERS, st.just(b"") | st.binary(min_size=32, max_size=32)
    ),
    model.Token: st.builds(
        model.Token,
        NUMBERS,
        NAMES,
        st.sampled_from(model.Role),
        st.booleans(),
        TIMES,
        st.none() | TIMES,
        st.none() | TIMES,
    ),
    model.ImportProgress: st.builds(
        model.ImportProgress,
        *[NUMBERS] * 5,
        st.lists(st.tuples(NUMBERS, NAMES), max_size=3).map(tuple),
    ),
    model.ServerInfo: st.builds(
        model.ServerInfo, st.sampled_from(["symkey", "pubkey"]), NAMES, NUMBERS, NUMBERS
    ),
    model.ExportedClient: st.builds(
        model.ExportedClient,
        NAMES,
        IDS,
        st.booleans(),
        TIMES,
        st.lists(NAMES, max_size=3).map(tuple),
        st.lists(NAMES, max_size=3).map(tuple),
    ),
}


@given(st.data(), st.sampled_from(list(VALUES)))
def test_there_and_back(data: st.DataObject, kind: type[Any]) -> None:
    value = data.draw(VALUES[kind])
    written = json.loads(json.dumps(to_json(value)))
    assert from_json(kind, written) == value
    assert from_json(kind, written | {"what a newer server adds": 1}) == value
    described = getattr(models, f"{kind.__name__.replace('KeyInfo', 'Key')}Out", None)
    if described is not None:
        assert set(described.model_fields) == set(written)
        described.model_validate(written)


@given(TIMES)
def test_times(at: int) -> None:
    text = time_text(at)
    assert len(text) == len("2026-05-08T12:30:00.125Z")
    assert time_value(text) == at


def test_times_of_other_forms() -> None:
    at = time_value("2026-05-08T12:30:00.125Z")
    assert at == int(datetime(2026, 5, 8, 12, 30, tzinfo=UTC).timestamp()) * 1000 + 125
    assert time_value("2026-05-08T14:30:00.125+02:00") == at
    for text in ("2026-05-08T12:30:00", "tomorrow", ""):
        with pytest.raises(ValueError, match=r"offset|isoformat"):
            time_value(text)


def test_kinds() -> None:
    for kind in model.CommandKind:
        assert command_kind(kind_name(kind)) is kind
    assert kind_name(model.CommandKind.SET_TOPIC_KEY) == "set-topic-key"
    with pytest.raises(ValueError, match="no command"):
        command_kind("SET_TOPIC_KEY")


def test_pages() -> None:
    page = model.Page([model.ServerInfo("symkey", "1", 2, 3)], "next")
    assert page_from_json(model.ServerInfo, to_json(page)) == page
    for wrong in ({}, [], None, {"items": 5}, {"items": [{}]}):
        with pytest.raises(ValueError, match="not the JSON form"):
            page_from_json(model.ServerInfo, wrong)


@pytest.mark.parametrize(
    "member", [field.name for field in dataclasses.fields(model.Client) if field.name != "row"]
)
def test_what_is_not_of_that_form(member: str) -> None:
    good = to_json(model.Client(0, bytes(16), "a", False, 1, 0, 0))
    for wrong in (good | {member: []}, {name: value for name, value in good.items() if name != member}):
        with pytest.raises(ValueError, match=f"not the JSON form of Client: member '{member}'"):
            from_json(model.Client, wrong)
    with pytest.raises(ValueError, match="not the JSON form of Client"):
        from_json(model.Client, [])
