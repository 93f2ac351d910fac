"""Sends what the service has queued: the sender of the outbox, the runner of long jobs, the janitor.

::

    sender  jobs  janitor     three threads
    batch                     a claimed part of the outbox: what may leave now, and how it ended
    protecting                from a command to the bytes that its client opens
    seconds                   which second commands are dated with
    worker                    a thread that outlives every error

Knows no HTTP and no SQL.
"""

from e4.c2.delivery.janitor import Janitor
from e4.c2.delivery.jobs import JobRunner
from e4.c2.delivery.sender import Sender, SenderStatus

__all__ = ["Janitor", "JobRunner", "Sender", "SenderStatus"]
