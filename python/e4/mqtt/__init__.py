"""An E4 client on an MQTT broker: messages protected and opened on their way, commands applied as they come.

`e4.mqtt.SecureClient` is for programs with threads; `e4.mqtt.aio` has the one for asyncio.
"""

from e4.mqtt._gate import CommandApplied, Message, Refused
from e4.mqtt._options import TLS
from e4.mqtt._outbox import Publication
from e4.mqtt._policy import ClearTopics
from e4.mqtt._raw import publish_command
from e4.mqtt.client import SecureClient

__all__ = [
    "TLS",
    "ClearTopics",
    "CommandApplied",
    "Message",
    "Publication",
    "Refused",
    "SecureClient",
    "publish_command",
]
