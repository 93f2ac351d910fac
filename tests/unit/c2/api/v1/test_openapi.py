"""The description: complete, valid, and true of what the service offers."""

from __future__ import annotations

import inspect
import re
from typing import Any

import jsonschema_rs
import pytest

from e4.c2.api.http.v1 import clients, events, keys, records, topics, transfer
from tests.unit.c2.api.v1._ask import PROBLEM, Ask

ALWAYS = {"400", "401", "403", "413", "429", "500", "503"}


@pytest.fixture
async def description(ask: Ask) -> dict[str, Any]:
    return await ask.description()


def operations(description: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (verb.upper(), path, operation)
        for path, item in description["paths"].items()
        for verb, operation in item.items()
    ]


def test_every_operation_says_what_it_answers(description: dict[str, Any]) -> None:
    assert description["openapi"].startswith("3.1")
    for verb, path, operation in operations(description):
        where = f"{verb} {path}"
        responses = operation["responses"]
        assert operation["description"], where
        assert operation["tags"], where
        assert set(responses) >= ALWAYS, where
        assert "422" not in responses, where
        assert [status for status in responses if status < "300"], where
        for status, response in responses.items():
            assert "X-Request-Id" in response["headers"], where
            assert response["description"], where
            if status >= "400":
                assert list(response["content"]) == [PROBLEM], where
        if "{" in path:
            assert "404" in responses or verb == "PUT", where
        if verb != "GET":
            keyed = any(p["name"] == "Idempotency-Key" for p in operation.get("parameters", []))
            assert keyed or path.startswith(("/messages/", "/import/")), where
            assert keyed == ("409" in responses), where


def test_names_of_operations_are_unique(description: dict[str, Any]) -> None:
    names = [operation["operationId"] for *_, operation in operations(description)]
    assert len(names) == len(set(names))
    functions = {
        name
        for module in (clients, events, keys, records, topics, transfer)
        for name, value in vars(module).items()
        if inspect.isfunction(value)
    }
    assert set(names) <= functions


def test_references_lead_somewhere_and_nothing_is_left_over(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    used = set(re.findall(r"#/components/schemas/([^']+)'", str(description)))
    assert used == set(schemas)


def test_examples_are_as_described(description: dict[str, Any]) -> None:
    checked = 0

    def look(schema: Any) -> None:
        nonlocal checked
        if isinstance(schema, dict):
            examples = [*schema.get("examples", []), *([schema["example"]] if "example" in schema else [])]
            if examples:
                whole = {**schema, "components": description["components"]}
                for example in examples:
                    jsonschema_rs.validator_for(whole).validate(example)
                    checked += 1
            for value in schema.values():
                look(value)
        elif isinstance(schema, list):
            for value in schema:
                look(value)

    look(description["components"]["schemas"])
    assert checked > 5


def test_no_page_loads_anything_from_elsewhere(description: dict[str, Any]) -> None:
    assert "http://" not in str(description)
    assert "https://" not in str(description)


async def test_the_description_is_made_once(ask: Ask) -> None:
    first, second = [await ask.http.get("openapi.json") for _ in range(2)]
    assert first.content == second.content
    assert first.json()["security"] == [{}, {"bearer": []}]
