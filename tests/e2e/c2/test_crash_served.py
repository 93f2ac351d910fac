"""`e4 c2 serve` itself, killed at random while its HTTP API is used; by the real clock."""

from __future__ import annotations

import base64
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from e4 import crypto
from tests._broker import Brokers, until
from tests._fleet import APPLIED, BROKER, Fleet
from tests.e2e._c2_server import PATIENCE, C2Server, C2Servers

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow, pytest.mark.timeout(300)]

KILLS = 6
NAMES = [f"c{number}" for number in range(9)]
TOPICS = ["plant/boiler", "plant/pump"]
FAST = {
    "delivery.poll_seconds": 0.1,
    "delivery.retry_min_seconds": 0.1,
    "delivery.retry_max_seconds": 0.5,
    "broker.window": 100,
}
Held = dict[str, set[str]]  # topics by client


class Operator:
    """Does operations about clients of its own, until the server is gone.

    Args:
        held: what each client holds, as acknowledged.
        unsure: the membership that was not answered, and what it would be.
    """

    def __init__(self, http: httpx.Client, held: Held) -> None:
        self._http = http
        self.held = held
        self.unsure: tuple[str, str, bool] | None = None
        self.done = 0
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def _work(self) -> None:
        try:
            while True:
                self._something()
                self.done += 1
        except httpx.TransportError:
            pass

    def _something(self) -> None:
        client, topic = random.choice(sorted(self.held)), random.choice(TOPICS)
        match random.randrange(4):
            case 0:
                self._http.post(f"/e4/topic/{topic}").raise_for_status()
            case 1:
                self._http.patch(f"/e4/client/{client}").raise_for_status()
            case _:
                join = topic not in self.held[client]
                self.unsure = client, topic, join
                path = f"/e4/client/{client}/topic/{topic}"
                (self._http.put if join else self._http.delete)(path).raise_for_status()
                self.unsure = None
                (self.held[client].add if join else self.held[client].discard)(topic)

    def settle(self, http: httpx.Client) -> None:
        """After the kill: everything acknowledged is there, and nothing else but what was not answered."""
        for client in self.held:
            found = set(http.get(f"/e4/client/{client}/topics?offset=0&count=100").json()["topics"])
            if self.unsure is not None and self.unsure[0] == client:
                _, topic, join = self.unsure
                other = self.held[client] | {topic} if join else self.held[client] - {topic}
                assert found in (self.held[client], other)
                self.held[client] = found
            assert found == self.held[client]


def in_step(http: httpx.Client, fleet: Fleet, held: Held) -> bool:
    """Whether devices open what C2 protects, and hold nothing else."""
    messages = {}
    for topic in TOPICS:
        body = {"topic": topic, "binaryData": base64.b64encode(b"hello").decode()}
        answer = http.post("/e4/protect-message", json=body).raise_for_status().json()
        messages[topic] = base64.b64decode(answer["protectedBinaryData"])
    for name, topics in held.items():
        device = fleet.devices[name]
        if device.topic_keys().keys() != {crypto.hash_topic(topic).hex() for topic in topics}:
            return False
        for topic in topics:
            # Under the current key: a message of the key before would be opened too.
            key = device.topic_keys()[crypto.hash_topic(topic).hex()]
            try:
                crypto.unprotect_sym_key(messages[topic], key)
            except Exception:
                return False
    return True


def outbox(server: C2Server) -> Callable[[], Any]:
    http = server.client()
    return lambda: "e4_c2_commands_pending 0.0" in http.get("/metrics").text


def test_killed_while_it_serves(c2_server: C2Servers, mosquitto: Brokers) -> None:
    fleet = Fleet(broker := mosquitto(*BROKER))
    server = c2_server(broker, auth=False, settings=FAST)
    http = server.client()
    for topic in TOPICS:
        http.post(f"/e4/topic/{topic}").raise_for_status()
    held: Held = {name: set() for name in NAMES}
    for name in NAMES:
        key = crypto.random_key()
        fleet.add_symmetric(name, key)
        body = {"key": base64.b64encode(key).decode()}
        http.post(f"/e4/client/{name}", json=body).raise_for_status()
    until(outbox(server), PATIENCE, "the outbox is empty")
    done = 0
    for _ in range(KILLS):
        operators = [Operator(server.client(), {n: held[n] for n in NAMES[place::3]}) for place in range(3)]
        time.sleep(random.uniform(0.05, 0.5))
        server.kill()
        for operator in operators:
            operator.thread.join(PATIENCE)
        server.start()
        http = server.client()
        for operator in operators:
            operator.settle(http)
            held |= operator.held
            done += operator.done
        until(outbox(server), PATIENCE, "the outbox is empty")
        until(lambda: in_step(http, fleet, held), PATIENCE, "devices and C2 are in step")  # noqa: B023
    assert done
    # Each device's own key is one that C2 has: it still opens what C2 sends.
    before = len(fleet.arrivals)
    for name in NAMES:
        http.put(f"/e4/client/{name}").raise_for_status()
    until(lambda: len(fleet.arrivals) == before + len(NAMES), PATIENCE, "the last commands arrive")
    assert [arrival.outcome for arrival in fleet.arrivals[before:]] == [APPLIED] * len(NAMES)
    for name in NAMES:
        seconds = [arrival.second for arrival in fleet.to(name)]
        assert seconds == sorted(seconds)
    late = [arrival.at - arrival.second for arrival in fleet.arrivals]
    assert min(late) >= 0
    assert max(late) < 10  # seconds: of a busy machine
    fleet.close()
