"""MQTT packets as bytes: what the publisher sends, byte by byte, and what it makes of a broker's answers."""

from __future__ import annotations

import pytest

from e4.errors import InvalidInput
from e4.mqtt import _packets
from e4.mqtt._inflight import InFlight
from e4.mqtt._packets import PUBCOMP, PUBREC, Ack, Connack, Disconnect, Malformed, Packet, Parser, Pingresp


def parse(data: str, version: _packets.Version = "5") -> list[Packet]:
    return Parser(version).feed(bytes.fromhex(data))


def test_connect() -> None:
    assert _packets.connect("3.1.1", "c2", 60, None, None) == bytes.fromhex(
        "100e 00044d515454 04 02 003c 00026332"
    )
    assert _packets.connect("3.1.1", "c2", 60, "u", None)[9:] == bytes.fromhex("82 003c 00026332 000175")
    assert _packets.connect("3.1.1", "c2", 0, "u", "pw")[9:] == bytes.fromhex(
        "c2 0000 00026332 000175 00027077"
    )
    assert _packets.connect("5", "", 65535, None, None) == bytes.fromhex(
        "1014 00044d515454 05 02 ffff 07 1700 2700010000 0000"
    )


@pytest.mark.parametrize("text", ["x" * 65536, "a\0b", "\ud800"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_text_that_connect_cannot_carry(text: str, place: int) -> None:
    texts = ["a", "b", "c"]
    texts[place] = text
    with pytest.raises(InvalidInput, match=["client id", "user name", "password"][place]) as caught:
        _packets.connect("5", texts[0], 60, texts[1], texts[2])
    assert text not in str(caught.value)


def test_publish() -> None:
    assert _packets.publish("3.1.1", b"a/b", 7, b"xy", True) == bytes.fromhex("3509 0003612f62 0007 7879")
    assert _packets.publish("5", b"a/b", 0x1234, b"", False) == bytes.fromhex("3408 0003612f62 1234 00")
    assert _packets.publish("5", b"t", 1, bytes(121), True)[:4] == bytes.fromhex("357f0001")
    assert _packets.publish("5", b"t", 1, bytes(122), True)[:5] == bytes.fromhex("3580010001")


def test_the_other_packets() -> None:
    assert _packets.pubrel(0xABCD) == bytes.fromhex("6202abcd")
    assert bytes.fromhex("c000") == _packets.PINGREQ
    assert bytes.fromhex("e000") == _packets.DISCONNECT


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_acknowledgements(version: _packets.Version) -> None:
    assert parse("50020001 70020001 5002ffff", version) == [
        Ack(PUBREC, 1, 0), Ack(PUBCOMP, 1, 0), Ack(PUBREC, 0xFFFF, 0),
    ]  # fmt: skip
    assert parse("50020001 d000 70020002", version) == [Ack(PUBREC, 1, 0), Pingresp(), Ack(PUBCOMP, 2, 0)]


def test_acknowledgements_with_reasons() -> None:
    assert parse("5003000197") == [Ack(PUBREC, 1, 0x97)]
    assert parse("5004000210 00 7004000392 00") == [Ack(PUBREC, 2, 0x10), Ack(PUBCOMP, 3, 0x92)]
    assert parse("500800028704 1f00 0161") == [Ack(PUBREC, 2, 0x87)]


def test_connack() -> None:
    assert parse("20020000", "3.1.1") == [Connack()]
    assert parse("20020105", "3.1.1") == [Connack(5, session_present=True)]
    assert parse("2003000000") == [Connack()]
    assert parse("20020001") == [Connack(1)]  # an old broker's answer to the new version
    everything = (
        "11 00000000 12 0003 616263 13 0005 1a 0001 78 1c 0001 79 1f 0002 6f6b 21 0014 22 000a 24 01 25 00"
        "26 0001 61 0001 62 26 0000 0000 27 00000400 28 00 29 01 2a 01"
    )
    properties = bytes.fromhex(everything)
    answer = Connack(
        receive_maximum=20, max_qos=1, retain=False, max_packet=1024, keepalive=5, client_id="abc"
    )
    body = f"0000 {len(properties):02x} {everything}"
    assert parse(f"20{3 + len(properties):02x} {body}") == [answer]
    long = bytes.fromhex("1f00fa") + bytes(250)
    assert parse(f"20 8102 0087 fd01 {long.hex()}") == [Connack(0x87)]


def test_disconnect() -> None:
    assert parse("e000") == [Disconnect(0)]
    assert parse("e0018e") == [Disconnect(0x8E)]
    assert parse("e0028b00") == [Disconnect(0x8B)]


@pytest.mark.parametrize(
    ("version", "data", "what"),
    [
        ("5", "00", "a packet of type 0, which has no place here"),
        ("5", "10", "a CONNECT, which has no place here"),
        ("5", "3003 0001 61", "a PUBLISH, which has no place here"),
        ("5", "40020001", "a PUBACK, which has no place here"),
        ("5", "62020001", "a PUBREL, which has no place here"),
        ("5", "90", "a SUBACK, which has no place here"),
        ("5", "f000", "an AUTH, which has no place here"),
        ("3.1.1", "e000", "a DISCONNECT, which has no place here"),
        ("5", "51020001", "a PUBREC with flags that do not exist"),
        ("5", "d100", "a PINGRESP with flags that do not exist"),
        ("5", "50ffffffff", "a PUBREC whose length is not valid"),
        ("5", "50ffffff7f", "a PUBREC of 268435460 bytes"),
        ("5", "20808004", "a CONNACK of 65540 bytes"),
        ("5", "5000", "a PUBREC that is not well formed"),
        ("5", "700100", "a PUBCOMP that is not well formed"),
        ("3.1.1", "5003000100", "a PUBREC that is not well formed"),
        ("5", "d00100", "a PINGRESP that is not well formed"),
        ("5", "2000", "a CONNACK that is not well formed"),
        ("5", "200100", "a CONNACK that is not well formed"),
        ("5", "20020000", "a CONNACK that is not well formed"),
        ("5", "20020200", "a CONNACK that is not well formed"),
        ("3.1.1", "2003000000", "a CONNACK that is not well formed"),
        ("5", "2003000001", "a CONNACK that is not well formed"),  # shorter than its properties
        ("5", "200400000000", "a CONNACK that is not well formed"),  # longer
        ("5", "20040000 0113", "a CONNACK that is not well formed"),  # half a property
        ("5", "20040000 0199", "a CONNACK that is not well formed"),  # one that does not exist
        ("5", "20060000 03210000", "a CONNACK that is not well formed"),  # Receive Maximum 0
        ("5", "20050000 022402", "a CONNACK that is not well formed"),  # Maximum QoS 2
        ("5", "20080000 0527 00000000", "a CONNACK that is not well formed"),  # Maximum Packet Size 0
        ("5", "20090000 06210014210014", "a CONNACK that is not well formed"),  # a property twice
        ("5", "20070000 04120001ff", "a CONNACK that is not well formed"),  # no UTF-8
        ("5", "20070000 0426000161", "a CONNACK that is not well formed"),  # half a user property
        ("5", "20040000 8080", "a CONNACK that is not well formed"),
    ],
)
def test_what_no_broker_may_send(version: _packets.Version, data: str, what: str) -> None:
    assert parse(data, version) == [Malformed(what)]
    assert parse("70020001" + data, version) == [Ack(PUBCOMP, 1, 0), Malformed(what)]


def test_nothing_comes_after_what_is_malformed() -> None:
    parser = Parser("5")
    assert parser.feed(bytes.fromhex("50020001 00 70020001")) == [
        Ack(PUBREC, 1, 0), Malformed("a packet of type 0, which has no place here"),
    ]  # fmt: skip
    assert parser.feed(bytes.fromhex("70020001")) == []


def test_reasons_in_words() -> None:
    assert _packets.reason_text(0x97) == "quota exceeded"
    assert _packets.reason_text(4) == "disconnection with will message"
    assert _packets.connack_text(4) == "user name or password is wrong"
    assert _packets.connack_text(0x87) == _packets.connack_text(5) == "not authorized"
    assert _packets.reason_text(0xEE) == "reason 0xee"


class TestInFlight:
    def test_an_id_is_not_used_again_while_it_is_in_flight(self) -> None:
        window = InFlight(3)
        ids = []
        for number in range(3):
            ids.append(window.next_id)
            window.add(number)
        assert (sorted(ids), window.room, len(window)) == ([1, 2, 3], 0, 3)
        assert window.acknowledge(Ack(PUBREC, 2, 0)) is None
        assert (window.room, window.numbers) == (0, (0, 1, 2))
        assert window.acknowledge(Ack(PUBCOMP, 2, 0)) == 1
        assert (window.room, window.next_id, window.numbers) == (1, 2, (0, 2))

    def test_the_id_that_is_free_for_longest_is_next(self) -> None:
        window = InFlight(3)
        window.add(0)
        window.acknowledge(Ack(PUBREC, 1, 0))
        window.acknowledge(Ack(PUBCOMP, 1, 0))
        assert window.next_id == 2

    def test_a_refusal_completes_a_message(self) -> None:
        window = InFlight(2)
        window.add(0)
        window.add(1)
        assert window.acknowledge(Ack(PUBREC, 1, 0x97)) == 0
        assert window.acknowledge(Ack(PUBREC, 2, 0x10)) is None  # nobody is subscribed: no refusal
        assert window.acknowledge(Ack(PUBCOMP, 2, 0x92)) == 1
        assert (len(window), window.room) == (0, 2)

    @pytest.mark.parametrize(
        "acks",
        [
            [Ack(PUBREC, 2, 0)],
            [Ack(PUBREC, 0, 0)],
            [Ack(PUBREC, 65535, 0x80)],
            [Ack(PUBCOMP, 1, 0)],
            [Ack(PUBREC, 1, 0), Ack(PUBREC, 1, 0)],
            [Ack(PUBREC, 1, 0), Ack(PUBREC, 1, 0x80)],
            [Ack(PUBREC, 1, 0), Ack(PUBCOMP, 1, 0), Ack(PUBCOMP, 1, 0)],
        ],
    )
    def test_what_waits_for_nothing(self, acks: list[Ack]) -> None:
        window = InFlight(3)
        window.add(0)
        for ack in acks[:-1]:
            window.acknowledge(ack)
        with pytest.raises(KeyError):
            window.acknowledge(acks[-1])
