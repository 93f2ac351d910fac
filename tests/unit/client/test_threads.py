"""Many threads on one client: commands arrive on one while others protect and unprotect."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import e4
from e4 import commands, crypto
from tests._c2 import C2, Clock, pub_device, sym_device

TOPICS = [f"t/{i}" for i in range(8)]


@pytest.mark.parametrize("mode", ["symkey", "pubkey"])
def test_commands_while_others_work(mode: str, backend_name: str) -> None:
    """Each key is one that was sent; what one thread protects another opens during every rotation."""
    clock = Clock()
    private_key = crypto.random_ed25519_private_key()
    if mode == "symkey":
        device = sym_device(backend=backend_name, clock=clock)
    else:
        device = pub_device(backend=backend_name, clock=clock, c2=C2(), private_key=private_key)
        device.send(commands.set_pub_key(crypto.ed25519_public_key(private_key), "alice"))
    for topic in TOPICS:
        device.send(commands.set_topic_key(crypto.random_key(), topic))
    client, stop, rounds = device.client, threading.Event(), [0, 0, 0]

    def work(index: int) -> None:
        while not stop.is_set():
            topic = TOPICS[(index + rounds[index]) % len(TOPICS)]
            payload = f"{index} {rounds[index]}".encode()
            message = client.protect_message(payload, topic)
            assert client.unprotect(message, topic) == payload
            assert (
                client.unprotect_messages(client.protect_messages([payload] * 3, topic), topic)
                == [payload] * 3
            )
            with pytest.raises(e4.TopicKeyMissing):
                client.protect_message(payload, f"none/{rounds[index]}")
            rounds[index] += 1

    def wait_for_a_round() -> None:
        """A client keeps one previous key: a message is under way during one rotation at most."""
        before = list(rounds)
        while any(now == then for now, then in zip(rounds, before, strict=True)):
            assert not any(worker.done() for worker in workers)
            time.sleep(0)

    with ThreadPoolExecutor(3) as pool:
        workers = [pool.submit(work, i) for i in range(3)]
        try:
            for turn in range(60):
                device.send(commands.set_topic_key(crypto.random_key(), TOPICS[turn % len(TOPICS)]))
                if mode == "pubkey":
                    device.send(
                        commands.set_pub_key(crypto.ed25519_public_key(bytes([turn]) * 32), f"c{turn}")
                    )
                wait_for_a_round()
        finally:
            stop.set()
        for worker in workers:
            worker.result()


def test_commands_from_many_threads_are_all_kept(backend_name: str) -> None:
    device = sym_device(backend=backend_name)
    topic = device.client.receiving_topic
    messages = [device.command(commands.set_topic_key(crypto.random_key(), f"many/{i}")) for i in range(64)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda m: device.client.unprotect(m, topic), messages)) == [None] * 64
    loaded = e4.Client.load(device.store, clock=device.clock, backend=backend_name)
    for i in range(64):
        assert device.client.has_topic_key(f"many/{i}")
        assert loaded.has_topic_key(f"many/{i}")


def test_one_command_from_many_threads_is_applied_once(backend_name: str) -> None:
    device = sym_device(backend=backend_name)
    message = device.command(commands.reset_topics())

    def attempt(_: int) -> bool:
        try:
            device.client.unprotect(message, device.client.receiving_topic)
        except e4.ReplayedCommand:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(attempt, range(8))) == [False] * 7 + [True]
