"""Imports and exports as streams."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from e4.c2.model import ImportProgress
from tests._keyserver import Keyserver, Serving, serving
from tests.unit.c2.api.v1._ask import Ask, text

CSV = {"content-type": "text/csv; charset=utf-8"}
JSON_LINES = {"content-type": "application/x-ndjson"}


@pytest.fixture
def served(server: Keyserver) -> Iterator[Serving]:
    with serving(server) as running:
        yield running


def rows(server: Keyserver, count: int, prefix: str = "c") -> list[bytes]:
    return [f"{prefix}{number},{text(server.key())}\n".encode() for number in range(count)]


def reports(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_clients(ask: Ask, server: Keyserver) -> None:
    data = b"name,key\n" + b"".join(rows(server, 2)) + b"bad,key\n"
    assert reports(await ask("POST", "import/clients", content=data, headers=CSV)) == [
        {
            "done": 3,
            "created": 2,
            "replaced": 0,
            "unchanged": 0,
            "refused": 1,
            "errors": [{"line": 4, "error": "key must be 32 bytes in base64 or hex"}],
        }
    ]
    again = reports(await ask("POST", "import/clients", content=data, headers=CSV))[-1]
    assert (again["created"], again["unchanged"], again["refused"]) == (0, 2, 1)
    line = json.dumps({"name": "c0", "key": text(server.key())})
    third = reports(await ask("POST", "import/clients", content=line, headers=JSON_LINES))[-1]
    assert (third["done"], third["replaced"]) == (1, 1)


async def test_memberships(ask: Ask, server: Keyserver) -> None:
    server.add_clients("a", "b")
    server.service.topics.new_topic(server.call, "t")
    data = b"client,topic\na,t\nb,t\na,t\nnobody,t\na,none\n"
    report = reports(await ask("POST", "import/memberships", content=data, headers=CSV))[-1]
    assert (report["done"], report["created"], report["unchanged"], report["refused"]) == (5, 2, 1, 2)
    assert report["errors"] == [
        {"line": 5, "error": "client 'nobody' is not known"},
        {"line": 6, "error": "topic 'none' is not known"},
    ]
    assert (await ask.get("topics/t"))["clients"] == 2


async def test_nothing(ask: Ask) -> None:
    for content, headers in ((b"name,key\n", CSV), (b"", JSON_LINES)):
        report = reports(await ask("POST", "import/clients", content=content, headers=headers))
        assert [each["done"] for each in report] == [0]


async def test_what_cannot_be_read(ask: Ask) -> None:
    said = await ask.refused("InvalidRequest", 400, "POST", "import/clients", content=b"a,b\n", headers=CSV)
    assert "must name the columns" in said
    for headers in ({}, {"content-type": "application/json"}):
        await ask.refused("InvalidRequest", 415, "POST", "import/clients", content=b"{}", headers=headers)


async def test_a_problem_in_the_middle_is_the_last_line(ask: Ask, server: Keyserver) -> None:
    data = b"name,key\n" + b"".join(rows(server, 1000)) + b"x" * (1 << 21)
    first, problem = reports(await ask("POST", "import/clients", content=data, headers=CSV))
    assert first["created"] == 1000
    assert (problem["code"], problem["status"]) == ("InvalidRequest", 400)
    assert (await ask.get("info"))["clients"] == 1000


async def test_what_was_not_foreseen_in_the_middle(
    ask: Ask, server: Keyserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> Iterator[ImportProgress]:
        yield ImportProgress(1, created=1)
        raise RuntimeError("inner workings")

    monkeypatch.setattr(server.service.clients, "import_clients", failing)
    transport = httpx.ASGITransport(server.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://c2.test") as http:
        answer = await http.post("/api/v1/import/clients", content=b"", headers=CSV)
    first, problem = reports(answer)
    assert first["created"] == 1
    assert (problem["code"], problem["detail"]) == ("Internal", "internal error")


def test_reports_come_while_the_body_is_sent(server: Keyserver, served: Serving) -> None:
    """Over a raw connection, because a client library sends everything before it reads."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as connection:
        connection.sendall(
            b"POST /api/v1/import/clients HTTP/1.1\r\nHost: c2\r\nContent-Type: text/csv\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        reader = connection.makefile("rb")

        def send(data: bytes) -> None:
            connection.sendall(b"%x\r\n%b\r\n" % (len(data), data))

        def read() -> dict[str, Any]:
            size = int(reader.readline(), 16)
            line = reader.read(size)
            assert reader.read(2) == b"\r\n"
            return dict(json.loads(line)) if line else {}

        send(b"name,key\n" + b"".join(rows(server, 1000)))
        assert b"200" in reader.readline()
        while reader.readline() != b"\r\n":
            pass
        assert read()["done"] == 1000
        send(b"".join(rows(server, 1000, "d")))
        assert read()["done"] == 2000
        send(b"last," + text(server.key()).encode())
        connection.sendall(b"0\r\n\r\n")
        assert read()["done"] == 2001
        assert read() == {}


def test_who_does_not_read_is_not_waited_for(server: Keyserver, served: Serving) -> None:
    """More refusals than any buffer on the way holds; the body is taken all the same, and all is counted."""
    line = b"client-with-a-name-of-some-length,not-a-key\n"
    count = 60_000
    body = b"name,key\n" + line * count
    head = (
        f"POST /api/v1/import/clients HTTP/1.1\r\nHost: c2\r\nContent-Type: text/csv\r\n"
        f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        sender = threading.Thread(target=connection.sendall, args=(head + body,))
        sender.start()
        sender.join(60)
        assert not sender.is_alive()
        answer = connection.makefile("rb").read()
    lines = [json.loads(line) for line in answer.split(b"\r\n") if line.startswith(b"{")]
    assert (lines[-1]["done"], lines[-1]["refused"]) == (count, count)
    assert sum(len(report["errors"]) for report in lines) <= count


def test_who_goes_away_leaves_what_was_done(server: Keyserver, served: Serving) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as connection:
        body = b"name,key\n" + b"".join(rows(server, 1000))
        connection.sendall(
            b"POST /api/v1/import/clients HTTP/1.1\r\nHost: c2\r\nContent-Type: text/csv\r\n"
            b"Content-Length: 1000000\r\n\r\n" + body
        )
        assert b"200" in connection.recv(1 << 12)
    with httpx.Client(base_url=served.url) as http:
        assert http.get("/api/v1/info").json()["clients"] == 1000
        # Nobody's place is kept: as many imports as may be carried out at once, and one more.
        for number in range(5):
            answer = http.post("/api/v1/import/clients", content=b"name,key\n", headers=CSV)
            assert answer.status_code == 200, number


async def test_export(ask: Ask, server: Keyserver) -> None:
    server.add_clients("a", "b")
    for topic in ("t/1", "t/2"):
        server.service.topics.new_topic(server.call, topic)
        server.service.members.new_topic_client(server.call, "a", topic)
    server.service.links.link_client(server.call, "b", "a")
    answer = await ask("GET", "export")
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["topic"]["name"] for line in lines[:2]] == ["t/1", "t/2"]
    first, second = (line["client"] for line in lines[2:])
    assert (first["name"], first["topics"], first["links"]) == ("a", ["t/1", "t/2"], ["b"])
    assert (second["name"], second["topics"], second["links"]) == ("b", [], [])
    assert "key" not in answer.text
