"""How each error is answered: the one table for gRPC and HTTP (C2, section 3.3). Knows neither library.

A class that is not here is answered as the nearest of its bases that is, and anything else as `INTERNAL`.
The text of `INTERNAL`'s and of a database's errors may tell how the server is made: it goes to the log, under
the request's id, and not to the caller.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from e4 import errors

__all__ = [
    "AWAY",
    "INTERNAL",
    "MAX_REQUEST",
    "NOT_FOUND",
    "NOT_IMPLEMENTED",
    "TOO_LARGE",
    "Answer",
    "answer_to",
    "logged_answer",
]

_logger = logging.getLogger("e4.c2.api")


MAX_REQUEST = 4 * 1024 * 1024  # bytes of one request, but an import


class Answer(NamedTuple):
    """An error as callers see it.

    Args:
        grpc: number of the gRPC status code.
        http: HTTP status.
        code: name of the error, in the resource API: that of its class.
        text: what went wrong.
    """

    grpc: int
    http: int
    code: str
    text: str


AWAY = Answer(14, 503, "Unavailable", "the database cannot be used now: try again later")
INTERNAL = Answer(13, 500, "Internal", "internal error")
NOT_FOUND = Answer(5, 404, "NotFound", "no such path")
NOT_IMPLEMENTED = Answer(12, 405, "MethodNotAllowed", "this path has no such method")
TOO_LARGE = Answer(8, 413, "RequestTooLarge", "the request is too large")

_STATUS: dict[type[BaseException], tuple[int, int]] = {
    errors.NotFound: (5, 404),
    errors.InvalidInput: (3, 400),
    errors.InvalidRequest: (3, 400),
    errors.MessageError: (3, 400),
    errors.FailedPrecondition: (9, 400),
    errors.Unauthenticated: (16, 401),
    errors.PermissionDenied: (7, 403),
    errors.TooManyAttempts: (8, 429),
    errors.Conflict: (6, 409),
    errors.Unavailable: (14, 503),
}


def answer_to(error: BaseException) -> Answer:
    """What the caller gets to see of an error; `INTERNAL` if it was not foreseen."""
    if isinstance(error, errors.DatabaseError):
        return AWAY
    for kind in type(error).__mro__:
        if kind in _STATUS:
            return Answer(*_STATUS[kind], type(error).__name__, str(error))
    return INTERNAL


def logged_answer(error: BaseException, operation: str) -> Answer:
    """`answer_to`; where that hides the error from the caller, the log has it."""
    answer = answer_to(error)
    if answer is INTERNAL or answer is AWAY:
        _logger.error("%s failed", operation, exc_info=error)
    return answer
