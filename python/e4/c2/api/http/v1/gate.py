"""What happens to every request under /api/v1 before it is read: who calls, and how much may come.

Plain ASGI around the application, because a body can be a stream of any length, and because nothing of a
request is worth reading before it is known who sends it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from e4.c2.api.access import REQUEST_ID, admit
from e4.c2.api.errors import Answer, answer_to
from e4.c2.api.feed import Feed
from e4.c2.api.http.v1.calls import Caller
from e4.c2.api.http.v1.problems import problem_response
from e4.c2.auth import Authenticator
from e4.c2.service import Service
from e4.errors import E4Error

__all__ = ["BODY_MAX", "Gate"]

BODY_MAX = 8 << 20  # bytes; imports have no such limit
_OPEN = "/openapi.json"  # the description is no secret
_STREAMS = ("/import/clients", "/import/memberships")

_logger = logging.getLogger("e4.c2.api")
