"""How to reach a broker: what is accepted, what is named, and what is not shown."""

from __future__ import annotations

import logging
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import e4
from e4 import mqtt
from e4.mqtt import TLS, SecureClient, aio
from e4.mqtt._options import Backoff, connection_error
from tests._c2 import sym_device


@pytest.fixture
def client() -> e4.Client:
    return sym_device().client


def test_exports() -> None:
    assert sorted(mqtt.__all__) == [
        "ClearTopics",
        "CommandApplied",
        "Message",
        "Publication",
        "Refused",
        "SecureClient",
        "TLS",
        "publish_command",
    ]
    assert set(aio.__all__) == set(mqtt.__all__) - {"Publication", "publish_command"}
    for module in (mqtt, aio):
        for name in module.__all__:
            assert hasattr(module, name)


def test_defaults(client: e4.Client) -> None:
    secure = SecureClient(client)
    assert secure._options.address == "localhost:1883"
    assert SecureClient(client, tls=True)._options.port == 8883
    assert SecureClient(client, tls=ssl.create_default_context())._options.port == 8883
    assert SecureClient(client, tls=False)._options.tls is None
    assert secure.client is client
    assert secure.client_id != SecureClient(client).client_id
    kept = SecureClient(client, clean_session=False)
    assert kept.client_id == SecureClient(client, clean_session=False).client_id == "e4-" + client.id.hex()
    assert not secure.is_connected
    assert secure.unacknowledged == 0
    assert repr(secure) == f"<e4.mqtt.SecureClient {client.id.hex()} at localhost:1883, not connected>"
    secure.close()
    assert "closed" in repr(secure)


@pytest.mark.parametrize(
    "options",
    [
        {"host": ""},
        {"host": "a..b"},
        {"port": 0},
        {"port": 65536},
        {"version": "3.1"},
        {"password": "x"},
        {"session_expiry": 5},
        {"session_expiry": 5, "version": "5"},
        {"keepalive": -1},
        {"keepalive": 65536},
        {"window": 0},
        {"window": 65536},
        {"min_delay": 0},
        {"min_delay": 2, "max_delay": 1},
        {"tls": TLS(keyfile="key.pem")},
    ],
)
def test_arguments_out_of_range(client: e4.Client, options: dict[str, Any]) -> None:
    for kind in (SecureClient, aio.SecureClient):
        with pytest.raises(e4.InvalidInput):
            kind(client, **options)


def test_no_secret_in_a_repr(client: e4.Client, tmp_path: Path) -> None:
    for kind in (SecureClient, aio.SecureClient):
        secure = kind(client, username="alice", password="hush-hush")
        assert "hush" not in repr(secure) + repr(secure._options)
    assert "hush" not in repr(TLS(keyfile_password="hush-hush"))


def test_files_that_are_none(client: e4.Client, tmp_path: Path) -> None:
    file = tmp_path / "nonsense.pem"
    file.write_text("nonsense")
    for tls, text in (
        (TLS(ca=file), "cannot read certificates from"),
        (TLS(ca=tmp_path / "absent"), "No such file"),
        (TLS(certfile=file), "cannot read the certificate in"),
        (TLS(certfile=tmp_path / "absent", keyfile=file), "cannot read the certificate in"),
    ):
        with pytest.raises(e4.MqttError, match=text):
            SecureClient(client, tls=tls)


def test_tls_checks_names_and_refuses_old_versions() -> None:
    context = TLS().context()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_backoff_doubles_up_to_its_limit_and_varies() -> None:
    backoff = Backoff(1, 10)
    for limit in (1, 2, 4, 8, 10, 10):
        assert limit / 2 <= backoff.delay() <= limit
    backoff.reset()
    assert backoff.delay() <= 1
    delays = set()
    for _ in range(20):
        backoff.reset()
        delays.add(backoff.delay())
    assert len(delays) > 1


@pytest.mark.parametrize(
    ("error", "text", "final"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "the broker at h:1: Connection refused", False),
        (TimeoutError(), "cannot reach the broker at h:1: no answer in time", False),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known", False),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version"), "TLS with h:1 failed", True),
        (ssl.SSLEOFError(8, "EOF occurred"), "TLS with h:1 failed", False),
        (e4.MqttError("said already"), "said already", False),
        (ValueError(), "ValueError", False),
    ],
)  # fmt: skip
def test_failures_in_plain_words(error: Exception, text: str, final: bool) -> None:
    told, is_final = connection_error(error, "h:1")
    assert text in str(told)
    assert is_final is final


def test_after_close_everything_is_refused(client: e4.Client) -> None:
    secure = SecureClient(client, clear=mqtt.ClearTopics(outgoing=["#"]))
    publication = secure.publish("t", b"x")  # accepted before the connection is begun
    with pytest.raises(e4.NotDelivered, match="1 messages"):
        secure.close()
    with pytest.raises(e4.NotDelivered):
        publication.wait()
    secure.close()
    for refused in (
        lambda: secure.publish("t", b"x"),
        lambda: secure.subscribe("t"),
        secure.start,
        secure.connect,
        secure.wait_connected,
    ):
        with pytest.raises(e4.MqttError, match="closed"):
            refused()


def test_an_error_in_a_with_block_is_not_hidden(client: e4.Client, caplog: pytest.LogCaptureFixture) -> None:
    secure = SecureClient(client, "127.0.0.1", 1, clear=mqtt.ClearTopics(outgoing=["#"]), max_delay=1)

    def close(timeout: float = 0) -> None:
        raise e4.NotDelivered("closed with 1 messages")

    secure.close = close  # type: ignore[method-assign]
    secure._network = object()  # type: ignore[assignment]
    with pytest.raises(KeyError), secure:
        raise KeyError
    assert "closed with 1 messages" in caplog.text
    with pytest.raises(e4.NotDelivered), secure:
        pass


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_imports_stay_light() -> None:
    heavy = "print([m for m in ('paho', 'e4.mqtt', 'aiomqtt', 'asyncio') if m in sys.modules])"
    assert run(f"import e4, sys; {heavy}") == "[]\n"
    assert run("import e4.mqtt, sys; print('aiomqtt' in sys.modules)") == "False\n"


def test_without_aiomqtt_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['aiomqtt'] = None\n"
        "try:\n    import e4.mqtt.aio\nexcept ImportError as error:\n    print(error)"
    )
    assert "extra aio" in run(code)


def test_the_logger_has_no_handler_of_its_own() -> None:
    assert logging.getLogger("e4.mqtt").handlers == []
