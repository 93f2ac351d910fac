"""The client of a running key server: its operations, over HTTP.

::

    client                  `Remote`: one method per operation, in two rooms:
    _fleet  _records        on clients, topics and keys; on commands, jobs, events, audit and tokens
    _transport              one request: TLS, token, retries, errors out of answers
    _base  _requests        answers into values, arguments into paths and bodies
    _events  _imports       what goes on for long: following events, importing rows

The only importer of httpx. Knows the resource API, and nothing of the server's insides.
"""

from e4.c2.remote.client import Remote

__all__ = ["Remote"]
