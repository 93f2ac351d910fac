"""The key server, C2: it holds the keys of clients and topics, and sends clients their commands.

::

    app                     puts a server together, from settings
    remote                  the client of a running server
    api                     HTTP and gRPC: parse, call the service, render
    delivery                the sender of the outbox, and the runner of long jobs
    service                 the operations; knows no HTTP, no SQL and no broker
    vault  auth  audit      keys at rest; who may do what; the chain of what was done
    storage                 the database: the only importer of SQLAlchemy
    settings  model         what is configured; the values that all of these exchange
    jsonform                the JSON form of these values

Nothing is imported here: each part has its own dependencies, those of the extra ``c2``.
"""
