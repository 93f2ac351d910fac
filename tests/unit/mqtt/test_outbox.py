"""The messages that wait for the broker: a model of what it may acknowledge, lose and forget."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import e4
from e4.client import Limits
from e4.mqtt._gate import Gate
from e4.mqtt._outbox import Entry, Outbox, Publication
from e4.mqtt._policy import ClearTopics
from tests._c2 import Device, sym_device

TOPIC = "plant/1"
WINDOW = 3


def make(limits: Limits | None = None, max_queued: int = 0) -> tuple[Outbox, Device]:
    device = sym_device()
    device.send(e4.commands.set_topic_key(bytes(31) + b"k", TOPIC))
    gate = Gate(device.client, ClearTopics(outgoing=["clear"]))
    return Outbox(gate, lambda: device.clock.now, limits or Limits(), max_queued), device


def entry(qos: int = 1, topic: str = TOPIC, payload: bytes = b"x") -> Entry:
    return Entry(Publication(topic, qos, False, lambda: None), payload)


def send(outbox: Outbox, mid: int, window: int = WINDOW) -> tuple[Entry, bytes]:
    taken = outbox.take(window)
    assert taken is not None
    message = outbox.seal(taken)
    outbox.sent(taken, mid)
    return taken, message


def test_a_window_of_messages_goes_out_in_order() -> None:
    outbox, _ = make()
    entries = [entry(qos=1 + n % 2, payload=b"%d" % n) for n in range(5)]
    for e in entries:
        outbox.add(e)
    assert [send(outbox, mid)[0] for mid in (1, 2, 3)] == entries[:3]
    assert outbox.take(WINDOW) is None
    assert outbox.acknowledged(2) is None
    assert entries[1].publication.is_acknowledged
    assert send(outbox, 4)[0] is entries[3]
    assert len(outbox) == 4


def test_qos_0_needs_no_room_in_the_window_but_waits_its_turn() -> None:
    outbox, _ = make()
    first, second = entry(), entry(qos=0)
    outbox.add(first)
    outbox.add(second)
    assert outbox.take(0) is None
    send(outbox, 1, window=1)
    assert send(outbox, 2, window=1)[0] is second
    assert second.publication.is_acknowledged
    assert len(outbox) == 1


def test_a_packet_identifier_that_qos_0_shares_acknowledges_once() -> None:
    outbox, _ = make()
    stuck = entry()
    outbox.add(stuck)
    send(outbox, 7)
    outbox.add(entry(qos=0))
    send(outbox, 7)
    outbox.acknowledged(7)  # the QoS 0 message was written
    assert not stuck.publication.done
    outbox.acknowledged(7)
    assert stuck.publication.is_acknowledged


def test_a_refusal_names_topic_and_reason() -> None:
    outbox, _ = make()
    refused = entry()
    outbox.add(refused)
    send(outbox, 1)
    error = outbox.acknowledged(1, "Not authorized")
    assert error is not None
    assert refused.publication.error is error
    assert str(error) == f"the broker refused the message on {TOPIC}: Not authorized"
    assert outbox.acknowledged(1, "Not authorized") is None


def test_a_lost_connection_takes_qos_0_with_it() -> None:
    outbox, _ = make()
    gone, kept = entry(qos=0), entry()
    outbox.add(gone)
    outbox.add(kept)
    outbox.lost()
    assert isinstance(gone.publication.error, e4.NotConnected)
    assert not kept.publication.done
    assert send(outbox, 1)[0] is kept


def test_without_a_session_all_is_sent_again_in_order_and_as_it_was() -> None:
    outbox, device = make()
    entries = [entry(payload=b"%d" % n) for n in range(4)]
    for e in entries:
        outbox.add(e)
    before = [send(outbox, mid)[1] for mid in (1, 2, 3)]
    device.clock.now += 5
    outbox.lost()
    assert sorted(outbox.resume(session_present=False)) == [1, 2, 3]
    again = [send(outbox, mid) for mid in (11, 12, 13)]
    assert [e for e, _ in again] == entries[:3]
    assert [message for _, message in again] == before  # a receiver could tell that it is the same


def test_with_the_session_the_library_goes_on() -> None:
    outbox, _ = make()
    outbox.add(entry(qos=2))
    send(outbox, 1)
    outbox.lost()
    assert outbox.resume(session_present=True) == []
    assert outbox.take(WINDOW) is None
    outbox.acknowledged(1)
    assert len(outbox) == 0


@pytest.mark.parametrize("age", [540, 541])
@pytest.mark.parametrize("session_present", [True, False])
@pytest.mark.parametrize("qos", [1, 2])
def test_after_a_long_outage_a_message_is_protected_anew(age: int, session_present: bool, qos: int) -> None:
    outbox, device = make()
    e = entry(qos=qos)
    outbox.add(e)
    _, before = send(outbox, 1)
    device.clock.now += age
    outbox.lost()
    forget = outbox.resume(session_present)
    stale = age > 540
    if session_present and not stale:
        assert forget == []
        return
    # The broker may hold a QoS 2 message under its identifier: that handshake must be finished.
    assert forget == ([] if session_present and qos == 2 else [1])
    _, after = send(outbox, 2)
    assert (after != before) == stale
    assert device.client.unprotect(after, TOPIC) == b"x"
    if not forget:
        assert outbox.take(2) is None
        outbox.acknowledged(1)
        assert not e.publication.done
    outbox.acknowledged(2)
    assert e.publication.is_acknowledged


def test_a_clock_set_back_makes_a_message_stale_too() -> None:
    outbox, device = make()
    outbox.add(entry())
    _, before = send(outbox, 1)
    device.clock.now -= 100
    assert outbox.resume(session_present=True) == [1]
    assert send(outbox, 2)[1] != before


def test_what_passes_in_clear_is_never_stale() -> None:
    outbox, device = make()
    outbox.add(entry(topic="clear"))
    assert send(outbox, 1)[1] == b"x"
    device.clock.now += 10_000
    assert outbox.resume(session_present=True) == []


def test_a_key_removed_meanwhile() -> None:
    outbox, device = make()
    e = entry()
    outbox.add(e)
    device.send(e4.commands.remove_topic(TOPIC))
    taken = outbox.take(WINDOW)
    assert taken is e
    with pytest.raises(e4.TopicKeyMissing) as raised:
        outbox.seal(e)
    outbox.finish(e, raised.value)
    assert len(outbox) == 0
    with pytest.raises(e4.TopicKeyMissing):
        e.publication.wait()


def test_no_more_than_allowed_may_wait() -> None:
    outbox, _ = make(max_queued=1)
    outbox.add(entry())
    outbox.add(entry(qos=0))
    with pytest.raises(e4.MqttError, match="1 messages wait"):
        outbox.add(entry())
    send(outbox, 1)
    outbox.acknowledged(1)
    send(outbox, 2)
    outbox.add(entry())


def test_giving_up() -> None:
    outbox, _ = make()
    entries = [entry(), entry(qos=2), entry(qos=0), entry()]
    for e in entries:
        outbox.add(e)
    send(outbox, 1)
    assert outbox.fail_all(e4.NotDelivered) == 3
    assert all(isinstance(e.publication.error, e4.NotDelivered) for e in entries)
    assert len(outbox) == 0


def test_a_publication() -> None:
    e = entry(qos=2, payload=b"hush-hush")
    publication = e.publication
    assert (publication.done, publication.is_acknowledged, publication.error) == (False, False, None)
    assert repr(publication) == f"<Publication {TOPIC!r} qos=2 pending>"
    with pytest.raises(e4.NotDelivered, match=r"within 0\.01 seconds"):
        publication.wait(0.01)
    outbox, _ = make()
    outbox.add(e)
    send(outbox, 1)
    outbox.acknowledged(1)
    publication.wait()
    assert "acknowledged" in repr(publication)


class OutboxMachine(RuleBasedStateMachine):
    """Against a broker that may answer or not, forget its sessions, and be away for long.

    Whatever happens, each message is waiting, in flight, or has its outcome; and nothing that is sent
    is older than receivers take.
    """

    def __init__(self) -> None:
        super().__init__()
        self.outbox, self.device = make()
        self.entries: list[Entry] = []
        self.library: dict[int, tuple[Entry, int]] = {}  # what paho would send again: with its timestamp
        self.mid = 0
        self.connected = True

    @rule(qos=st.integers(0, 2))
    def publish(self, qos: int) -> None:
        if qos or self.connected:
            self.entries.append(entry(qos, payload=b"%d" % len(self.entries)))
            self.outbox.add(self.entries[-1])

    @precondition(lambda self: self.connected)
    @rule()
    def pump(self) -> None:
        while (taken := self.outbox.take(WINDOW)) is not None:
            message = self.outbox.seal(taken)
            assert self.device.client.unprotect(message, TOPIC) == taken.payload
            age = self.device.clock.now - int.from_bytes(message[:8], "little")
            assert age <= 540
            self.mid += 1
            if taken.publication.qos:
                self.library[self.mid] = taken, self.device.clock.now - age
            self.outbox.sent(taken, self.mid)
        assert len(self.library) <= WINDOW

    @precondition(lambda self: self.connected and self.library)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        mid = data.draw(st.sampled_from(sorted(self.library)))
        del self.library[mid]
        self.outbox.acknowledged(mid)

    @rule(seconds=st.sampled_from([1, 100, 500, 700]))
    def wait(self, seconds: int) -> None:
        self.device.clock.now += seconds

    @precondition(lambda self: self.connected)
    @rule()
    def lose(self) -> None:
        self.connected = False
        self.outbox.lost()

    @precondition(lambda self: not self.connected)
    @rule(session_present=st.booleans())
    def connect(self, session_present: bool) -> None:
        self.connected = True
        for mid in self.outbox.resume(session_present):
            del self.library[mid]
        if not session_present:
            assert not self.library
        for kept, made in self.library.values():
            stale = self.device.clock.now - made > 540
            assert not stale or kept.publication.qos == 2
        self.pump()

    @invariant()
    def counted(self) -> None:
        pending = [e for e in self.entries if e.publication.qos and not e.publication.done]
        assert len(self.outbox) == len(pending)

    def teardown(self) -> None:
        if not self.connected:
            self.connect(session_present=False)
        while len(self.outbox):
            self.pump()
            for mid in list(self.library):
                del self.library[mid]
                self.outbox.acknowledged(mid)
        assert all(e.publication.is_acknowledged for e in self.entries if e.publication.qos)


OutboxMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestOutboxMachine = OutboxMachine.TestCase
