"""The exceptions of e4. Imports nothing; the Rust core raises these same classes.

::

    E4Error
    ├── MessageError            a message was refused (protocol, section 3)
    │   ├── TopicKeyMissing
    │   ├── MalformedMessage
    │   ├── TimestampInFuture
    │   ├── TimestampTooOld
    │   ├── PublicKeyMissing
    │   ├── InvalidSignature
    │   └── NotAuthentic
    ├── CommandError            a command was refused (protocol, section 4)
    │   ├── InvalidCommand
    │   ├── ReplayedCommand
    │   └── UnsupportedOperation
    ├── InvalidInput            (also a ValueError) an argument breaks a rule of section 6
    │   ├── InvalidKey
    │   ├── InvalidId
    │   ├── InvalidName
    │   ├── InvalidPassword
    │   ├── InvalidTopic
    │   └── InvalidTimestamp
    ├── StoreError              the client's state cannot be read or written
    │   ├── StoreLocked
    │   └── InvalidState
    ├── BackendError            the crypto backend asked for is not there
    ├── MqttError               the broker refused something, or cannot be reached
    │   ├── NotConnected
    │   └── NotDelivered
    └── C2Error                 the key server refused an operation (C2, section 3.3)
        ├── NotFound            the client, topic, token, job or command is not there
        ├── InvalidRequest      (also a ValueError) what was asked for is malformed
        ├── FailedPrecondition  not in this mode, or not confirmed
        ├── Conflict            it exists already, or an idempotency key was used for something else
        ├── Unauthenticated     no credentials, or wrong ones
        ├── PermissionDenied    these credentials do not allow it
        ├── TooManyAttempts     too many wrong credentials from one address
        ├── Unavailable         the server cannot be reached, or is stopping
        ├── InvalidSettings     a setting is unknown or not valid
        ├── DatabaseError       the database cannot be opened, or is not as it should be
        └── WrongPassphrase     the passphrase does not open the database's keys

No exception text holds a key, a password or a payload.
"""

__all__ = [
    "BackendError",
    "C2Error",
    "CommandError",
    "Conflict",
    "DatabaseError",
    "E4Error",
    "FailedPrecondition",
    "InvalidCommand",
    "InvalidId",
    "InvalidInput",
    "InvalidKey",
    "InvalidName",
    "InvalidPassword",
    "InvalidRequest",
    "InvalidSettings",
    "InvalidSignature",
    "InvalidState",
    "InvalidTimestamp",
    "InvalidTopic",
    "MalformedMessage",
    "MessageError",
    "MqttError",
    "NotAuthentic",
    "NotConnected",
    "NotDelivered",
    "NotFound",
    "PermissionDenied",
    "PublicKeyMissing",
    "ReplayedCommand",
    "StoreError",
    "StoreLocked",
    "TimestampInFuture",
    "TimestampTooOld",
    "TooManyAttempts",
    "TopicKeyMissing",
    "Unauthenticated",
    "Unavailable",
    "UnsupportedOperation",
    "WrongPassphrase",
]


class E4Error(Exception):
    """Base of every error that e4 raises on purpose.

    Args:
        message: what went wrong; each class has its own default text.
    """

    default = "e4 error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(self.default if message is None else message)


class MessageError(E4Error):
    """A message was refused; nothing of its plaintext was released."""

    default = "message refused"


class TopicKeyMissing(MessageError):
    """The client has no key for the topic."""

    default = "topic key not found"


class MalformedMessage(MessageError):
    """The message is shorter than the layout of its kind: 24 bytes (SK), 104 bytes (PK)."""

    default = "message is too short"


class TimestampInFuture(MessageError):
    """The message's timestamp is further ahead of the clock than the allowed skew."""

    default = "timestamp is in the future"


class TimestampTooOld(MessageError):
    """The message is older than the allowed age (600 seconds by default)."""

    default = "timestamp is too old"


class PublicKeyMissing(MessageError):
    """PK mode: the signer's public key is not known to this client."""

    default = "public key not found"


class InvalidSignature(MessageError):
    """PK mode: the Ed25519 signature does not verify."""

    default = "signature is not valid"


class NotAuthentic(MessageError):
    """The synthetic IV does not verify: another key was used, or the message was changed."""

    default = "message is not authentic"


