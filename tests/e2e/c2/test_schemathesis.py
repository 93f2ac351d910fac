"""Whatever is asked, as the OpenAPI description allows it and not: no 500, and answers as described."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi import checks

from e4.c2.api.http.v1 import make_v1
from e4.c2.model import Role
from tests._keyserver import Keyserver, serving

CHECKS: list[CheckFunction] = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
    checks.ignored_auth,
]


def checks_of(case: schemathesis.Case) -> list[CheckFunction]:
    """An import takes any bytes, and refuses rows, not requests."""
    without = checks.negative_data_rejection if case.path.startswith("/import/") else None
    return [check for check in CHECKS if check is not without]


class Target:
    """A server with something in it, and one who asks it."""

    def __init__(self, server: Keyserver, url: str) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        token = server.token(Role.ADMIN, name="first")
        headers = {"Authorization": f"Bearer {token}"}
        self.reached: dict[str, Any] = {
            "base_url": f"{url}/api/v1",
            "session": self.session,
            "headers": headers,
        }
        server.add_clients("a", "b")
        for topic in ("t", "u"):
            server.service.topics.new_topic(server.call, topic)
            server.service.members.new_topic_client(server.call, "a", topic)
        server.service.topics.new_topic(server.call, "t")


@pytest.fixture(scope="module", params=["symkey", "pubkey"])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    server = Keyserver(tmp_path_factory.mktemp("c2"), request.param, required=True, max_failed=1_000_000)
    with serving(server) as served:
        made = Target(server, served.url)
        yield made
        made.session.close()
    server.close()


@schemathesis.serializer("text/csv", "application/x-ndjson")
def _as_it_is(context: schemathesis.SerializationContext, value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


class _Required:
    required = True


def _described() -> dict[str, Any]:
    """The description, without the longest lengths: such names are slow, and too long for an address."""
    gate: Any = make_v1(None, _Required(), None)  # type: ignore[arg-type]
    text = json.dumps(gate._app.openapi())
    return dict(json.loads(re.sub(r'"maxLength": \d{4,}, |, "maxLength": \d{4,}', "", text)))


schema = schemathesis.openapi.from_dict(_described())


@schema.parametrize()
@settings(
    max_examples=6,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_any_request(case: schemathesis.Case, target: Target) -> None:
    case.call_and_validate(**target.reached, checks=checks_of(case))


def test_one_request_after_the_other(target: Target) -> None:
    """What one answer tells, the next request uses: a client that was made is read, changed and removed."""
    Machine = schema.as_state_machine()  # noqa: N806

    class Sequence(Machine):  # type: ignore[misc,valid-type]
        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:
            return target.reached

        def validate_response(
            self, response: schemathesis.Response, case: schemathesis.Case, **_: Any
        ) -> None:
            case.validate_response(response, checks=checks_of(case))

    Sequence.run(
        settings=settings(
            max_examples=6,
            stateful_step_count=12,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
    )
