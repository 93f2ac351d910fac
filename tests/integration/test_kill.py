"""A client killed (SIGKILL) while it applies commands: its file always holds a state that loads.

More than that: it holds each command that was acknowledged, and at most the one that was under way.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import e4
from e4 import crypto

pytestmark = pytest.mark.skipif(os.name == "nt", reason="SIGKILL")

KILLS = 40

# Applies SetTopicKey for topics 0, 1, 2, … as fast as it can and prints each number after its command.
PROGRAM = """
import itertools, sys, e4
from e4 import commands, crypto
path, key, start = sys.argv[1], bytes.fromhex(sys.argv[2]), int(sys.argv[3])
clock = lambda: 1_588_888_888 + clock.number
clock.number = start
client = e4.Client.load(e4.FileStore(path), clock=clock)
for number in itertools.count(start):
    clock.number = number
    command = commands.set_topic_key(bytes([1 + number % 255]) * 32, f"t/{number}").encode()
    client.unprotect(crypto.protect_sym_key(command, key, timestamp=int(clock())), client.receiving_topic)
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


def test_killed_at_any_moment(tmp_path: Path) -> None:
    path, key = tmp_path / "alice.json", crypto.random_key()
    e4.Client.create(e4.SymIdAndKey(bytes(16), key), e4.FileStore(path)).close()
    held, seed = 0, random.randrange(1 << 32)
    moments = random.Random(seed)
    for kill in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(path), key.hex(), str(held)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        first = process.stdout.readline()  # it has loaded and works
        time.sleep(moments.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        acknowledged = [
            int(line) for line in (first + process.stdout.read()).splitlines(True) if line[-1] == "\n"
        ]
        assert process.wait() == -signal.SIGKILL
        with e4.Client.load(e4.FileStore(path), clock=lambda: 1_588_888_888) as client:
            count = 0
            while client.has_topic_key(f"t/{count}"):
                count += 1
            assert len(client._view.state.topic_keys) == count, f"seed {seed}, kill {kill}"
        assert acknowledged[-1] + 1 <= count <= acknowledged[-1] + 2, f"seed {seed}, kill {kill}"
        assert not (tmp_path / "alice.json.tmp").exists()
        held = count
    assert held >= KILLS
