"""One E4 client: its state, the commands that change it, and the stores that keep it. Knows no MQTT."""

from e4._names import Limits
from e4.client.client import Client
from e4.client.config import ClientConfig, PubIdAndKey, PubNameAndPassword, SymIdAndKey, SymNameAndPassword
from e4.client.stores import FileStore, MemoryStore, Store

__all__ = [
    "Client",
    "ClientConfig",
    "FileStore",
    "Limits",
    "MemoryStore",
    "PubIdAndKey",
    "PubNameAndPassword",
    "Store",
    "SymIdAndKey",
    "SymNameAndPassword",
]
