"""What the server keeps of its work: commands, jobs, the audit; its tokens; and what it is."""

from __future__ import annotations

import importlib.metadata
from typing import Annotated

from fastapi import APIRouter, Query, Response

from e4.c2.api.http.v1.calls import Changing, Cursor, Limit, Number, Reading, page_of, shown
from e4.c2.api.http.v1.models import (
    AuditCheckOut,
    AuditRowOut,
    CommandOut,
    JobOut,
    NewToken,
    NewTokenOut,
    PageOf,
    RetriedOut,
    ServerInfoOut,
    TokenOut,
)
from e4.c2.api.http.v1.problems import answers
from e4.c2.jsonform import to_json
from e4.c2.model import CommandState, JobState, ServerInfo, Token

__all__ = ["router"]

router = APIRouter()

_Client = Annotated[str | None, Query(max_length=255, description="only those to this client, by name")]
_Job = Annotated[int | None, Query(ge=1, le=(1 << 63) - 1, description="only those of this job")]


@router.get("/info", tags=["server"], response_model=ServerInfoOut, responses=answers())
def info(caller: Reading) -> Response:
    """Mode and version of the server, and how many clients and topics it has."""
    service, call = caller.service, caller.call
    return shown(
        ServerInfo(
            service.keys.get_crypto_mode(call),
            importlib.metadata.version("e4"),
            service.clients.count_clients(call),
            service.topics.count_topics(call),
        )
    )


@router.get("/commands", tags=["commands"], response_model=PageOf[CommandOut], responses=answers(404))
def page_commands(
    caller: Reading,
    limit: Limit = 100,
    cursor: Cursor = None,
    client: _Client = None,
    state: CommandState | None = None,
    job: _Job = None,
) -> Response:
    """Commands, newest first."""
    return page_of(
        caller.service.commands.page_commands(
            caller.call, client=client, state=state, job=job, cursor=cursor, limit=limit
        )
    )


@router.post("/commands/retry", tags=["commands"], response_model=RetriedOut, responses=answers(409))
def retry_commands(caller: Changing) -> Response:
    """Try commands that the broker refused again now, instead of after their waiting times."""
    return caller.change(
        lambda call: caller.service.commands.retry_commands(call), 200, lambda count: {"count": count}
    )


@router.get("/commands/{id:int}", tags=["commands"], response_model=CommandOut, responses=answers(404))
def get_command(id: Number, caller: Reading) -> Response:
    """A command and how far it has come."""
    return shown(caller.service.commands.get_command(caller.call, id))


@router.get("/jobs", tags=["jobs"], response_model=PageOf[JobOut], responses=answers())
def page_jobs(
    caller: Reading, limit: Limit = 100, cursor: Cursor = None, state: JobState | None = None
) -> Response:
    """Jobs, newest first."""
    return page_of(caller.service.jobs.page_jobs(caller.call, cursor, limit, state))


@router.get("/jobs/{id:int}", tags=["jobs"], response_model=JobOut, responses=answers(404))
def get_job(id: Number, caller: Reading) -> Response:
    """A job and how far it has come."""
    return shown(caller.service.jobs.get_job(caller.call, id))


@router.get("/audit", tags=["audit"], response_model=PageOf[AuditRowOut], responses=answers())
def page_audit(caller: Reading, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """The audit, newest row first. For administrators."""
    return page_of(caller.service.audit.page_audit(caller.call, cursor, limit))


@router.get("/audit/verify", tags=["audit"], response_model=AuditCheckOut, responses=answers())
def verify_audit(caller: Reading) -> Response:
    """Check the chain of the audit row by row: about a second for every 100,000. For administrators."""
    return shown(caller.service.audit.verify_audit(caller.call))


@router.get("/tokens", tags=["tokens"], response_model=PageOf[TokenOut], responses=answers())
def page_tokens(caller: Reading, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """Tokens without their secrets, oldest first. For administrators."""
    return page_of(caller.service.tokens.page_tokens(caller.call, cursor, limit))


@router.post("/tokens", tags=["tokens"], status_code=201, response_model=NewTokenOut, responses=answers(409))
def new_token(body: NewToken, caller: Changing) -> Response:
    """Make a token. Its secret is in this answer alone: an idempotency key does not bring it back (409)."""

    def answer(result: tuple[Token, str]) -> object:
        token, secret = result
        return {"token": to_json(token), "secret": secret}

    return caller.change(
        lambda call: caller.service.tokens.new_token(
            call, body.name, body.role, body.protect, body.expires_at
        ),
        201,
        answer,
    )


@router.delete("/tokens/{id:int}", tags=["tokens"], status_code=204, responses=answers(404, 409))
def revoke_token(id: Number, caller: Changing) -> Response:
    """End a token. For administrators."""
    return caller.change(lambda call: caller.service.tokens.revoke_token(call, id))
