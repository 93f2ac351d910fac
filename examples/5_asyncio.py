"""A listener like that of step 2, for asyncio. It needs the extra `aio`."""

import argparse
import asyncio
import contextlib

import e4
from e4.mqtt.aio import SecureClient

TOPIC = "greenhouse/temperature"

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--broker", default="127.0.0.1:1883", metavar="HOST:PORT")
parser.add_argument("--name", required=True, help="a client whose state step 2 has left in NAME.e4")
args = parser.parse_args()
host, _, port = args.broker.rpartition(":")


async def main():
    with e4.Client.load(e4.FileStore(f"{args.name}.e4")) as client:
        async with SecureClient(client, host, int(port)) as mqtt:
            await mqtt.subscribe(TOPIC, qos=1)
            print(f"{args.name} is connected", flush=True)
            async for message in mqtt.messages:
                print(f"{message.topic}: {message.payload}", flush=True)


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main())
