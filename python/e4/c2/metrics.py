"""What a monitor reads: Prometheus metrics, and whether the server is alive and ready.

Knows neither HTTP nor SQL nor the broker: it is given functions to ask. No name of a client or topic
is in any of this.
"""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from e4.c2.settings import Health as Limits
from e4.errors import C2Error

__all__ = ["DeliveryState", "Health", "Metrics"]

_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_REFUSED_CREDENTIALS = frozenset({"Unauthenticated", "TooManyAttempts"})


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """How delivery is doing, at one moment.

    Args:
        alive: whether the threads that send and work on jobs run.
        connected: whether this process's connection to the broker stands.
        error: why not; empty if it does.
        pending: commands that wait in the outbox.
        oldest_seconds: age of the oldest of them; 0 if there is none.
        in_flight: published, and not yet acknowledged.
        sent: commands sent by this process; failed and superseded likewise.
        jobs: that are running.
    """

    alive: bool
    connected: bool
    error: str
    pending: int
    oldest_seconds: float
    in_flight: int
    sent: int
    failed: int
    superseded: int
    jobs: int


class Metrics:
    """The metrics of one server, in a registry of its own.

    Args:
        mode: of the database.
        delivery: asked at each reading.
    """

    def __init__(self, mode: str, delivery: Callable[[], DeliveryState]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "e4_c2_requests",
            "Requests by API, operation and outcome: ok, or the name of the error.",
            ("api", "operation", "outcome"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "e4_c2_request_seconds",
            "How long requests took.",
            ("api", "operation"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._refused = Counter(
            "e4_c2_refused_credentials",
            "Requests without valid credentials.",
            ("api",),
            registry=self._registry,
        )
        Info("e4_c2_build", "What runs.", registry=self._registry).info(
            {
                "version": importlib.metadata.version("e4"),
                "python": platform.python_version(),
                "mode": mode,
            }
        )
        self._registry.register(_DeliveryCollector(delivery))

    def request(self, api: str, operation: str, outcome: str, seconds: float) -> None:
        """Count one request.

        Args:
            api: ``http`` or ``grpc``.
            operation: its name; never part of what was asked for.
            outcome: ``ok``, or the name of the error.
            seconds: how long it took.
        """
        self._requests.labels(api, operation, outcome).inc()
        self._seconds.labels(api, operation).observe(seconds)
        if outcome in _REFUSED_CREDENTIALS:
            self._refused.labels(api).inc()

    def render(self) -> tuple[bytes, str]:
        """The metrics in Prometheus's text format, and its content type."""
        return generate_latest(self._registry), _CONTENT_TYPE


class _DeliveryCollector(Collector):
    def __init__(self, delivery: Callable[[], DeliveryState]) -> None:
        self._delivery = delivery

    def collect(self) -> Iterator[Metric]:
        state = self._delivery()
        for name, text, total in (
            ("sent", "Commands whose acknowledgement (PUBCOMP) this process has seen.", state.sent),
            ("failed", "Attempts at a command that the broker refused.", state.failed),
            (
                "superseded",
                "Commands that a later operation made needless as they were taken.",
                state.superseded,
            ),
        ):
            yield CounterMetricFamily(f"e4_c2_commands_{name}", text, value=total)
        for name, text, value in (
            ("commands_pending", "Commands in the outbox.", state.pending),
            ("commands_oldest_seconds", "Age of the oldest command in the outbox.", state.oldest_seconds),
            ("commands_in_flight", "Commands published and not yet acknowledged.", state.in_flight),
            ("broker_connected", "Whether the connection to the broker stands.", state.connected),
            ("jobs_running", "Jobs that are not finished.", state.jobs),
        ):
            yield GaugeMetricFamily(f"e4_c2_{name}", text, value=float(value))

    def describe(self) -> Iterable[Metric]:
        return ()


class Health:
    """Whether the server is alive and ready.

    Args:
        limits: when it is not ready.
        ping: asks the database; raises `C2Error` where it does not answer.
        delivery: how delivery is doing.
        certificate_days: how many days the server's certificate is still valid.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        limits: Limits,
        ping: Callable[[], None],
        delivery: Callable[[], DeliveryState],
        certificate_days: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._ping = ping
        self._delivery = delivery
        self._certificate_days = certificate_days
        self._clock = clock
        self._away_since: float | None = clock()  # no connection stands yet
        self.stopping = False

    def alive(self) -> dict[str, Any]:
        """That the process answers."""
        return {"status": "alive"}

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether to send requests here, and why or why not. Asks the database: takes as long as that does.

        ``ready``; ``degraded``: works, and somebody should look at the reasons; ``not ready``.
        """
        failures: list[str] = []
        warnings: list[str] = []
        if self.stopping:
            failures.append("the server is stopping")
        database = "ok"
        try:
            self._ping()
        except C2Error as error:
            database = str(error)
            failures.append("the database does not answer")
        state = self._delivery()
        if not state.alive:
            failures.append("the sender has ended: restart the server")
        away = self._away(state)
        if away > self._limits.max_broker_away_seconds:
            failures.append(f"the broker has been away for {away:.0f} seconds")
        elif not state.connected:
            warnings.append("the broker is away: commands wait")
        if state.oldest_seconds > self._limits.max_outbox_age_seconds:
            failures.append(f"the oldest command has waited for {state.oldest_seconds:.0f} seconds")
        days = self._certificate_days()
        if days < self._limits.warn_certificate_days:
            warnings.append(
                f"the server's certificate ends in {days:.0f} days"
                if days > 0
                else "the server's certificate has ended"
            )
        report = {
            "status": "not ready" if failures else "degraded" if warnings else "ready",
            "reasons": failures + warnings,
            "database": database,
            "broker": {
                "connected": state.connected,
                "away_seconds": round(away, 1),
                "error": state.error,
            },
            "outbox": {
                "pending": state.pending,
                "oldest_seconds": round(state.oldest_seconds, 1),
                "in_flight": state.in_flight,
            },
            "jobs": state.jobs,
            "certificate_days": int(days),
        }
        return not failures, report

    def _away(self, state: DeliveryState) -> float:
        """For how many seconds the broker has been seen to be away."""
        if state.connected:
            self._away_since = None
            return 0.0
        now = self._clock()
        if self._away_since is None:
            self._away_since = now
        return now - self._away_since
