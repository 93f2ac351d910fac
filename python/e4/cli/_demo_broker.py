"""The demo's own broker, a process of its own: amqtt on a port of this machine. Knows nothing of e4.

It prints one line of JSON, ``{"port": …}`` or ``{"error": …}``, and runs until its standard input ends.
Its argument is the port to take if it is free.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys

_SHUTDOWN = 2  # seconds

_PLUGINS = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}


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

    port = _free(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    listener = {"type": "tcp", "bind": f"127.0.0.1:{port}"}
    broker = Broker({"listeners": {"default": listener}, "plugins": _PLUGINS})
    await broker.start()
    # amqtt does not tell which port it was given.
    _say(port=broker._servers["default"].instance.sockets[0].getsockname()[1])
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    await asyncio.wait_for(broker.shutdown(), _SHUTDOWN)


def _free(port: int) -> int:
    """The port, or 0 for any other where somebody has it."""
    with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return port
    return 0


def _say(**members: object) -> None:
    sys.stdout.write(json.dumps(members) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
