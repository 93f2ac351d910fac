"""A plain MQTT program: prints what arrives on a topic, or publishes the lines you type."""

import argparse
import contextlib
import threading

from paho.mqtt.client import CallbackAPIVersion, Client

TOPIC = "greenhouse/temperature"

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--broker", default="127.0.0.1:1883", metavar="HOST:PORT")
parser.add_argument("--send", action="store_true", help="publish the lines you type")
args = parser.parse_args()
host, _, port = args.broker.rpartition(":")


def on_message(mqtt, userdata, message):
    print(f"{message.topic}: {message.payload}", flush=True)


mqtt = Client(CallbackAPIVersion.VERSION2)
mqtt.on_message = on_message
mqtt.on_subscribe = lambda *_: print(f"listening on {TOPIC}", flush=True)
mqtt.connect(host, int(port))
mqtt.loop_start()
with contextlib.suppress(EOFError, KeyboardInterrupt):  # Ctrl-D and Ctrl-C end the program
    if args.send:
        while True:
            mqtt.publish(TOPIC, input("> "), qos=1).wait_for_publish(10)
    mqtt.subscribe(TOPIC, qos=1)
    threading.Event().wait()
mqtt.disconnect()
