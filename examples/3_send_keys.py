"""A key server in a few lines: makes a topic's key and sends it to the clients that may have it."""

import argparse

from paho.mqtt.client import CallbackAPIVersion, Client

from e4 import commands, crypto

TOPIC = "greenhouse/temperature"

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--broker", default="127.0.0.1:1883", metavar="HOST:PORT")
parser.add_argument("clients", nargs="+", metavar="NAME=PASSWORD")
args = parser.parse_args()
host, _, port = args.broker.rpartition(":")

mqtt = Client(CallbackAPIVersion.VERSION2)
mqtt.connect(host, int(port))
mqtt.loop_start()

command = commands.set_topic_key(crypto.random_key(), TOPIC).encode()
for name_and_password in args.clients:
    name, _, password = name_and_password.partition("=")
    # Only this client can open the command: it is protected with the key they share.
    message = crypto.protect_sym_key(command, crypto.derive_sym_key(password))
    control_topic = crypto.topic_for_id(crypto.hash_id_alias(name))
    # The broker keeps it (retain) for a client that connects within the ten minutes that it is valid.
    mqtt.publish(control_topic, message, qos=2, retain=True).wait_for_publish(10)
    print(f"the key of {TOPIC} is sent to {name}", flush=True)
mqtt.disconnect()
