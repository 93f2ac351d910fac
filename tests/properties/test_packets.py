"""MQTT packets: any bytes in any pieces are parsed without a fault, and what is encoded can be read."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e4.mqtt import _packets
from e4.mqtt._packets import PUBCOMP, PUBREC, Ack, Malformed, Packet, Parser, Pingresp

VERSIONS = st.sampled_from(["3.1.1", "5"])
IDS = st.integers(1, 0xFFFF)

ACKS = st.builds(Ack, st.sampled_from([PUBREC, PUBCOMP]), IDS, st.just(0) | st.integers(0, 255))
# Bytes that look like packets, so that more than the first is reached.
ALMOST = st.builds(
    lambda first, body: bytes([first, len(body)]) + body,
    st.sampled_from([0x20, 0x50, 0x70, 0xD0, 0xE0, 0x30, 0x51]),
    st.binary(max_size=12),
)
STREAMS = st.binary(max_size=300) | st.lists(ALMOST | st.binary(max_size=6), max_size=30).map(b"".join)


def encoded(packet: Packet) -> bytes:
    """As a broker with MQTT 5 may send it; with a reason also where it is 0 now and then."""
    if isinstance(packet, Pingresp):
        return b"\xd0\0"
    assert isinstance(packet, Ack)
    reason = b"" if not packet.reason and packet.id % 2 else bytes([packet.reason])
    return bytes([packet.kind << 4, 2 + len(reason)]) + struct.pack("!H", packet.id) + reason


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(at)]


@given(STREAMS, st.lists(st.integers(0, 300), max_size=20), VERSIONS)
def test_any_bytes_in_any_pieces(data: bytes, cuts: list[int], version: _packets.Version) -> None:
    at_once = Parser(version).feed(data)
    parser = Parser(version)
    assert [packet for piece in in_pieces(data, cuts) for packet in parser.feed(piece)] == at_once
    assert all(not isinstance(packet, Malformed) for packet in at_once[:-1])


@given(st.lists(ACKS | st.just(Pingresp()), max_size=50), st.lists(st.integers(0, 250), max_size=20))
def test_acknowledgements_in_any_pieces(packets: list[Packet], cuts: list[int]) -> None:
    parser = Parser("5")
    data = b"".join(map(encoded, packets))
    assert [packet for piece in in_pieces(data, cuts) for packet in parser.feed(piece)] == packets


@given(
    VERSIONS, st.binary(min_size=1, max_size=200), IDS, st.binary(max_size=300) | st.just(bytes(20_000)),
    st.booleans(),
)  # fmt: skip
def test_publish_can_be_read(
    version: _packets.Version, topic: bytes, id: int, payload: bytes, retain: bool
) -> None:
    packet = _packets.publish(version, topic, id, payload, retain)
    assert packet[0] == (0x35 if retain else 0x34)
    body = read_body(packet)
    size = int.from_bytes(body[:2], "big")
    assert body[2 : 2 + size] == topic
    assert body[2 + size : 4 + size] == id.to_bytes(2, "big")
    rest = body[4 + size :]
    assert rest == (b"\0" if version == "5" else b"") + payload


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)


@given(VERSIONS, TEXTS, st.integers(0, 0xFFFF), st.none() | TEXTS, TEXTS)
def test_connect_can_be_read(
    version: _packets.Version, client_id: str, keepalive: int, username: str | None, password: str
) -> None:
    given_password = None if username is None else password
    body = read_body(_packets.connect(version, client_id, keepalive, username, given_password))
    assert body[:6] == b"\0\4MQTT"
    assert body[6] == (5 if version == "5" else 4)
    assert body[7] == (0x02 if username is None else 0xC2)
    assert body[8:10] == keepalive.to_bytes(2, "big")
    rest = body[11 + body[10] :] if version == "5" else body[10:]
    texts = []
    while rest:
        size = int.from_bytes(rest[:2], "big")
        texts.append(rest[2 : 2 + size].decode())
        rest = rest[2 + size :]
    assert texts == [client_id] + ([] if username is None else [username, password])


def read_body(packet: bytes) -> bytes:
    """What follows the remaining length, which must be right and as short as can be."""
    length = 0
    for count, byte in enumerate(packet[1:5]):
        length |= (byte & 127) << 7 * count
        if byte < 128:
            break
    else:
        pytest.fail("the length has more than four bytes")
    body = packet[2 + count :]
    assert len(body) == length
    assert length >= (128**count if count else 0)
    return body
