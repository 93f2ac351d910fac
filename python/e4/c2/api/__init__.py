"""The interfaces of the key server: they parse, call the service, and render; they take no decisions.

::

    grpc        the deployed gRPC interface; its messages and operations are those of the deployed HTTP too
    http        the deployed HTTP interface, and the resource API under /api/v1
    access      what both do before a call: who calls, and the request's id
    errors      the one table of errors
    feed        following the events as they happen
"""
