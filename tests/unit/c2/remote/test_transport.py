"""Requests of the remote client: retries, errors out of answers, certificates, and what it never shows."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from e4 import errors
from e4.c2.model import ServerInfo
from e4.c2.remote import Remote, _transport
from e4.errors import C2Error, E4Error, InvalidInput, Unavailable
from tests._certificates import Authority
from tests._keyserver import Keyserver, serving
from tests.unit.c2.remote._scripted import scripted

INFO = {"mode": "symkey", "version": "1", "clients": 2, "topics": 3}
TOKEN = "e4_a-token-that-nobody-should-see"


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, were it not for this."""
    waited: list[float] = []
    monkeypatch.setattr(_transport.time, "sleep", waited.append)
    return waited


def problem(code: str, status: int, detail: str = "what is wrong") -> tuple[int, Any]:
    return status, {"code": code, "detail": detail, "status": status, "request_id": "r1"}


def test_an_answer() -> None:
    with scripted((200, INFO)) as script, Remote(script.url, TOKEN) as remote:
        assert remote.info() == ServerInfo("symkey", "1", 2, 3)
    (asked,) = script.asked
    assert (asked.method, asked.path, asked.body) == ("GET", "/api/v1/info", b"")
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"


def test_every_error_comes_back_as_its_class() -> None:
    kinds = [getattr(errors, name) for name in errors.__all__ if issubclass(getattr(errors, name), E4Error)]
    for kind in kinds:
        with scripted(problem(kind.__name__, 400)) as script, Remote(script.url) as remote:
            with pytest.raises(kind, match=r"^what is wrong$") as caught:
                remote.info()
            assert type(caught.value) is kind


def test_an_error_that_is_not_known_here() -> None:
    for code in ("Internal", "SomethingNew", "__all__", "annotations"):
        with scripted(problem(code, 500)) as script, Remote(script.url) as remote:
            with pytest.raises(C2Error, match=r"^what is wrong \(request r1\)$") as caught:
                remote.info()
            assert type(caught.value) is C2Error


@pytest.mark.parametrize(
    "answer", [(200, b"<html>"), (404, b"<html>"), (500, []), (200, {"mode": 1}), (200, []), (302, b"")]
)
def test_something_else_answers(answer: tuple[int, Any]) -> None:
    with (
        scripted(answer) as script,
        Remote(script.url) as remote,
        pytest.raises(Unavailable, match=r"not a key server|not understood"),
    ):
        remote.info()


def test_a_change_is_sent_again_with_the_same_key(pauses: list[float]) -> None:
    topic = {"name": "t", "hash": "00" * 16, "version": 1}
    topic |= {"created_at": "2026-01-01T00:00:00Z", "rotated_at": "2026-01-01T00:00:00Z"}
    answers = [None, problem("Unavailable", 503), None, (201, {"topic": topic, "job": None})]
    with scripted(*answers) as script, Remote(script.url) as remote:
        assert remote.new_topic("t")[0].version == 1
    assert len(script.asked) == 4
    assert len({asked.headers["idempotency-key"] for asked in script.asked}) == 1
    assert len({asked.body for asked in script.asked}) == 1
    assert len(pauses) == 3
    assert 0 < pauses[0] < pauses[2] < 5


def test_two_changes_have_two_keys() -> None:
    with scripted((204, b""), (204, b"")) as script, Remote(script.url) as remote:
        remote.reset_client("a")
        remote.reset_client("a")
    assert len({asked.headers["idempotency-key"] for asked in script.asked}) == 2


def test_not_again_for_ever() -> None:
    with scripted(None, None, None) as script, Remote(script.url, retries=2) as remote:
        with pytest.raises(Unavailable, match=r"^the connection to .* was lost$"):
            remote.info()
        assert len(script.asked) == 3
    with (
        scripted(*[problem("Unavailable", 503, "stopping")] * 2) as script,
        Remote(script.url, retries=1) as remote,
    ):
        with pytest.raises(Unavailable, match=r"^stopping$"):
            remote.info()
        assert len(script.asked) == 2


def test_refusals_are_not_repeated() -> None:
    for status in (400, 401, 403, 404, 409, 429, 500):
        with scripted(problem("NotFound", status)) as script, Remote(script.url) as remote:
            with pytest.raises(errors.NotFound):
                remote.remove_client("a")
            assert len(script.asked) == 1


def test_a_token_is_not_made_twice() -> None:
    """Were the answer lost, the secret would be lost with it: better to be told."""
    with scripted(None) as script, Remote(script.url) as remote:
        with pytest.raises(Unavailable):
            remote.new_token("name", "viewer")  # type: ignore[arg-type]
        assert "idempotency-key" not in script.asked[0].headers


