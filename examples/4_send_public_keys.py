"""The key server of public-key mode: sends clients a topic's key, and each other's public keys."""

import argparse

from paho.mqtt.client import CallbackAPIVersion, Client

from e4 import commands, crypto, keys

TOPIC = "greenhouse/temperature"

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--broker", default="127.0.0.1:1883", metavar="HOST:PORT")
parser.add_argument("clients", nargs="+", metavar="NAME", help="a client whose public key is in NAME.pub")
args = parser.parse_args()
host, _, port = args.broker.rpartition(":")

mqtt = Client(CallbackAPIVersion.VERSION2)
mqtt.connect(host, int(port))
mqtt.loop_start()

c2_private_key = keys.read_key_file("c2.key")
public_keys = {name: keys.read_key_file(f"{name}.pub") for name in args.clients}
topic_key = crypto.random_key()
for name, public_key in public_keys.items():
    wanted = [commands.set_topic_key(topic_key, TOPIC)]
    wanted += [commands.set_pub_key(key, other) for other, key in public_keys.items() if other != name]
    # Both sides can compute this key: the server from its private and the client's public key.
    shared_key = crypto.c2_shared_key(c2_private_key, crypto.public_ed25519_key_to_curve25519(public_key))
    control_topic = crypto.topic_for_id(crypto.hash_id_alias(name))
    for command in wanted:
        message = crypto.protect_sym_key(command.encode(), shared_key)
        # Not retained, for a broker keeps one message per topic: the clients must be connected now.
        mqtt.publish(control_topic, message, qos=2).wait_for_publish(10)
    print(f"{name} is sent {len(wanted)} commands", flush=True)
mqtt.disconnect()
