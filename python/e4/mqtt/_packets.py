"""MQTT packets as bytes, as much as a publisher needs: what it sends, and what a broker answers.

Lives here: the layouts of MQTT 3.1.1 and 5.0, and the reasons in plain words. Knows no socket, no time
and no window. Section numbers are those of MQTT 5.0.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from e4.errors import InvalidInput

if TYPE_CHECKING:
    from e4.mqtt._options import Version

__all__ = [
    "DISCONNECT",
    "MAX_PACKET",
    "PINGREQ",
    "PUBCOMP",
    "PUBREC",
    "REFUSED",
    "Ack",
    "Connack",
    "Disconnect",
    "Malformed",
    "Packet",
    "Parser",
    "Pingresp",
    "connack_text",
    "connect",
    "publish",
    "pubrel",
    "reason_text",
]

PUBREC = 5
PUBCOMP = 7
REFUSED = 0x80  # reason codes from here on are failures
MAX_PACKET = 268_435_455 + 5  # bytes of a packet (2.1.4)
MAX_INCOMING = 65_536  # bytes of a packet that a broker may send: acknowledgements are short

_CONNACK, _PINGRESP, _DISCONNECT = 2, 13, 14
_KINDS = (
    "a packet of type 0", "a CONNECT", "a CONNACK", "a PUBLISH", "a PUBACK", "a PUBREC", "a PUBREL",
    "a PUBCOMP", "a SUBSCRIBE", "a SUBACK", "an UNSUBSCRIBE", "an UNSUBACK", "a PINGREQ", "a PINGRESP",
    "a DISCONNECT", "an AUTH",
)  # fmt: skip

PINGREQ = b"\xc0\0"
DISCONNECT = b"\xe0\0"
_PUBREL = 0x6202_0000  # a whole PUBREL but its packet id; without a reason it is the same in both versions

# Acknowledgements without a reason: four bytes each, and nearly all that a broker sends.
_SHORT = struct.Struct("!HH")
_SHORT_PUBREC = 0x5002
_SHORT_PUBCOMP = 0x7002

_NO_PROPERTIES = b"\0"
_USER_PROPERTY = 0x26
_MAX_PACKET_SIZE = 0x27
_REQUEST_PROBLEM_INFORMATION = 0x17
# Properties of CONNACK (3.2.2.3): id → length in bytes, or 0 for two bytes of length and then that many.
_CONNACK_PROPERTIES = {
    0x11: 4, 0x12: 0, 0x13: 2, 0x15: 0, 0x16: 0, 0x1A: 0, 0x1C: 0, 0x1F: 0, 0x21: 2, 0x22: 2, 0x24: 1,
    0x25: 1, _MAX_PACKET_SIZE: 4, 0x28: 1, 0x29: 1, 0x2A: 1,
}  # fmt: skip

_OLD_REASONS = {  # MQTT 3.1.1, 3.2.2.3
    1: "it does not speak this version of MQTT",
    2: "it does not take this client id",
    3: "it is not available",
    4: "user name or password is wrong",
    5: "not authorized",
}
_REASONS = {  # 2.4
    0x00: "normal disconnection",
    0x04: "disconnection with will message",
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "implementation specific error",
    0x84: "it does not speak this version of MQTT",
    0x85: "it does not take this client id",
    0x86: "user name or password is wrong",
    0x87: "not authorized",
    0x88: "it is not available",
    0x89: "it is busy",
    0x8A: "banned",
    0x8B: "it is shutting down",
    0x8C: "bad authentication method",
    0x8D: "keep alive timeout",
    0x8E: "another connection has the same client id",
    0x90: "topic name not valid",
    0x91: "packet identifier in use",
    0x92: "packet identifier not found",
    0x93: "receive maximum exceeded",
    0x94: "topic alias not valid",
    0x95: "packet too large",
    0x96: "message rate too high",
    0x97: "quota exceeded",
    0x98: "administrative action",
    0x99: "payload format not valid",
    0x9A: "it keeps no retained messages",
    0x9B: "it does not take this QoS",
    0x9C: "use another server",
    0x9D: "server moved",
    0x9F: "connection rate exceeded",
    0xA0: "maximum connect time exceeded",
}


class Ack(NamedTuple):
    """A PUBREC or PUBCOMP: packet id, and reason code (0 where it has none)."""

    kind: int
    id: int
    reason: int


@dataclass(frozen=True, slots=True)
class Connack:
    """The answer to CONNECT. What a broker does not say, or cannot in MQTT 3.1.1, has its default value.

    Args:
        receive_maximum: how many messages may be in flight; None if not said.
        max_qos: 0, 1 or 2.
        retain: whether retained messages are kept.
        max_packet: bytes of the largest packet it takes; None for no limit.
        keepalive: seconds, in place of the client's; None if not said.
        client_id: given to a client that had none.
    """

    reason: int = 0
    session_present: bool = False
    receive_maximum: int | None = None
    max_qos: int = 2
    retain: bool = True
    max_packet: int | None = None
    keepalive: int | None = None
    client_id: str | None = None


@dataclass(frozen=True, slots=True)
class Pingresp:
    """The answer to PINGREQ."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """MQTT 5: the broker is about to close the connection."""

    reason: int


@dataclass(frozen=True, slots=True)
class Malformed:
    """What came is no packet, or none that a broker may send to a publisher; the stream ends here.

    Args:
        what: continues the words "the broker sent".
    """

    what: str


Packet = Ack | Connack | Pingresp | Disconnect | Malformed


class Parser:
    """Cuts a stream of bytes into the packets of a broker.

    Args:
        version: of MQTT.
    """

    def __init__(self, version: Version) -> None:
        self._new = version == "5"
        self._rest = b""
        self._malformed: Malformed | None = None

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that are complete with these bytes; any bytes will do, see `Malformed`."""
        packets: list[Packet] = []
        if self._malformed is not None:
            return packets
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while at < end:
            at = self._read_short(data, at, packets)
            if at == end:
                break
            try:
                following = self._read(data, at, packets)
            except _NotAPacket as error:
                self._malformed = Malformed(str(error))
                packets.append(self._malformed)
                at = end
                break
            if following == at:
                break
            at = following
        self._rest = data[at:]
        return packets

    def _read_short(self, data: bytes, at: int, packets: list[Packet]) -> int:
        """Acknowledgements of four bytes each, in a tight loop, up to something else."""
        count = (len(data) - at) // _SHORT.size
        view = memoryview(data)[at : at + count * _SHORT.size]
        append = packets.append
        for head, id in _SHORT.iter_unpack(view):
            if head == _SHORT_PUBREC:
                append(Ack(PUBREC, id, 0))
            elif head == _SHORT_PUBCOMP:
                append(Ack(PUBCOMP, id, 0))
            else:
                break
            at += 4
        return at

    def _read(self, data: bytes, at: int, packets: list[Packet]) -> int:
        """Any one packet; gives where the next one starts, or `at` while it is not complete."""
        first = data[at]
        kind = first >> 4
        if kind not in (_CONNACK, PUBREC, PUBCOMP, _PINGRESP) and not (kind == _DISCONNECT and self._new):
            raise _NotAPacket(f"{_KINDS[kind]}, which has no place here")
        if first & 15:
            raise _NotAPacket(f"{_KINDS[kind]} with flags that do not exist")
        length = shift = 0
        start = at + 1
        while True:
            if start == len(data):
                return at
            byte = data[start]
            length |= (byte & 127) << shift
            shift += 7
            start += 1
            if byte < 128:
                break
            if shift == 28:
                raise _NotAPacket(f"{_KINDS[kind]} whose length is not valid")
        end = start + length
        if end - at > MAX_INCOMING:
            raise _NotAPacket(f"{_KINDS[kind]} of {end - at} bytes")
        if end > len(data):
            return at
        packets.append(self._decode(kind, data[start:end]))
        return end

    def _decode(self, kind: int, body: bytes) -> Packet:
        try:
            if kind == _CONNACK:
                return _connack(body, self._new)
            if kind == _PINGRESP and not body:
                return Pingresp()
            if kind == _DISCONNECT:
                return Disconnect(body[0] if body else 0)
            if kind in (PUBREC, PUBCOMP) and (len(body) == 2 or (self._new and len(body) > 2)):
                return Ack(kind, body[0] << 8 | body[1], body[2] if len(body) > 2 else 0)
        except (IndexError, UnicodeDecodeError):
            pass
        raise _NotAPacket(f"{_KINDS[kind]} that is not well formed")