def test_a_message_leaves_no_answer_behind() -> None:
    with scripted((200, {"protected": "AAAA"})) as script, Remote(script.url) as remote:
        assert remote.protect_message("t", b"data") == bytes(3)
        assert "idempotency-key" not in script.asked[0].headers


def test_names_are_one_segment_of_a_path() -> None:
    names = {
        "a/b": "a%2Fb",
        "..": "%2E%2E",
        ".": "%2E",
        "%": "%25",
        "?#": "%3F%23",
        "ü": "%C3%BC",
        "a.b": "a.b",
    }
    with scripted(*[(204, b"")] * len(names)) as script, Remote(script.url) as remote:
        for name in names:
            remote.remove_client(name)
    assert [asked.path for asked in script.asked] == [f"/api/v1/clients/{path}" for path in names.values()]
    with Remote() as remote, pytest.raises(InvalidInput, match="too long for an address"):
        remote.get_topic("a" * 65535)


def test_ids_are_names_in_hex() -> None:
    with scripted((204, b"")) as script, Remote(script.url) as remote:
        remote.remove_client(bytes(range(16)))
        with pytest.raises(errors.InvalidId):
            remote.remove_client(bytes(15))
    assert script.asked[0].path == "/api/v1/clients/000102030405060708090a0b0c0d0e0f"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "c2.example",
        "ftp://c2.example",
        "https://",
        "https://user:secret@c2.example",
        "https://c2.example?a=b",
        "https://c2.example#a",
        "http://c2.example:8888",
        "http://192.0.2.1:8888",
        "https://c2.example:port",
    ],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Remote(url)
    assert "secret" not in str(caught.value)


def test_plain_http_on_this_machine_alone() -> None:
    for url in ("http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "http://127.0.0.1:1/"):
        Remote(url).close()


@pytest.mark.parametrize("token", ["", "a b", "tökén", "a\r\nb: c"])
def test_tokens_that_are_none(token: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Remote(token=token)
    assert not token or token not in str(caught.value)


def test_the_token_is_not_shown() -> None:
    with Remote(token=TOKEN, retries=0) as remote:
        assert repr(remote) == "Remote('https://127.0.0.1:8888')"
        assert TOKEN not in repr(vars(remote))
    with scripted(None, problem("Unauthenticated", 401)) as script:
        for kind in (Unavailable, errors.Unauthenticated):
            with Remote(script.url, TOKEN, retries=0) as remote, pytest.raises(kind) as caught:
                remote.info()
            assert TOKEN not in repr(caught.value)


def test_nobody_there() -> None:
    with scripted() as script:
        url = script.url
    with Remote(url, retries=0) as remote, pytest.raises(Unavailable) as caught:
        remote.info()
    assert str(caught.value) == f"nothing answers at {url}: is the server running there?"


def test_no_answer_in_time(server: Keyserver, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    release = threading.Event()
    monkeypatch.setattr(server.service.clients, "count_clients", lambda call: release.wait(30) and 0)
    with serving(server) as served, Remote(served.url, timeout=0.2, retries=0) as remote:
        with pytest.raises(Unavailable, match=r"did not answer within 0\.2 s$"):
            remote.info()
        release.set()


def test_certificates(server: Keyserver, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    stranger = Authority(tmp_path, "stranger")
    with serving(server, authority.issue("server")) as served:
        with Remote(served.url, ca=authority.file) as remote:
            assert remote.info().clients == 0
        with Remote(served.url, ca=stranger.file) as remote, pytest.raises(Unavailable, match="nobody whom"):
            remote.info()
        with (
            Remote(served.url) as remote,
            pytest.raises(Unavailable, match="nobody whom this machine trusts"),
        ):
            remote.info()
        elsewhere = served.url.replace("127.0.0.1", "localhost")
        with (
            Remote(elsewhere, ca=authority.file) as remote,
            pytest.raises(Unavailable, match="its certificate is for another name than 'localhost'"),
        ):
            remote.info()
    with serving(server) as served:
        address = served.url.replace("http:", "https:")
        with Remote(address) as remote, pytest.raises(Unavailable, match=r"is it an http:// address\?"):
            remote.info()


def test_certificates_out_of_their_time() -> None:
    for code, said in [(10, "has expired"), (9, "check this machine's clock"), (1, "is refused")]:
        error = ssl.SSLCertVerificationError()
        error.verify_code, error.verify_message = code, "some reason"
        assert said in _transport._certificate_problem(error, "https://c2.example")


def test_files_that_are_none(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for arguments in (
        {"ca": tmp_path / "none"},
        {"ca": empty},
        {"certificate": tmp_path / "none"},
        {"certificate": empty},
        {"key": empty},
    ):
        with pytest.raises(InvalidInput, match=r"cannot read|needs its certificate"):
            Remote(**arguments)  # type: ignore[arg-type]
