"""Clients: register, look, remove, reset, resync, and their own keys."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BeforeValidator, WithJsonSchema

from e4.c2.api.http.v1.calls import (
    Changing,
    Cursor,
    Limit,
    PathName,
    Prefix,
    Reading,
    listed,
    page_of,
    shown,
)
from e4.c2.api.http.v1.encodings import hex_id
from e4.c2.api.http.v1.models import (
    ClientDetailsOut,
    ClientOut,
    ListOf,
    Names,
    NewClient,
    NewClientKey,
    NewClients,
    PageOf,
)
from e4.c2.api.http.v1.problems import answers
from e4.c2.jsonform import to_json
from e4.c2.model import Client, Page
from e4.errors import NotFound

__all__ = ["router"]

router = APIRouter(tags=["clients"])

_Id = Annotated[
    bytes | None,
    BeforeValidator(hex_id),
    WithJsonSchema({"type": "string", "pattern": "^[0-9a-fA-F]{32}$"}),
    Query(description="only the client with this id"),
]
_REPLACED = {200: {"model": ClientOut, "description": "An existing client has got this key."}}


def _registered(client: Client) -> tuple[int, object]:
    return (201 if client.key_version == 1 else 200), to_json(client)


@router.get("/clients", response_model=PageOf[ClientOut], responses=answers())
def page_clients(
    caller: Reading, limit: Limit = 100, cursor: Cursor = None, prefix: Prefix = "", id: _Id = None
) -> Response:
    """Clients in the order of their names."""
    clients = caller.service.clients
    if id is None:
        return page_of(clients.page_clients(caller.call, cursor, limit, prefix))
    try:
        found = [clients.get_client(caller.call, id).client]
    except NotFound:
        found = []
    return page_of(Page(found))


@router.post("/clients", status_code=201, response_model=ClientOut, responses=answers(409, success=_REPLACED))
def new_client(body: NewClient, caller: Changing) -> Response:
    """Register a client with its key; an existing client gets the key instead of its own.

    The device must be given the key by other means: nothing is sent to it.
    """
    return caller.change_with(
        lambda call: caller.service.clients.new_client(call, body.client(), body.key), _registered
    )


@router.put(
    "/clients/{name}", status_code=201, response_model=ClientOut, responses=answers(409, success=_REPLACED)
)
def put_client(name: PathName, body: NewClientKey, caller: Changing) -> Response:
    """Register a client by its name; otherwise as POST."""
    return caller.change_with(
        lambda call: caller.service.clients.new_client(call, name, body.key), _registered
    )


@router.get("/clients/{name}", response_model=ClientDetailsOut, responses=answers(404))
def get_client(name: PathName, caller: Reading) -> Response:
    """A client with its key versions, counts and last commands."""
    return shown(caller.service.clients.get_client(caller.call, name))


@router.delete("/clients/{name}", status_code=204, responses=answers(404, 409))
def remove_client(name: PathName, caller: Changing) -> Response:
    """Forget a client, its memberships, its links and its queued commands; clear its retained command."""
    return caller.change(lambda call: caller.service.clients.remove_client(call, name))


@router.post("/clients/{name}/reset", status_code=204, responses=answers(404, 409))
def reset_client(name: PathName, caller: Changing) -> Response:
    """Send ResetTopics; the client's memberships end."""
    return caller.change(lambda call: caller.service.clients.reset_client(call, name))


@router.post("/clients/{name}/resync", status_code=204, responses=answers(404, 409))
def resync_client(name: PathName, caller: Changing) -> Response:
    """Send the client everything that it should hold, from nothing."""
    return caller.change(lambda call: caller.service.clients.resync_client(call, name))


@router.post("/clients/{name}/new-key", response_model=ClientOut, responses=answers(404, 409))
def new_client_key(name: PathName, caller: Changing) -> Response:
    """Make the client a new key and send it under the one that it has, which is kept until confirmed."""
    return caller.change(lambda call: caller.service.keys.new_client_key(call, name), 200, to_json)


@router.post("/clients/{name}/confirm-key", status_code=204, responses=answers(404, 409))
def confirm_client_key(name: PathName, caller: Changing) -> Response:
    """Say that the client uses its newest key: older ones are forgotten."""
    return caller.change(lambda call: caller.service.keys.confirm_client_key(call, name))


@router.post("/batch/clients", status_code=201, response_model=ListOf[ClientOut], responses=answers(409))
def new_clients(body: NewClients, caller: Changing) -> Response:
    """Register up to 1000 clients: all, or none if one is refused."""
    pairs = [(each.client(), each.key) for each in body.clients]
    return caller.change(lambda call: caller.service.clients.new_clients(call, pairs), 201, listed)


@router.post("/batch/reset", status_code=204, responses=answers(404, 409))
def reset_clients(body: Names, caller: Changing) -> Response:
    """Reset up to 1000 clients: all, or none if one is unknown."""
    return caller.change(lambda call: caller.service.clients.reset_clients(call, [*body.clients]))


@router.post("/batch/new-key", response_model=ListOf[ClientOut], responses=answers(404, 409))
def new_client_keys(body: Names, caller: Changing) -> Response:
    """Make up to 1000 clients new keys: all, or none if one is unknown."""
    return caller.change(lambda call: caller.service.keys.new_client_keys(call, [*body.clients]), 200, listed)
