"""TLS, client certificates, users and passwords: what is asked for, and what is said when it is not met."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

import e4
from e4.mqtt import TLS
from tests._broker import Broker, Brokers, require, until
from tests._c2 import sym_device
from tests._certificates import Authority
from tests.integration._peers import TOPIC, Peers, pair

pytestmark = pytest.mark.mosquitto


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


def tls_broker(mosquitto: Brokers, authority: Authority, *lines: str) -> Broker:
    certificate, key = authority.issue("broker")
    return mosquitto(f"cafile {authority.file}", f"certfile {certificate}", f"keyfile {key}", *lines)


def with_password(folder: Path) -> str:
    """A line of configuration: alice may come in with a password."""
    file = folder / "passwords"
    subprocess.run([require("mosquitto_passwd"), "-c", "-b", file, "alice", "correct horse"], check=True)
    return f"password_file {file}"


def test_tls(mosquitto: Brokers, peers: Peers, authority: Authority, version: str) -> None:
    broker = tls_broker(mosquitto, authority)
    alice, _ = pair("symkey")
    for tls in (TLS(ca=authority.file), ssl.create_default_context(cafile=authority.file)):
        peer = peers(alice, broker, version=version, tls=tls).connect()
        peer.publish(TOPIC, bytes(200_000), qos=2)(10)
        broker.restart()
        peer.publish(TOPIC, b"after a restart")(10)
        assert peer.connected()


def test_a_certificate_of_another_authority_is_not_accepted(
    mosquitto: Brokers, peers: Peers, authority: Authority, tmp_path: Path
) -> None:
    broker = tls_broker(mosquitto, authority)
    other = Authority(tmp_path, "other")
    with pytest.raises(e4.MqttError, match=f"certificate of 127.0.0.1:{broker.port} is not accepted"):
        peers(sym_device(), broker, tls=TLS(ca=other.file)).connect()
    with pytest.raises(e4.MqttError, match="is not accepted"):
        peers(sym_device(), broker, tls=True).connect()


def test_a_certificate_for_another_host_is_not_accepted(
    mosquitto: Brokers, peers: Peers, authority: Authority
) -> None:
    broker = tls_broker(mosquitto, authority)
    broker.host = "localhost"  # the certificate says 127.0.0.1
    with pytest.raises(e4.MqttError, match=r"is not accepted: .*localhost"):
        peers(sym_device(), broker, tls=TLS(ca=authority.file)).connect()


def test_client_certificates(
    mosquitto: Brokers, peers: Peers, authority: Authority, tmp_path: Path, version: str
) -> None:
    broker = tls_broker(mosquitto, authority, "require_certificate true", "use_identity_as_username true")
    certificate, key = authority.issue("alice", password=b"swordfish")
    tls = TLS(authority.file, certificate, key, "swordfish")
    assert "swordfish" not in repr(tls)
    assert peers(sym_device(), broker, version=version, tls=tls).connect().connected()

    with pytest.raises(e4.MqttError, match=f"127.0.0.1:{broker.port}"):
        peers(sym_device(), broker, version=version, tls=TLS(ca=authority.file)).connect(timeout=3)
    with pytest.raises(e4.MqttError, match="cannot read the certificate"):
        peers(sym_device(), broker, tls=TLS(authority.file, certificate, key))
    with pytest.raises(e4.MqttError, match="cannot read certificates"):
        peers(sym_device(), broker, tls=TLS(ca=tmp_path / "absent.pem"))


def test_tls_missed_on_either_side(mosquitto: Brokers, peers: Peers, authority: Authority) -> None:
    secured, open_to_all = tls_broker(mosquitto, authority), mosquitto()
    with pytest.raises(e4.MqttError, match="ended the connection before it was made"):
        peers(sym_device(), secured, connect_timeout=0.5).connect(timeout=1)
    with pytest.raises(e4.MqttError, match=f"127.0.0.1:{open_to_all.port}"):
        peers(sym_device(), open_to_all, tls=TLS(ca=authority.file), connect_timeout=0.5).connect(timeout=1)


def test_users_and_passwords(mosquitto: Brokers, peers: Peers, tmp_path: Path, version: str) -> None:
    broker = mosquitto(with_password(tmp_path))
    good = peers(sym_device(), broker, version=version, username="alice", password="correct horse")
    assert "horse" not in repr(good.secure) + repr(good.secure._options)
    good.connect()
    for options in ({"username": "alice", "password": "wrong"}, {"username": "bob", "password": "x"}, {}):
        with pytest.raises(e4.MqttError, match=r"refused the connection: .*([Nn]ot authori[sz]ed|password)"):
            peers(sym_device(), broker, version=version, **options).connect()
    with pytest.raises(e4.InvalidInput):
        peers(sym_device(), broker, password="nobody's")


def test_a_password_is_asked_for_at_each_connection(mosquitto: Brokers, peers: Peers, tmp_path: Path) -> None:
    broker = mosquitto(with_password(tmp_path))
    answers = iter(["correct horse", ValueError("no token: secret-of-mine"), "wrong", "correct horse"])

    def password() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    alice, _ = pair("symkey")
    peer = peers(alice, broker, username="alice", password=password).connect()
    broker.restart()
    peer.publish(TOPIC, b"x")(10)
    errors = [str(error) for error in peer.events.errors]
    assert any("the password for 127.0.0.1" in error for error in errors)
    assert any("refused the connection" in error for error in errors)
    assert not any("secret-of-mine" in error for error in errors)


def test_in_the_background_a_refusal_is_tried_again(mosquitto: Brokers, peers: Peers, tmp_path: Path) -> None:
    broker = mosquitto(with_password(tmp_path), start=False)
    broker.start()
    peer = peers(sym_device(), broker).start()
    until(lambda: len(peer.events.errors) >= 2, what="two attempts")
    assert "refused the connection" in str(peer.secure.last_error)
    broker.kill()
    broker.lines = ()
    broker.start()
    peer.until_connected()
