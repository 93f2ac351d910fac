from tests._broker import Brokers
from tests.e2e._c2_server import C2Servers


def test_serves(c2_server: C2Servers, mosquitto: Brokers) -> None:
    server = c2_server(mosquitto()).until_ready()
    with server.client() as client:
        print(client.get("/readyz").json())
        print(client.get("/metrics").text)
        print(client.get("/e4/crypto-mode").json())
    assert server.stop() == 0, server.complaints
    print(server.log, server.complaints)
    assert 0
