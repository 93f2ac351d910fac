"""What monitors read: metrics and their documentation, and when the server counts as ready."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from e4.c2 import settings
from e4.c2.metrics import DeliveryState, Health, Metrics
from e4.errors import DatabaseError

PAGE = Path(__file__).parents[3] / "docs" / "c2.md"
STATE = DeliveryState(
    alive=True, connected=True, error="", pending=7, oldest_seconds=2.5, in_flight=3, sent=11, failed=5,
    superseded=2, jobs=1,
)  # fmt: skip
LIMITS = settings.Health(max_outbox_age_seconds=60, max_broker_away_seconds=10, warn_certificate_days=30)


def samples(metrics: Metrics) -> dict[str, float]:
    content, media_type = metrics.render()
    assert media_type.startswith("text/plain")
    return {
        sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(content.decode())
        for sample in family.samples
    }


def test_requests_are_counted_by_operation_and_outcome() -> None:
    metrics = Metrics("symkey", lambda: STATE)
    metrics.request("http", "NewTopic", "ok", 0.02)
    metrics.request("http", "NewTopic", "ok", 7)
    metrics.request("grpc", "NewTopic", "NotFound", 0.02)
    metrics.request("grpc", "NewTopic", "Unauthenticated", 0.02)
    metrics.request("grpc", "NewTopic", "TooManyAttempts", 0.02)
    read = samples(metrics)
    assert read["e4_c2_requests_total api=http operation=NewTopic outcome=ok"] == 2
    assert read["e4_c2_requests_total api=grpc operation=NewTopic outcome=NotFound"] == 1
    assert read["e4_c2_request_seconds_bucket api=http le=0.025 operation=NewTopic"] == 1
    assert read["e4_c2_request_seconds_sum api=http operation=NewTopic"] == pytest.approx(7.02)
    assert read["e4_c2_refused_credentials_total api=grpc"] == 2


def test_delivery_is_asked_at_each_reading() -> None:
    states = [STATE, replace(STATE, connected=False, sent=12)]
    metrics = Metrics("pubkey", lambda: states.pop(0))
    read = samples(metrics)
    assert read["e4_c2_commands_sent_total"] == 11
    assert read["e4_c2_commands_failed_total"] == 5
    assert read["e4_c2_commands_superseded_total"] == 2
    assert read["e4_c2_commands_pending"] == 7
    assert read["e4_c2_commands_oldest_seconds"] == 2.5
    assert read["e4_c2_commands_in_flight"] == 3
    assert read["e4_c2_broker_connected"] == 1
    assert read["e4_c2_jobs_running"] == 1
    assert [
        value for name, value in read.items() if name.startswith("e4_c2_build_info") and "pubkey" in name
    ] == [1]
    later = samples(metrics)
    assert (later["e4_c2_commands_sent_total"], later["e4_c2_broker_connected"]) == (12, 0)


def test_two_servers_in_one_process_do_not_share_metrics() -> None:
    one, two = Metrics("symkey", lambda: STATE), Metrics("symkey", lambda: STATE)
    one.request("http", "x", "ok", 0)
    assert not any("operation=x" in name for name in samples(two))


def test_the_documentation_has_every_metric() -> None:
    metrics = Metrics("symkey", lambda: STATE)
    metrics.request("http", "x", "Unauthenticated", 0)
    there = {
        re.sub(r"_(bucket|count|sum)$", "", name.split()[0])
        for name in samples(metrics)
        if name.startswith("e4_")
    }
    documented = re.findall(r"^\| `(e4_c2_[a-z_]+)` \|", PAGE.read_text("utf-8"), re.M)
    assert there == set(documented)
    assert len(documented) == len(set(documented))


class World:
    def __init__(self) -> None:
        self.state = STATE
        self.now = 1000.0
        self.days = 400.0
        self.database: Exception | None = None
        self.health = Health(LIMITS, self._ping, lambda: self.state, lambda: self.days, lambda: self.now)

    def _ping(self) -> None:
        if self.database is not None:
            raise self.database

    def status(self) -> tuple[bool, str, list[str]]:
        good, report = self.health.ready()
        return good, report["status"], report["reasons"]


def test_ready() -> None:
    world = World()
    good, report = world.health.ready()
    assert good
    assert report == {
        "status": "ready",
        "reasons": [],
        "database": "ok",
        "broker": {"connected": True, "away_seconds": 0.0, "error": ""},
        "outbox": {"pending": 7, "oldest_seconds": 2.5, "in_flight": 3},
        "jobs": 1,
        "certificate_days": 400,
    }
    assert world.health.alive() == {"status": "alive"}


def _no_database(world: World) -> None:
    world.database = DatabaseError("connection refused")


def _no_sender(world: World) -> None:
    world.state = replace(STATE, alive=False)


def _old_outbox(world: World) -> None:
    world.state = replace(STATE, oldest_seconds=61)


def _stopping(world: World) -> None:
    world.health.stopping = True


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (_no_database, "the database does not answer"),
        (_no_sender, "the sender has ended"),
        (_old_outbox, "the oldest command has waited for 61 seconds"),
        (_stopping, "the server is stopping"),
    ],
)
def test_not_ready(harm: Callable[[World], None], reason: str) -> None:
    world = World()
    harm(world)
    good, status, reasons = world.status()
    assert (good, status) == (False, "not ready")
    assert reason in reasons[0]


def test_a_broker_that_is_away_is_first_a_warning() -> None:
    world = World()
    world.state = replace(STATE, connected=False)
    assert world.status() == (True, "degraded", ["the broker is away: commands wait"])
    world.now += 10
    assert world.status()[1] == "degraded"
    world.now += 1
    assert world.status() == (False, "not ready", ["the broker has been away for 11 seconds"])
    world.state = STATE
    assert world.status()[0]
    world.now += 1000  # nobody asked meanwhile
    world.state = replace(STATE, connected=False)
    assert world.status()[1] == "degraded"


@pytest.mark.parametrize(
    ("days", "reasons"),
    [
        (30.0, []),
        (29.9, ["the server's certificate ends in 30 days"]),
        (-1.0, ["the server's certificate has ended"]),
    ],
)
def test_the_end_of_the_certificate_is_announced(days: float, reasons: list[str]) -> None:
    world = World()
    world.days = days
    assert world.status() == (True, "degraded" if reasons else "ready", reasons)