class _NotAPacket(Exception):
    pass


def _connack(body: bytes, new: bool) -> Connack:
    if len(body) < 2 or body[0] > 1 or (len(body) != 2 and not new):
        raise IndexError
    if len(body) == 2:
        if new and not body[1]:  # without properties an old broker may only refuse the new version
            raise IndexError
        return Connack(body[1], bool(body[0]))
    properties = _properties(body[2:])
    number = {id: int.from_bytes(value, "big") for id, value in properties.items()}
    client_id = properties.get(0x12)
    if number.get(0x21) == 0 or number.get(_MAX_PACKET_SIZE) == 0 or number.get(0x24, 0) > 1:
        raise IndexError
    return Connack(
        reason=body[1],
        session_present=bool(body[0]),
        receive_maximum=number.get(0x21),
        max_qos=number.get(0x24, 2),
        retain=bool(number.get(0x25, 1)),
        max_packet=number.get(_MAX_PACKET_SIZE),
        keepalive=number.get(0x13),
        client_id=client_id.decode() if client_id is not None else None,
    )


def _properties(data: bytes) -> dict[int, bytes]:
    """CONNACK's properties; raises IndexError for what is none."""
    length = data[0]
    at = 1
    if length >= 128:
        length = length & 127 | data[1] << 7
        at = 2
    if at + length != len(data) or length >= 128 << 7:
        raise IndexError
    properties: dict[int, bytes] = {}
    while at < len(data):
        id = data[at]
        at += 1
        if id == _USER_PROPERTY:
            for _ in range(2):
                _, at = _take(data, at, 0)
            continue
        if id not in _CONNACK_PROPERTIES or id in properties:
            raise IndexError
        properties[id], at = _take(data, at, _CONNACK_PROPERTIES[id])
    return properties


