"""End-to-end protection of messages over MQTT and other publish/subscribe transports.

``e4.Client`` protects a message before it leaves and unprotects it on arrival; ``e4.mqtt`` joins it
to a broker; ``e4.crypto`` and ``e4.commands`` are the protocol without a client.
"""

from e4 import commands, crypto, errors
from e4.client import (
    Client,
    FileStore,
    Limits,
    MemoryStore,
    PubIdAndKey,
    PubNameAndPassword,
    Store,
    SymIdAndKey,
    SymNameAndPassword,
)
from e4.errors import *  # noqa: F403

__all__ = [
    "Client",
    "FileStore",
    "Limits",
    "MemoryStore",
    "PubIdAndKey",
    "PubNameAndPassword",
    "Store",
    "SymIdAndKey",
    "SymNameAndPassword",
    "commands",
    "crypto",
    "errors",
    *errors.__all__,
]
