"""Logs as JSON lines: one line per event, from this package and from every library it runs.

Code logs through the standard library (`logging.getLogger`) or structlog; both end here. What is bound
with `structlog.contextvars` (request id, actor, operation) is in every line of that request. Texts of
libraries are taken as they come; that no secret is in them is for those who raise and log.
"""

from __future__ import annotations

import logging
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

__all__ = ["QUIET", "configure"]

# Chatty below this: what they tell at "info" is told by this package itself, or is about each query.
QUIET = {
    "alembic": logging.WARNING,
    "asyncio": logging.WARNING,
    "grpc": logging.WARNING,
    "httpx": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "uvicorn": logging.WARNING,
}
# What lines of the standard library may have beside their text; what others add is left out.
_MEMBERS = ("api", "operation", "outcome", "duration_ms", "actor", "peer")


def configure(level: str, stream: TextIO) -> None:
    """Log to a stream from now on, and nowhere else.

    Args:
        level: the least that is logged: ``debug``, ``info``, ``warning``, ``error``.
        stream: gets one JSON object per line, in ASCII.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,  # a traceback without the values of variables
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(allow=_MEMBERS)],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _in_order,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, least in QUIET.items():
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(max(least, root.level))
    logging.raiseExceptions = False  # whoever read the log has gone: go on serving
    logging.captureWarnings(True)


def _in_order(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The members every line has come first."""
    first: dict[str, Any] = {
        name: event.pop(name) for name in ("time", "level", "logger", "event") if name in event
    }
    return {**first, **event}
