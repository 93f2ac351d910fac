"""Topics and their members."""

from __future__ import annotations

from fastapi import APIRouter, Response

from e4.c2.api.http.v1.calls import Changing, Cursor, Limit, PathName, Prefix, Reading, page_of, shown
from e4.c2.api.http.v1.models import (
    ClientOut,
    Memberships,
    NewTopic,
    NewTopicOut,
    PageOf,
    TopicDetailsOut,
    TopicOut,
)
from e4.c2.api.http.v1.problems import answers
from e4.c2.jsonform import to_json
from e4.c2.model import Job, Topic

__all__ = ["router"]

router = APIRouter(tags=["topics"])

_ROTATED = {200: {"model": NewTopicOut, "description": "An existing topic has a new key."}}


def _made(result: tuple[Topic, Job | None]) -> tuple[int, object]:
    topic, job = result
    body = {"topic": to_json(topic), "job": None if job is None else to_json(job)}
    return (201 if topic.version == 1 else 200), body


@router.get("/topics", response_model=PageOf[TopicOut], responses=answers())
def page_topics(caller: Reading, limit: Limit = 100, cursor: Cursor = None, prefix: Prefix = "") -> Response:
    """Topics in the order of their names."""
    return page_of(caller.service.topics.page_topics(caller.call, cursor, limit, prefix))


@router.post("/topics", status_code=201, response_model=NewTopicOut, responses=answers(409, success=_ROTATED))
def new_topic(body: NewTopic, caller: Changing) -> Response:
    """Make a topic's first key; or rotate it: make a new key, and send it to every member."""
    return caller.change_with(lambda call: caller.service.topics.new_topic(call, body.name), _made)


@router.get("/topics/{name}", response_model=TopicDetailsOut, responses=answers(404))
def get_topic(name: PathName, caller: Reading) -> Response:
    """A topic with its key versions, number of members and newest job."""
    return shown(caller.service.topics.get_topic(caller.call, name))


@router.delete("/topics/{name}", status_code=204, responses=answers(404, 409))
def remove_topic(name: PathName, caller: Changing) -> Response:
    """Forget a topic and its keys. Nothing is sent: its members keep the key that they have."""
    return caller.change(lambda call: caller.service.topics.remove_topic(call, name))


@router.get("/topics/{name}/clients", response_model=PageOf[ClientOut], responses=answers(404))
def page_clients_for_topic(
    name: PathName, caller: Reading, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """A topic's members in the order of their names."""
    return page_of(caller.service.members.page_clients_for_topic(caller.call, name, cursor, limit))


@router.get("/clients/{name}/topics", response_model=PageOf[TopicOut], responses=answers(404))
def page_topics_for_client(
    name: PathName, caller: Reading, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """A client's topics in the order of their names."""
    return page_of(caller.service.members.page_topics_for_client(caller.call, name, cursor, limit))


@router.put("/clients/{name}/topics/{topic}", status_code=204, responses=answers(404, 409))
def new_topic_client(name: PathName, topic: PathName, caller: Changing) -> Response:
    """Send a client a topic's key, and record the membership."""
    return caller.change(lambda call: caller.service.members.new_topic_client(call, name, topic))


@router.delete("/clients/{name}/topics/{topic}", status_code=204, responses=answers(404, 409))
def remove_topic_client(name: PathName, topic: PathName, caller: Changing) -> Response:
    """Have a client forget a topic's key, and end the membership."""
    return caller.change(lambda call: caller.service.members.remove_topic_client(call, name, topic))


@router.post("/batch/memberships", status_code=204, responses=answers(404, 409))
def new_topic_clients(body: Memberships, caller: Changing) -> Response:
    """Give up to 1000 clients topics' keys: all, or none if a client or topic is unknown."""
    return caller.change(lambda call: caller.service.members.new_topic_clients(call, body.pairs()))


@router.post("/batch/memberships/remove", status_code=204, responses=answers(404, 409))
def remove_topic_clients(body: Memberships, caller: Changing) -> Response:
    """End up to 1000 memberships: all, or none if a client or topic is unknown."""
    return caller.change(lambda call: caller.service.members.remove_topic_clients(call, body.pairs()))
