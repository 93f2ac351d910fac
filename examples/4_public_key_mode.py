"""The program with E4 in public-key mode: every message also proves which client sent it."""

import argparse
import contextlib
import threading
from pathlib import Path

import e4
from e4 import keys
from e4.mqtt import SecureClient

TOPIC = "greenhouse/temperature"

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--broker", default="127.0.0.1:1883", metavar="HOST:PORT")
parser.add_argument("--name", required=True)
parser.add_argument("--password", required=True, help="nobody else has it; at least 16 bytes")
parser.add_argument("--send", action="store_true", help="publish the lines you type")
args = parser.parse_args()
host, _, port = args.broker.rpartition(":")

store = e4.FileStore(f"{args.name}.e4")  # keeps this client's keys between runs
if store.exists():
    client = e4.Client.load(store)
else:
    config = e4.PubNameAndPassword(args.name, args.password, keys.read_key_file("c2.key.pub"))
    client = e4.Client.create(config, store)
    Path(f"{args.name}.pub").write_bytes(config.public_key())  # for the key server; no secret


def on_message(message):
    print(f"{message.topic}: {message.payload}", flush=True)


def on_refused(refused):
    print(f"{refused.topic}: refused, {refused.reason}", flush=True)


def on_command(command):
    print("a command was applied", flush=True)


with (
    client,
    SecureClient(
        client, host, int(port), on_message=on_message, on_refused=on_refused, on_command=on_command
    ) as mqtt,
    contextlib.suppress(EOFError, KeyboardInterrupt),  # Ctrl-D and Ctrl-C end the program
):
    if not args.send:
        mqtt.subscribe(TOPIC, qos=1)
    print(f"{args.name} is connected", flush=True)
    while args.send:
        try:
            mqtt.publish(TOPIC, input("> "), qos=1).wait(10)
        except e4.E4Error as error:
            print(f"not sent: {error}", flush=True)
    threading.Event().wait()
