"""The resource API under /api/v1: JSON over HTTP, described by ``/api/v1/openapi.json``.

::

    application                     puts the rest together
    gate                            before a request is read: who calls, and how much may come
    clients  topics  keys  records  the operations, by what they are about
    events  transfer  rows          what streams: events; imports and exports, and the form of their rows
    calls  models  encodings        what operations are given: pages, names, bodies; and how they answer
    problems                        errors as answers

Parses, calls the service, and renders; decides nothing.
"""

from e4.c2.api.http.v1.application import make_v1

__all__ = ["make_v1"]
