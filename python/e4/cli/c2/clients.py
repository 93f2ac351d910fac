"""``e4 c2 client``: look at clients, change their keys and links. Making one is in `e4.cli.c2.create`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from e4.cli._errors import Failed, Usage
from e4.cli._options import JsonFlag, read_client_id
from e4.cli.c2 import create
from e4.cli.c2._access import Access, YesFlag, confirm
from e4.cli.c2._columns import CLIENTS, COMMANDS, key_text
from e4.cli.c2._group import Entry, add, make_group
from e4.cli.c2._pages import LimitOption, paged
from e4.cli.c2._show import details, document, done, json_of, listed, time_of

if TYPE_CHECKING:
    from e4.c2.model import ClientDetails

__all__ = ["register"]

_MANY = 100  # topics and links that are named where a client is shown

_HELP = """Register clients, look at them, change their keys and links.

A client is named by its name; one that was registered by its id alone, by that id in hex.

\b
Examples:
  e4 c2 client create alice --out alice.key
  e4 c2 client list --prefix sensor-
  e4 c2 client show alice

'e4 c2 client COMMAND --help' lists the options of one command.
"""

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The client.")]
_Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="The clients.")]
_Source = Annotated[str, typer.Argument(metavar="SOURCE", help="The client whose public key it is.")]
_To = Annotated[str, typer.Option("--to", metavar="TARGET", help="The client that is to have the key.")]
_From = Annotated[str, typer.Option("--from", metavar="TARGET", help="The client that has the key.")]


def _list(
    prefix: Annotated[
        str, typer.Option("--prefix", metavar="TEXT", help="Only those whose names begin so.")
    ] = "",
    topic: Annotated[
        str | None, typer.Option("--topic", metavar="TOPIC", help="Only those that have this topic's key.")
    ] = None,
    linked_to: Annotated[
        str | None, typer.Option("--linked-to", metavar="TARGET", help="Only those linked to this client.")
    ] = None,
    limit: LimitOption = None,
    as_json: JsonFlag = False,
    *,
    access: Access,
) -> None:
    if sum((bool(prefix), topic is not None, linked_to is not None)) > 1:
        raise Usage("--prefix, --topic and --linked-to exclude each other: give one of them")
    with access.remote() as remote:
        if topic is not None:
            clients = paged(lambda cursor, size: remote.page_clients_for_topic(topic, cursor, size), limit)
        elif linked_to is not None:
            clients = paged(lambda cursor, size: remote.page_linked_clients(linked_to, cursor, size), limit)
        else:
            clients = paged(lambda cursor, size: remote.page_clients(cursor, size, prefix), limit)
        listed(clients, CLIENTS, as_json, none="no clients")


def _show(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The client.")] = None,
    id: Annotated[
        str | None,
        typer.Option("--id", metavar="HEX", help="The client with this id, however it was registered."),
    ] = None,
    as_json: JsonFlag = False,
    *,
    access: Access,
) -> None:
    if (name is None) == (id is None):
        raise Usage("which client is not clear: give its name or --id")
    wanted = None if id is None else read_client_id(None, id, "--id HEX")
    with access.remote() as remote:
        if wanted is not None:
            found = remote.find_client(wanted)
            if found is None:
                raise Failed(f"no client has the id {id}")
            name = found.name
        assert name is not None
        known = remote.get_client(name)
        topics = [topic.name for topic in remote.page_topics_for_client(name, limit=_MANY).items]
        links = []
        if known.links:
            links = [link.name for link in remote.page_linked_clients(name, limit=_MANY).items]
    if as_json:
        document(json_of(known) | {"topic_names": topics, "link_names": links})
        return
    details(_facts(known, topics, links))
    if known.last_commands:
        print()
        listed(known.last_commands, COMMANDS, as_json=False)


def _facts(known: ClientDetails, topics: list[str], links: list[str]) -> list[tuple[str, object]]:
    client = known.client
    facts: list[tuple[str, object]] = [
        ("name", client.name),
        ("id", client.id.hex()),
        ("registered", f"{time_of(client.created_at)}, by {'id' if client.by_id else 'name'}"),
        *(("key", key_text(key)) for key in reversed(known.keys)),
    ]
    if client.c2_key_version:
        facts.append(("key of C2", f"version {client.c2_key_version}"))
    facts += [
        ("queued commands", known.queued),
        ("topics", known.topics),
        *(("topic", topic) for topic in topics),
    ]
    if known.topics > len(topics):
        facts.append(("more", f"e4 c2 topic list --client {client.name}"))
    facts += [("links", known.links), *(("link", link) for link in links)]
    if known.links > len(links):
        facts.append(("more", f"e4 c2 client list --linked-to {client.name}"))
    return facts


def _remove(name: _Name, yes: YesFlag = False, as_json: JsonFlag = False, *, access: Access) -> None:
    with access.remote() as remote:
        confirm(f"Forget the client {name}, its key, its topics and its links?", yes)
        remote.remove_client(name)
    done(f"client {name} is forgotten", as_json, removed=name)


def _reset(names: _Names, yes: YesFlag = False, as_json: JsonFlag = False, *, access: Access) -> None:
    with access.remote() as remote:
        confirm(f"Take all topics' keys from {_some(names)}?", yes)
        if len(names) == 1:
            remote.reset_client(names[0])
        else:
            remote.reset_clients(names)
    done(f"{_some(names)}: the command to forget all topics' keys is on its way", as_json, reset=names)


def _resync(name: _Name, as_json: JsonFlag = False, *, access: Access) -> None:
    with access.remote() as remote:
        remote.resync_client(name)
    done(f"client {name}: everything it should hold is on its way", as_json, resynced=name)


def _new_key(
    names: _Names,
    confirmed: Annotated[
        bool,
        typer.Option(
            "--confirm", help="Make no key: say that they use their newest, so that older ones are forgotten."
        ),
    ] = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
    *,
    access: Access,
) -> None:
    with access.remote() as remote:
        if confirmed:
            confirm(
                "A client that does not have its newest key can then not be reached any more. "
                f"Forget the older keys of {_some(names)}?",
                yes,
            )
            for name in names:
                remote.confirm_client_key(name)
            done(f"{_some(names)}: older keys are forgotten", as_json, confirmed=names)
            return
        if len(names) == 1:
            remote.new_client_key(names[0])
        else:
            remote.new_client_keys(names)
    done(f"{_some(names)}: a new key is on its way, the old one is kept", as_json, new_key=names)


def _link(source: _Source, to: _To, as_json: JsonFlag = False, *, access: Access) -> None:
    with access.remote() as remote:
        remote.link_client(source, to)
    done(f"{source} is linked to {to}", as_json, source=source, target=to, linked=True)


def _unlink(source: _Source, target: _From, as_json: JsonFlag = False, *, access: Access) -> None:
    with access.remote() as remote:
        remote.unlink_client(source, target)
    done(f"{source} is no longer linked to {target}", as_json, source=source, target=target, linked=False)


def _send_pubkey(source: _Source, to: _To, as_json: JsonFlag = False, *, access: Access) -> None:
    with access.remote() as remote:
        remote.send_client_pubkey(to, source)
    done(f"the public key of {source} is on its way to {to}", as_json, source=source, target=to, sent=True)


def _remove_pubkey(source: _Source, target: _From, as_json: JsonFlag = False, *, access: Access) -> None:
    with access.remote() as remote:
        remote.remove_client_pubkey(target, source)
    done(
        f"{target}: the command to forget the public key of {source} is on its way",
        as_json,
        source=source,
        target=target,
        sent=False,
    )


def _reset_pubkeys(name: _Name, yes: YesFlag = False, as_json: JsonFlag = False, *, access: Access) -> None:
    with access.remote() as remote:
        confirm(f"Take all public keys from {name}?", yes)
        remote.reset_client_pubkeys(name)
    done(f"client {name}: the command to forget all public keys is on its way", as_json, reset_pubkeys=name)


def _some(names: list[str]) -> str:
    return f"client {names[0]}" if len(names) == 1 else f"{len(names)} clients"


_COMMANDS = (
    Entry(
        "list",
        _list,
        "List clients, in the order of their names.",
        "\n--prefix sensor-\n--topic room",
        "The number under 'key' counts the keys that a client has had.",
    ),
    Entry(
        "show",
        _show,
        "Show a client: its keys' ages, topics, links and last commands.",
        "alice",
        f"At most {_MANY} topics and links are named, and the last 10 commands.",
    ),
    Entry(
        "remove",
        _remove,
        "Forget a client, its key, its topics and its links.",
        "alice",
        "What the device holds it keeps: reset it first, or rotate its topics' keys to shut it out.",
    ),
    Entry(
        "reset",
        _reset,
        "Have clients forget all topics' keys.",
        "alice bob",
        "They are members of no topic then. Of several, either all are reset or, if one is unknown, none.",
    ),
    Entry(
        "resync",
        _resync,
        "Send a client everything it should hold, from nothing.",
        "alice",
        "For a client that was away too long, or was restored from an old copy.",
    ),
    Entry(
        "new-key",
        _new_key,
        "Make clients new keys, and send them under the ones they have.",
        "alice\nalice --confirm",
        "The old key is kept until the client is known to use the new one; --confirm says that it does.",
    ),
    Entry(
        "link",
        _link,
        "Record that a client should have another's public key (public-key mode).",
        "alice --to bob",
        "From then on TARGET is sent each new key of SOURCE; 'send-pubkey' sends it the one of now.",
    ),
    Entry("unlink", _unlink, "Remove a link.", "alice --from bob", "TARGET keeps the key that it has."),
    Entry(
        "send-pubkey", _send_pubkey, "Send a client another's public key (public-key mode).", "alice --to bob"
    ),
    Entry(
        "remove-pubkey",
        _remove_pubkey,
        "Have a client forget another's public key (public-key mode).",
        "alice --from bob",
    ),
    Entry(
        "reset-pubkeys",
        _reset_pubkeys,
        "Have a client forget all public keys (public-key mode).",
        "bob",
        "Links stay as they are.",
    ),
)


def register(app: typer.Typer) -> None:
    """Add the group of commands to the app."""
    group = make_group(app, "client", "Clients: register them, look at them, change their keys.", _HELP)
    create.register(group)
    add(group, "e4 c2 client", _COMMANDS)
