"""`e4 c2 serve` as a process: it answers, stops in order, and leaves nothing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import grpc
import httpx
import pytest

from e4.c2.api.grpc import c2_pb2 as pb
from tests._broker import Brokers, until
from tests._certificates import Authority
from tests._databases import PostgreSQL
from tests.e2e._c2_server import (
    FREE,
    PASSPHRASE,
    PATIENCE,
    C2Server,
    C2Servers,
    children,
    run_c2,
    tls,
)

pytestmark = pytest.mark.mosquitto


def call(server: C2Server, method: str, request: object, answer: type, **credentials: bytes) -> object:
    """Call the deployed gRPC interface."""
    channel_credentials = grpc.ssl_channel_credentials(server.ca.read_bytes(), **credentials)
    with grpc.secure_channel(server.grpc, channel_credentials) as channel:
        ask = channel.unary_unary(
            f"/pb.C2/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        metadata = [("authorization", f"Bearer {server.token}")] if server.auth else []
        return ask(request, metadata=metadata, timeout=PATIENCE)


def test_from_init_to_sigterm(tmp_path: Path, c2_server: C2Servers, mosquitto: Brokers) -> None:
    data = tmp_path / "c2"
    made = run_c2("init", "--data", data, "--json", E4_C2_PASSPHRASE=PASSPHRASE)
    assert made.returncode == 0, made.stderr
    told = json.loads(made.stdout)
    assert told["mode"] == "symkey"
    server = c2_server(mosquitto(), data=data, token=told["token"]).until_ready()
    with server.client() as client:
        assert client.get("/healthz").json() == {"status": "alive"}
        assert client.get("/e4/crypto-mode").json() == {"CryptoMode": "CRYPTOMODE_SYMKEY"}
        assert client.post("/e4/topic/room").status_code == 200
        key = "aLNrm1TpE0QsVIa3DFm8sDvvD1UeQ7PJwEpTUWRHR2I="
        assert client.post("/e4/client/alice", json={"key": key}).status_code == 200
        assert client.put("/e4/client/alice/topic/room").status_code == 200
        until(lambda: "e4_c2_commands_sent_total 1.0" in client.get("/metrics").text, what="it is sent")
        headers = client.get("/healthz").headers
        assert "server" not in headers
        assert client.get("/e4/crypto-mode", headers={"Authorization": "Bearer e4_wrong"}).status_code == 401
        assert client.get("/metrics", headers={"Authorization": ""}).status_code == 401
    mode = call(server, "GetCryptoMode", pb.GetCryptoModeRequest(), pb.GetCryptoModeResponse)
    assert mode.CryptoMode == pb.CRYPTOMODE_SYMKEY
    count = call(server, "CountClients", pb.CountClientsRequest(), pb.CountClientsResponse)
    assert count.count == 1
    assert server.stop() == 0
    assert server.complaints == []
    assert [line["event"] for line in server.log[-2:]] == ["stopping", "stopped"]
    assert all({"time", "level", "event"} <= line.keys() for line in server.log)
    assert not [line for line in server.log if line["level"] in ("warning", "error")]
    text = json.dumps(server.log)
    for secret in (server.token, "e4_wrong", PASSPHRASE, key):
        assert secret not in text


def test_every_request_is_one_line_of_the_log(c2_server: C2Servers, mosquitto: Brokers) -> None:
    server = c2_server(mosquitto())
    with server.client() as client:
        client.post("/e4/topic/a-topic", headers={"X-Request-Id": "mine-1"})
        client.delete("/e4/client/nobody", headers={"X-Request-Id": "mine-2"})
        client.get("/e4/clients/count", headers={"X-Request-Id": "mine-3", "Authorization": "Bearer e4_no"})
    call(server, "CountTopics", pb.CountTopicsRequest(), pb.CountTopicsResponse)
    server.stop()
    lines = server.logged("request")
    by_id = {line["request_id"]: line for line in lines}
    assert len(lines) == len(by_id) == 4
    first = by_id["mine-1"]
    assert first["api"] == "http"
    assert first["outcome"] == "ok"
    assert first["actor"] == "admin"
    assert first["duration_ms"] >= 0
    assert by_id["mine-2"]["outcome"] == "NotFound"
    assert by_id["mine-3"]["outcome"] == "Unauthenticated"
    assert [line["operation"] for line in lines if line["api"] == "grpc"] == ["CountTopics"]
    assert "a-topic" not in json.dumps(lines)


def test_a_wrong_token_is_in_the_audit(c2_server: C2Servers, mosquitto: Brokers) -> None:
    server = c2_server(mosquitto())
    wrong = "e4_" + "x" * 43
    with server.client(wrong) as client:
        answer = client.get("/e4/clients/count")
        assert answer.status_code == 401
    with server.client() as client:
        row = client.get("/api/v1/audit?limit=1").json()["items"][0]
    assert (row["operation"], row["outcome"]) == ("authenticate", "Unauthenticated")
    assert row["request_id"] == answer.headers["x-request-id"]
    assert wrong not in str(row)


def test_without_authentication_anybody_on_this_machine_may_call(
    c2_server: C2Servers, mosquitto: Brokers
) -> None:
    server = c2_server(mosquitto(), auth=False, mode="pubkey")
    with server.client() as client:
        assert client.get("/e4/crypto-mode").json() == {"CryptoMode": "CRYPTOMODE_PUBKEY"}
    mode = call(server, "GetCryptoMode", pb.GetCryptoModeRequest(), pb.GetCryptoModeResponse)
    assert mode.CryptoMode == pb.CRYPTOMODE_PUBKEY


def test_one_server_at_a_time_on_a_folder_and_none_after_a_kill(
    c2_server: C2Servers, mosquitto: Brokers
) -> None:
    server = c2_server(mosquitto())
    second = run_c2("serve", "--data", server.data, *FREE, E4_C2_PASSPHRASE=PASSPHRASE)
    assert second.returncode == 1
    assert "is in use by another server: stop that one first" in second.stderr
    assert run_c2("migrate", "--data", server.data).returncode == 1
    first = server.pid
    server.restart()  # SIGKILL; the same ports are free again
    assert server.pid != first
    with server.client() as client:
        assert client.get("/healthz").status_code == 200


def test_what_is_under_way_is_finished_before_it_stops(c2_server: C2Servers, mosquitto: Brokers) -> None:
    server = c2_server(mosquitto())
    host, port = "127.0.0.1", int(server.url.rpartition(":")[2])
    body = b'{"name": "late"}'
    head = (
        f"POST /api/v1/topics HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {server.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with (
        socket.create_connection((host, port)) as plain,
        tls(server.ca).wrap_socket(plain, server_hostname=host) as sock,
    ):
        sock.sendall(head.encode() + body[:5])
        time.sleep(0.2)  # no condition to wait for: the server says nothing to half a request
        server.signal(signal.SIGTERM)
        until(lambda: server.logged("stopping"), what="it is stopping")
        until(lambda: not answers(port), what="it takes no more connections")
        sock.sendall(body[5:])
        answer = sock.recv(4096).decode()
    assert re.match(r"HTTP/1.1 20[01]", answer), answer
    assert server.wait() == 0
    server.start()
    with server.client() as client:
        assert client.get("/e4/topics/count").json() == {"count": "1"}


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


def test_followers_of_events_do_not_hold_it_up(c2_server: C2Servers, mosquitto: Brokers) -> None:
    server = c2_server(mosquitto(), settings={"server.drain_seconds": 60})
    credentials = grpc.ssl_channel_credentials(server.ca.read_bytes())
    with server.client() as client, grpc.secure_channel(server.grpc, credentials) as channel:
        follow = channel.unary_stream("/pb.C2/SubscribeToEventStream")
        stream = follow(b"", metadata=[("authorization", f"Bearer {server.token}")])
        stream.initial_metadata()
        with client.stream("GET", "/api/v1/events", headers={"Accept": "text/event-stream"}) as events:
            assert events.status_code == 200
            before = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - before < 30


def test_a_second_signal_ends_it_at_once(c2_server: C2Servers, mosquitto: Brokers) -> None:
    broker = mosquitto()
    server = c2_server(broker, settings={"server.drain_seconds": 300}).until_ready()
    with server.client() as client:
        broker.pause()  # what is sent now will not be acknowledged
        client.post("/e4/client/alice", json={"key": "aLNrm1TpE0QsVIa3DFm8sDvvD1UeQ7PJwEpTUWRHR2I="})
        client.post("/e4/topic/room")
        client.put("/e4/client/alice/topic/room")
        until(lambda: client.get("/readyz").json()["outbox"]["in_flight"] == 1, what="it is in flight")
    server.signal(signal.SIGTERM)
    until(lambda: server.logged("stopping"), what="it is stopping")
    server.signal(signal.SIGINT)
    assert server.wait() == 128 + signal.SIGINT
    broker.restart()
    server.start().until_ready()
    with server.client() as client:
        until(lambda: client.get("/readyz").json()["outbox"]["pending"] == 0, what="it is sent after all")


def test_readiness_follows_the_broker(c2_server: C2Servers, mosquitto: Brokers) -> None:
    broker = mosquitto(start=False)
    quick = {"health.max_broker_away_seconds": 0.5, "delivery.retry_max_seconds": 1}
    server = c2_server(broker, settings=quick)
    with server.client() as client:
        until(lambda: client.get("/readyz").status_code == 503, what="it is not ready")
        report = client.get("/readyz").json()
        assert report["status"] == "not ready"
        assert "the broker has been away" in report["reasons"][0]
        assert not report["broker"]["connected"]
        assert report["broker"]["error"]
        assert client.post("/e4/topic/room").status_code == 200  # works all the same
        broker.start()
        until(lambda: client.get("/readyz").status_code == 200, PATIENCE, "it is ready")
        broker.kill()
        until(lambda: client.get("/readyz").json()["status"] != "ready", what="it is noticed")


@pytest.mark.postgresql
def test_readiness_follows_the_database_and_servers_share_it(
    c2_server: C2Servers, mosquitto: Brokers, tmp_path: Path
) -> None:
    database = PostgreSQL()
    try:
        broker = mosquitto()
        one = c2_server(broker, database=database.empty())
        copy = tmp_path / "copy"
        subprocess.run(["cp", "-r", one.data, copy], check=True)
        two = c2_server(broker, data=copy, token=one.token)
        with one.client() as first, two.client() as second:
            assert first.post("/e4/topic/room").status_code == 200
            assert second.get("/e4/topics/count").json() == {"count": "1"}
            database.stop()
            until(lambda: first.get("/readyz").status_code == 503, PATIENCE, "it is not ready")
            assert "the database does not answer" in first.get("/readyz").json()["reasons"]
            assert first.get("/healthz").status_code == 200
            database.start()
            until(lambda: first.get("/readyz").status_code == 200, PATIENCE, "it is ready again")
        assert (one.stop(), two.stop()) == (0, 0)
    finally:
        database.close()


def test_client_certificates_are_asked_for_on_both(
    c2_server: C2Servers, mosquitto: Brokers, tmp_path: Path
) -> None:
    authority = Authority(tmp_path, "people")
    certificate, key = authority.issue("ann")
    server = c2_server(mosquitto(), settings={"tls.client_ca": str(authority.file)})
    ask = pb.GetCryptoModeRequest()
    with pytest.raises(grpc.RpcError):
        call(server, "GetCryptoMode", ask, pb.GetCryptoModeResponse)
    files = {"private_key": key.read_bytes(), "certificate_chain": certificate.read_bytes()}
    assert call(server, "GetCryptoMode", ask, pb.GetCryptoModeResponse, **files).CryptoMode
    with server.client() as client, pytest.raises(httpx.TransportError):
        client.get("/healthz")
    context = tls(server.ca)
    context.load_cert_chain(certificate, key)
    with httpx.Client(base_url=server.url, verify=context) as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/e4/crypto-mode").status_code == 401  # and a token all the same
    assert server.stop() == 0
    assert server.complaints == []


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_refused(c2_server: C2Servers, mosquitto: Brokers) -> None:
    server = c2_server(mosquitto())
    context = tls(server.ca)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(httpx.TransportError), httpx.Client(base_url=server.url, verify=context) as client:
        client.get("/healthz")


def test_the_passphrase_changes_while_the_server_runs(
    c2_server: C2Servers, mosquitto: Brokers, tmp_path: Path
) -> None:
    server = c2_server(mosquitto())
    new = tmp_path / "new"
    new.write_text("quite another passphrase\n")
    words = ("passphrase", "--data", server.data, "--new-passphrase-file", new)
    assert run_c2(*words, E4_C2_PASSPHRASE="not the passphrase").returncode == 1
    changed = run_c2(*words, E4_C2_PASSPHRASE=PASSPHRASE)
    assert (changed.returncode, changed.stderr) == (0, "")
    with server.client() as client:
        assert client.post("/e4/topic/room").status_code == 200
    server.kill()
    server.launch("--passphrase-file", str(new))
    until(lambda: server.logged("listening"), PATIENCE, "it starts with the new one")
    server.kill()
    server.launch()
    assert server.wait() == 1
    assert "the passphrase does not open this database" in server.complaints[0]


def test_a_killed_server_leaves_no_process(c2_server: C2Servers, mosquitto: Brokers) -> None:
    server = c2_server(mosquitto())
    assert children(server.pid) == []
    assert os.getpgid(server.pid) == os.getpgid(0)