def _take(data: bytes, at: int, length: int) -> tuple[bytes, int]:
    if not length:
        length = data[at] << 8 | data[at + 1]
        at += 2
    if at + length > len(data):
        raise IndexError
    return data[at : at + length], at + length


def connect(
    version: Version, client_id: str, keepalive: int, username: str | None, password: str | None
) -> bytes:
    """A CONNECT that leaves nothing behind: clean start, and a session that ends with the connection.

    Raises:
        InvalidInput: a text is not 0 to 65535 bytes of UTF-8, or has a NUL in it.
    """
    new = version == "5"
    flags = 0x02 | (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
    properties = bytes([_REQUEST_PROBLEM_INFORMATION, 0, _MAX_PACKET_SIZE]) + MAX_INCOMING.to_bytes(4, "big")
    body = b"".join(
        (
            _text("MQTT", "protocol"),
            bytes([5 if new else 4, flags]),
            keepalive.to_bytes(2, "big"),
            bytes([len(properties)]) + properties if new else b"",
            _text(client_id, "client id"),
            _text(username, "user name") if username is not None else b"",
            _text(password, "password") if password is not None else b"",
        )
    )
    return b"\x10" + _length(len(body)) + body


def publish(version: Version, topic: bytes, id: int, payload: bytes, retain: bool) -> bytes:
    """A PUBLISH with QoS 2; never a duplicate: nothing is ever sent twice."""
    properties = _NO_PROPERTIES if version == "5" else b""
    head = 0x35 if retain else 0x34
    size = len(topic)
    length = 4 + size + len(properties) + len(payload)
    if length < 128:
        start = struct.pack("!BBH", head, length, size)
    else:
        start = bytes([head]) + _length(length) + size.to_bytes(2, "big")
    return b"".join((start, topic, id.to_bytes(2, "big"), properties, payload))


def pubrel(id: int) -> bytes:
    """A PUBREL without a reason."""
    return (_PUBREL | id).to_bytes(4, "big")


def reason_text(code: int) -> str:
    """A reason code of MQTT 5 in plain words."""
    return _REASONS.get(code) or f"reason {code:#04x}"


def connack_text(code: int) -> str:
    """The reason of a CONNACK in plain words; those of MQTT 3.1.1 are other numbers."""
    return _OLD_REASONS.get(code) or reason_text(code)


def _text(text: str, what: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError:  # its text would show a part of the password
        data = None
    if data is None or len(data) > 0xFFFF or "\0" in text:
        raise InvalidInput(f"{what} must be at most 65535 bytes of UTF-8 without NUL")
    return len(data).to_bytes(2, "big") + data


def _length(size: int) -> bytes:
    encoded = bytearray()
    while size >= 128:
        encoded.append(size & 127 | 128)
        size >>= 7
    encoded.append(size)
    return bytes(encoded)
