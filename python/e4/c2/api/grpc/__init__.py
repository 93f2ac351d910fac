"""The deployed gRPC interface: its messages, its operations, its server.

::

    c2.proto     the interface; c2_pb2 is made from it
    operations   every call but the event stream; the deployed HTTP interface uses this table too
    protojson    the JSON form of the messages, for that
    server       listens, and answers
    events       the event stream
"""
