"""The operations of the key server (C2, section 2). Knows no HTTP, no SQL and no broker.

::

    service                       the groups of operations, put together
    clients topics members links  what there is, and who has what
    keys messages tokens records  keys, their use, who may call, what happened
    outbox                        what the sender reports
    setup legacy                  a new database, opening one, taking over a deployed server's

An operation checks its caller's right and its input, then works in one transaction: its effect, the
commands that it queues, its events and its audit row, all or nothing.
"""

from e4.c2.service._core import Replayed
from e4.c2.service.service import Service

__all__ = ["Replayed", "Service"]
