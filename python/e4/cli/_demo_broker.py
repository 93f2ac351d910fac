"""The demo's own broker, a process of its own: amqtt on a free port of this machine. Knows nothing of e4.

It prints one line of JSON, ``{"port": …}`` or ``{"error": …}``, and runs until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys

_SHUTDOWN = 2  # seconds

_CONFIG = {
    "listeners": {"default": {"type": "tcp", "bind": "127.0.0.1:0"}},
    "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
}


def main() -> None:
    """Run the broker until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the demo, which then ends us
    logging.disable(logging.CRITICAL)
    try:
        asyncio.run(_serve())
    except Exception as error:
        _say(error=f"{type(error).__name__}: {error}")
    os._exit(0)  # a thread still reads standard input where the broker has failed


async def _serve() -> None:
    from amqtt.broker import Broker

    broker = Broker(_CONFIG)
    await broker.start()
    # amqtt does not tell which port it was given.
    _say(port=broker._servers["default"].instance.sockets[0].getsockname()[1])
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    await asyncio.wait_for(broker.shutdown(), _SHUTDOWN)


def _say(**members: object) -> None:
    sys.stdout.write(json.dumps(members) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
