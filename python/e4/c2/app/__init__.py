"""A running server: one process with HTTP, gRPC, the sender of the outbox and the runner of jobs.

::

    server      starts, waits for a signal, stops
    running     everything that runs, put together
    network     the server's certificate, where it listens, how it reaches the broker

It starts whole or not at all, with one error that says why, and stops in order: no new requests, those
under way finished, publishes under way acknowledged, then the database closed. Takes no decision about
clients or topics.
"""

from __future__ import annotations

from e4.c2.app.server import Server

__all__ = ["Server"]
