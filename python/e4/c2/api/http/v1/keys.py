"""Links and public keys between clients, C2's own key, and messages protected on the server."""

from __future__ import annotations

import base64

from fastapi import APIRouter, Response

from e4.c2.api.http.v1.calls import (
    Changing,
    Cursor,
    Limit,
    PathName,
    Reading,
    encoded,
    json_response,
    page_of,
)
from e4.c2.api.http.v1.models import (
    C2KeyOut,
    ClientOut,
    Force,
    JobOut,
    PageOf,
    Plain,
    PlainOut,
    Protected,
    ProtectedOut,
)
from e4.c2.api.http.v1.problems import answers
from e4.c2.jsonform import to_json

__all__ = ["router"]

router = APIRouter()


@router.get("/clients/{name}/links", tags=["links"], response_model=PageOf[ClientOut], responses=answers(404))
def page_linked_clients(
    name: PathName, caller: Reading, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """The sources that are linked to a client, in the order of their names."""
    return page_of(caller.service.links.page_linked_clients(caller.call, name, cursor, limit))


@router.put("/clients/{target}/links/{source}", tags=["links"], status_code=204, responses=answers(404, 409))
def link_client(target: PathName, source: PathName, caller: Changing) -> Response:
    """Record that the target should hold the source's public key. It is not sent by this."""
    return caller.change(lambda call: caller.service.links.link_client(call, source, target))


@router.delete(
    "/clients/{target}/links/{source}", tags=["links"], status_code=204, responses=answers(404, 409)
)
def unlink_client(target: PathName, source: PathName, caller: Changing) -> Response:
    """Remove a link."""
    return caller.change(lambda call: caller.service.links.unlink_client(call, source, target))


@router.post(
    "/clients/{target}/pubkeys/{source}", tags=["links"], status_code=204, responses=answers(404, 409)
)
def send_client_pubkey(target: PathName, source: PathName, caller: Changing) -> Response:
    """Send the source's public key to the target (pubkey mode)."""
    return caller.change(lambda call: caller.service.links.send_client_pubkey(call, target, source))


@router.delete(
    "/clients/{target}/pubkeys/{source}", tags=["links"], status_code=204, responses=answers(404, 409)
)
def remove_client_pubkey(target: PathName, source: PathName, caller: Changing) -> Response:
    """Have the target forget the source's public key (pubkey mode)."""
    return caller.change(lambda call: caller.service.links.remove_client_pubkey(call, target, source))


@router.post("/clients/{name}/reset-pubkeys", tags=["links"], status_code=204, responses=answers(404, 409))
def reset_client_pubkeys(name: PathName, caller: Changing) -> Response:
    """Have a client forget all public keys (pubkey mode)."""
    return caller.change(lambda call: caller.service.links.reset_client_pubkeys(call, name))


@router.get("/c2-key", tags=["c2-key"], response_model=C2KeyOut, responses=answers())
def c2_public_key(caller: Reading) -> Response:
    """The public half of C2's newest key (pubkey mode)."""
    key = caller.service.keys.c2_public_key(caller.call)
    return json_response(200, encoded({"public_key": base64.b64encode(key).decode()}))


@router.post("/c2-key", tags=["c2-key"], response_model=JobOut, responses=answers(409))
def new_c2_key(body: Force, caller: Changing) -> Response:
    """Make C2 a new key pair and send its public half to every client (pubkey mode; asks for `force`).

    The old pair is kept until confirmed.
    """
    return caller.change(lambda call: caller.service.keys.new_c2_key(call, body.force), 200, to_json)


@router.post("/c2-key/confirm", tags=["c2-key"], status_code=204, responses=answers(409))
def confirm_c2_key(caller: Changing) -> Response:
    """Say that every client uses C2's newest key: older ones are forgotten."""
    return caller.change(lambda call: caller.service.keys.confirm_c2_key(call))


@router.post("/messages/protect", tags=["messages"], response_model=ProtectedOut, responses=answers(404))
def protect_message(body: Plain, caller: Reading) -> Response:
    """Protect data under a topic's key. Needs the right to protect."""
    message = caller.service.messages.protect_message(caller.call, body.topic, body.data)
    return json_response(200, encoded({"protected": base64.b64encode(message).decode()}))


@router.post("/messages/unprotect", tags=["messages"], response_model=PlainOut, responses=answers(404))
def unprotect_message(body: Protected, caller: Reading) -> Response:
    """Check and open a message. Needs the right to protect."""
    data = caller.service.messages.unprotect_message(caller.call, body.topic, body.protected)
    return json_response(200, encoded({"data": base64.b64encode(data).decode()}))
