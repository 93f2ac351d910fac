"""``e4 demo``: alice and bob talk over a real MQTT broker, and eve tries what she can."""

from __future__ import annotations

import contextlib
import functools
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from e4.cli import c2
from e4.cli._options import VerboseFlag

if TYPE_CHECKING:
    from e4.cli._demo_cast import Cast
    from e4.cli._demo_print import Printer

__all__ = ["register"]

_HELP = """Show what e4 does: alice and bob talk over a real MQTT broker, and eve tries what she can.

Each of them is a process with its own connection; the messages are shown as they pass on the wire.
The demo starts a broker of its own (amqtt, from e4's extra 'demo') unless --broker names another one,
and for its second act a key server (e4's extra 'c2'). It needs nothing else, and leaves nothing behind.
The exit code is 0 only if every step ended as it must.

\b
Examples:
  e4 demo
  e4 demo --broker localhost:1883
"""

_OPENING = (
    "alice and bob talk over an MQTT broker; a key server sends them the keys for it.",
    "eve is on the same broker: she receives everything, and sends what she likes.",
    "Each is a process with its own connection. Lines marked 'wire' are messages as",
    "the broker passes them on, in hex (long ones shortened).",
    "",
)
_NO_KEY_SERVER = (
    "",
    "There is a second act, in which a key server hands out the keys and changes them.",
    "It needs e4's extra 'c2': from a clone, install it with \"pip install '.[demo,c2]'\".",
)


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("demo", help=_HELP, short_help="Show what e4 does: alice, bob and eve on a real broker.")(
        _demo
    )


def _demo(
    broker: Annotated[
        str | None,
        typer.Option(
            "--broker", metavar="HOST[:PORT]", help="Use this broker; without it, the demo starts one."
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", metavar="SECONDS", min=0.1, help="How long to wait for each thing to arrive."
        ),
    ] = 5.0,
    verbose: VerboseFlag = False,
) -> None:
    from e4 import crypto
    from e4.cli._demo_cast import Cast, start_broker
    from e4.cli._demo_print import Printer
    from e4.cli._demo_stage import Unexpected
    from e4.cli._errors import Failed
    from e4.cli._options import parse_broker
    from e4.errors import C2Error, MqttError

    printer = Printer(sys.stdout)
    with contextlib.ExitStack() as stack:
        if broker is None:
            host, port, suffix = "127.0.0.1", stack.enter_context(start_broker()), ""
        else:
            # Others may be there too: names and topic of this run alone.
            (host, port), suffix = parse_broker(broker, 1883), f"-{crypto.random_id().hex()[:8]}"
        cast = stack.enter_context(Cast.start(host, port, timeout, suffix))
        for line in _OPENING:
            printer.text(line)
        kind = "a broker started for this demo" if broker is None else "the broker given"
        printer.line("broker", f"{host}:{port}, {kind}")
        try:
            steps, seen = _play(cast, host, port, suffix, printer, timeout)
        except (Unexpected, C2Error, MqttError) as error:
            raise Failed(str(error)) from error
        printer.text(
            f"\nAll {steps} steps ended as they must. {seen} messages passed the broker, none in clear."
        )


def _play(cast: Cast, host: str, port: int, suffix: str, printer: Printer, timeout: float) -> tuple[int, int]:
    """Both acts; the number of steps, and of messages that passed the broker."""
    from e4.cli._demo_cast import start_key_server
    from e4.cli._demo_story import Story
    from e4.mqtt import publish_command

    topic = f"house{suffix}/windows"
    publish = functools.partial(publish_command, host=host, port=port, retain=False, timeout=timeout)
    first = Story(cast, topic, publish, printer, timeout)
    steps = first.play()
    if not c2.installed():
        for line in _NO_KEY_SERVER:
            printer.text(line)
        return steps, first.seen
    from e4.cli._demo_second import KeyServerStory

    with start_key_server(host, port) as (url, remote):
        second = KeyServerStory(cast, topic, url, remote, suffix, printer, timeout)
        return second.play(steps), first.seen + second.seen