class CommandError(E4Error):
    """A command was refused; the client is as it was before."""

    default = "command refused"


class InvalidCommand(CommandError):
    """Not a command: unknown opcode, or a length that is not exactly that of its opcode."""

    default = "not a valid command"


class ReplayedCommand(CommandError):
    """The command is older than the last one applied, or is one that was applied already."""

    default = "command was applied before, or is older than the last one applied"


class UnsupportedOperation(CommandError):
    """The operation does not exist in this client's mode (a PK command on an SK client)."""

    default = "operation is not supported in symmetric-key mode"


class InvalidInput(E4Error, ValueError):
    """An argument breaks a rule of the protocol, section 6."""

    default = "input is not valid"


class InvalidKey(InvalidInput):
    """A key of the wrong length, or one that the protocol's key checks refuse."""

    default = "key is not valid"


class InvalidId(InvalidInput):
    """An id that is not exactly 16 bytes."""

    default = "id must be exactly 16 bytes"


class InvalidName(InvalidInput):
    """A client name that is not 1 to 255 bytes of UTF-8."""

    default = "name must be 1 to 255 bytes of UTF-8"


class InvalidPassword(InvalidInput):
    """A password of fewer than 16 bytes of UTF-8."""

    default = "password must be at least 16 bytes of UTF-8"


class InvalidTopic(InvalidInput):
    """Not a topic name: empty, over 65535 bytes of UTF-8, or with NUL, ``+`` or ``#``."""

    default = "topic must be 1 to 65535 bytes of UTF-8 without NUL, '+' or '#'"


class InvalidTimestamp(InvalidInput):
    """A timestamp that is not whole seconds since the epoch in 0 to 2**64 - 1."""

    default = "timestamp must be seconds since the epoch, from 0 to 2**64 - 1"


class StoreError(E4Error):
    """The client's state could not be read or written; what was stored is as it was."""

    default = "the client's state could not be read or written"


class StoreLocked(StoreError):
    """Another client, in this process or another, has the same state open."""

    default = "the client's state is open elsewhere"


class InvalidState(StoreError):
    """The stored state breaks a rule of the protocol, section 5; it was left untouched."""

    default = "the stored state is not valid"


class BackendError(E4Error):
    """The crypto backend asked for does not exist, or its packages are not installed."""

    default = "crypto backend is not available"


class MqttError(E4Error):
    """The MQTT broker refused something or cannot be reached."""

    default = "MQTT error"


class NotConnected(MqttError):
    """A QoS 0 message, which nothing would keep, was published while the broker is away."""

    default = "not connected to the broker"


class NotDelivered(MqttError):
    """A wait for the broker's acknowledgement ended before it came."""

    default = "the broker has not acknowledged the message"


class C2Error(E4Error):
    """The key server refused an operation, or cannot run; its state is as it was."""

    default = "the key server refused"


class NotFound(C2Error):
    """What the operation is about is not there: a client, topic, token, job or command."""

    default = "not found"


class InvalidRequest(C2Error, ValueError):
    """What was asked for is malformed: a number, a page, a body, an empty payload."""

    default = "request is not valid"


class FailedPrecondition(C2Error):
    """The operation does not exist in this database's mode, or must be confirmed and is not."""

    default = "operation is not possible now"


class Conflict(C2Error):
    """It exists already, or its idempotency key was used for another request."""

    default = "conflict with what is there"


class Unauthenticated(C2Error):
    """No credentials, or wrong, expired or revoked ones; the text does not say which."""

    default = "credentials are missing or not valid"


class PermissionDenied(C2Error):
    """The credentials are good, and do not allow this."""

    default = "not allowed"


class TooManyAttempts(C2Error):
    """Too many wrong credentials came from one address; try again later."""

    default = "too many failed attempts: try again later"


class Unavailable(C2Error):
    """The key server cannot be reached, or is stopping."""

    default = "the key server cannot be reached"


class InvalidSettings(C2Error):
    """A setting is unknown or not valid; the text names it."""

    default = "a setting is not valid"


class DatabaseError(C2Error):
    """The database cannot be opened, is in use, or is not of this version."""

    default = "the database cannot be used"


class WrongPassphrase(C2Error):
    """The passphrase does not open the keys of this database."""

    default = "the passphrase does not open this database"
