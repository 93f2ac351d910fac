"""The same program with E4: messages are protected on their way, and opened on arrival."""

import argparse
import contextlib
import threading

import e4
from e4.mqtt import SecureClient

TOPIC = "greenhouse/temperature"

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--broker", default="127.0.0.1:1883", metavar="HOST:PORT")
parser.add_argument("--name", required=True)
parser.add_argument("--password", required=True, help="shared with the key server; at least 16 bytes")
parser.add_argument("--send", action="store_true", help="publish the lines you type")
args = parser.parse_args()
host, _, port = args.broker.rpartition(":")

store = e4.FileStore(f"{args.name}.e4")  # keeps this client's keys between runs
if store.exists():
    client = e4.Client.load(store)
else:
    client = e4.Client.create(e4.SymNameAndPassword(args.name, args.password), store)


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
