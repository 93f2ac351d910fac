"""``e4 c2 topic``, ``attach``, ``detach`` and ``count``: topics, and who has their keys."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from e4.c2.model import Job, Topic
from e4.cli._errors import Failed, Usage
from e4.cli._options import JsonFlag
from e4.cli.c2._access import Access, YesFlag, confirm
from e4.cli.c2._columns import TOPICS, key_text
from e4.cli.c2._group import Entry, add, make_group
from e4.cli.c2._pages import LimitOption, paged
from e4.cli.c2._show import details, document, done, json_of, listed, time_of
from e4.cli.c2._watch import WatchFlag, job_text, watch
from e4.errors import NotFound

__all__ = ["register"]

_HELP = """Make topics and their keys, look at them, change their keys.

\b
Examples:
  e4 c2 topic create room
  e4 c2 topic rotate room --watch
  e4 c2 topic list --client alice

'e4 c2 topic COMMAND --help' lists the options of one command.
"""

_Topic = Annotated[str, typer.Argument(metavar="TOPIC", help="The topic.")]
_Topics = Annotated[list[str], typer.Argument(metavar="TOPIC...", help="The topics.")]
_Client = Annotated[str, typer.Argument(metavar="CLIENT", help="The client.")]


def _create(topic: _Topic, as_json: JsonFlag = False, *, access: Access) -> None:
    with access.remote() as remote:
        with contextlib.suppress(NotFound):
            remote.get_topic(topic)
            raise Failed(f"the topic {topic} exists already: 'e4 c2 topic rotate' makes it a new key")
        made, _ = remote.new_topic(topic)
    done(f"topic {topic} has a key", as_json, **_members(made, None))


def _rotate(topic: _Topic, watched: WatchFlag = False, as_json: JsonFlag = False, *, access: Access) -> None:
    with access.remote() as remote:
        remote.get_topic(topic)  # a name that is mistyped must not become a topic
        made, job = remote.new_topic(topic)
        if watched and job is not None:
            job = watch(remote, job.id)
    done(f"topic {topic} has key {made.version}{_on_its_way(job)}", as_json, **_members(made, job))


def _on_its_way(job: Job | None) -> str:
    if job is None:
        return ", and no members to send it to"
    return f": {job_text(job)}, see 'e4 c2 job {job.id}'"


def _members(topic: Topic, job: Job | None) -> dict[str, object]:
    return {"topic": json_of(topic), "job": None if job is None else json_of(job)}


def _list(
    prefix: Annotated[
        str, typer.Option("--prefix", metavar="TEXT", help="Only those whose names begin so.")
    ] = "",
    client: Annotated[
        str | None, typer.Option("--client", metavar="NAME", help="Only those whose key this client has.")
    ] = None,
    limit: LimitOption = None,
    as_json: JsonFlag = False,
    *,
    access: Access,
) -> None:
    if prefix and client is not None:
        raise Usage("--prefix and --client exclude each other: give one of them")
    with access.remote() as remote:
        if client is None:
            topics = paged(lambda cursor, size: remote.page_topics(cursor, size, prefix), limit)
        else:
            topics = paged(lambda cursor, size: remote.page_topics_for_client(client, cursor, size), limit)
        listed(topics, TOPICS, as_json, none="no topics")


def _show(topic: _Topic, as_json: JsonFlag = False, *, access: Access) -> None:
    with access.remote() as remote:
        known = remote.get_topic(topic)
    if as_json:
        document(json_of(known))
        return
    facts: list[tuple[str, object]] = [
        ("topic", known.topic.name),
        ("hash", known.topic.hash.hex()),
        ("created", time_of(known.topic.created_at)),
        *(("key", key_text(key)) for key in reversed(known.keys)),
        ("clients", known.clients),
    ]
    if known.job is not None:
        facts.append(("job", f"{known.job.id}, {job_text(known.job)}"))
    details(facts)


def _remove(topic: _Topic, yes: YesFlag = False, as_json: JsonFlag = False, *, access: Access) -> None:
    with access.remote() as remote:
        confirm(
            f"What its keys protect, C2 can then open no more. Forget the topic {topic} and its keys?", yes
        )
        remote.remove_topic(topic)
    done(f"topic {topic} is forgotten", as_json, removed=topic)


def _attach(client: _Client, topics: _Topics, as_json: JsonFlag = False, *, access: Access) -> None:
    with access.remote() as remote:
        if len(topics) == 1:
            remote.new_topic_client(client, topics[0])
        else:
            remote.new_topic_clients((client, topic) for topic in topics)
    done(f"{client}: {_the_keys(topics)} on the way", as_json, client=client, topics=topics, attached=True)


def _detach(client: _Client, topics: _Topics, as_json: JsonFlag = False, *, access: Access) -> None:
    with access.remote() as remote:
        if len(topics) == 1:
            remote.remove_topic_client(client, topics[0])
        else:
            remote.remove_topic_clients((client, topic) for topic in topics)
    keys = _the_keys(topics, "the command to forget the key", "the commands to forget the keys")
    done(f"{client}: {keys} on the way", as_json, client=client, topics=topics, attached=False)


def _the_keys(topics: list[str], one: str = "the key", many: str = "the keys") -> str:
    return f"{one} of {topics[0]} is" if len(topics) == 1 else f"{many} of {len(topics)} topics are"


def _count(
    client: Annotated[
        str | None, typer.Option("--client", metavar="NAME", help="Count this client's topics and links.")
    ] = None,
    topic: Annotated[
        str | None, typer.Option("--topic", metavar="TOPIC", help="Count the clients that have its key.")
    ] = None,
    as_json: JsonFlag = False,
    *,
    access: Access,
) -> None:
    if client is not None and topic is not None:
        raise Usage("--client and --topic exclude each other: give one of them")
    with access.remote() as remote:
        if client is not None:
            known = remote.get_client(client)
            counts = {"topics": known.topics, "links": known.links}
        elif topic is not None:
            counts = {"clients": remote.count_clients_for_topic(topic)}
        else:
            info = remote.info()
            counts = {"clients": info.clients, "topics": info.topics}
    if as_json:
        document(counts)
    else:
        details(list(counts.items()))


_TOPIC_COMMANDS = (
    Entry("create", _create, "Make a topic and its first key.", "room"),
    Entry(
        "rotate",
        _rotate,
        "Make a topic a new key, and send it to all its clients.",
        "room\nroom --watch",
        "What was protected under the key before can be opened for an hour more.",
    ),
    Entry(
        "list",
        _list,
        "List topics, in the order of their names.",
        "\n--prefix house/\n--client alice",
        "The number under 'key' counts the keys that a topic has had.",
    ),
    Entry("show", _show, "Show a topic: its keys' ages, its clients and its newest job.", "room"),
    Entry(
        "remove",
        _remove,
        "Forget a topic and its keys.",
        "room",
        "Clients keep the key that they have: detach them first if they should not.",
    ),
)
_COMMANDS = (
    Entry(
        "attach",
        _attach,
        "Give a client topics' keys.",
        "alice room\nalice house/windows house/doors",
        "Of several topics, either all are given or, if one is unknown, none.",
    ),
    Entry(
        "detach",
        _detach,
        "Have a client forget topics' keys.",
        "alice room",
        "To shut out a client that may have kept a key, rotate the topic's key then.",
    ),
    Entry("count", _count, "Count clients and topics.", "\n--client alice\n--topic room"),
)


def register(app: typer.Typer) -> None:
    """Add the commands to the app."""
    group = make_group(app, "topic", "Topics: make them, look at them, change their keys.", _HELP)
    add(group, "e4 c2 topic", _TOPIC_COMMANDS)
    add(app, "e4 c2", _COMMANDS)
