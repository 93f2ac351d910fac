"""e4 command without a broker: each command, made by ``--print``, does to a real client what it says."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

import e4
from e4 import commands, crypto
from tests.unit.cli._run import PASSWORD, Run, assert_no_secret

KEY = bytes(range(32))
PUB_ONLY = ("set-pub-key", "remove-pub-key", "reset-pub-keys", "set-c2-key")


@dataclass
class Alice:
    """A client, and the options by which ``e4 command`` addresses it."""

    client: e4.Client
    store: e4.MemoryStore
    options: list[str]
    secrets: list[bytes]

    def state(self) -> dict[str, object]:
        data = self.store.read()
        assert data is not None
        state: dict[str, object] = json.loads(data)
        return state


@pytest.fixture
def symmetric() -> Alice:
    key = crypto.random_key()
    Path("alice.key").write_bytes(key)
    store = e4.MemoryStore()
    client = e4.Client.create(e4.SymIdAndKey(crypto.hash_id_alias("alice"), key), store)
    return Alice(client, store, ["--to", "alice", "--client-key", "alice.key"], [key])


@pytest.fixture
def public(run: Run) -> Alice:
    run("keygen", "curve25519", "--out", "c2.key")
    run("keygen", "ed25519", "--out", "alice.key")
    private, c2 = Path("alice.key").read_bytes(), Path("c2.key").read_bytes()
    config = e4.PubIdAndKey(crypto.hash_id_alias("alice"), private, Path("c2.key.pub").read_bytes())
    store = e4.MemoryStore()
    options = ["--to", "alice", "--c2-key", "c2.key", "--client-pubkey", "alice.key.pub"]
    return Alice(e4.Client.create(config, store), store, options, [private, private[:32], c2])


@pytest.fixture(params=["symmetric", "public"])
def alice(request: pytest.FixtureRequest) -> Alice:
    client = request.getfixturevalue(request.param)
    assert isinstance(client, Alice)
    return client


def apply(run: Run, alice: Alice, name: str, *options: str) -> None:
    """Make the command, and have the client apply it."""
    result = run("command", name, *alice.options, *options, "--print", "base64")
    assert result.code == 0, result.err
    message = base64.b64decode(result.out.removesuffix("\n"), validate=True)
    topic = crypto.topic_for_id(crypto.hash_id_alias("alice"))
    assert result.err == f"publish it within 10 minutes on {topic} with QoS 2\n"
    assert alice.client.unprotect(message, topic) is None
    assert_no_secret(result.out + result.err, KEY, *alice.secrets)


def test_topic_keys(run: Run, alice: Alice) -> None:
    Path("room.key").write_bytes(KEY)
    apply(run, alice, "set-topic-key", "--topic", "room", "--key-file", "room.key")
    message = alice.client.protect_message(b"hello", "room")
    if alice.client.mode == "symkey":
        assert crypto.unprotect_sym_key(message, KEY) == b"hello"
    apply(run, alice, "remove-topic", "--topic", "hall")
    assert alice.client.has_topic_key("room")
    apply(run, alice, "remove-topic", "--topic", "room")
    assert not alice.client.has_topic_key("room")


def test_reset_topics(run: Run, alice: Alice) -> None:
    Path("room.key").write_bytes(KEY)
    for topic in ("room", "hall"):  # two commands of one second differ, or the second would be a replay
        apply(run, alice, "set-topic-key", "--topic", topic, "--key-file", "room.key")
    apply(run, alice, "reset-topics")
    assert alice.state()["TopicKeys"] == {}


def test_a_new_key_of_the_client_in_symmetric_key_mode(run: Run, symmetric: Alice) -> None:
    run("keygen", "symmetric", "--out", "new.key")
    apply(run, symmetric, "set-id-key", "--key-file", "new.key")
    symmetric.options[-1] = "new.key"
    apply(run, symmetric, "reset-topics")


def test_a_new_key_of_the_client_in_public_key_mode(run: Run, public: Alice) -> None:
    run("keygen", "ed25519", "--out", "new.key")
    apply(run, public, "set-id-key", "--key-file", "new.key")
    public.options[-1] = "new.key.pub"
    apply(run, public, "reset-topics")


@pytest.mark.parametrize("by_id", [False, True])
def test_public_keys(run: Run, public: Alice, by_id: bool) -> None:
    run("keygen", "ed25519", "--out", "bob.key")
    key = Path("bob.key.pub").read_bytes()

    def of(name: str) -> list[str]:
        return ["--of-id", crypto.hash_id_alias(name).hex()] if by_id else ["--of", name]

    def known() -> object:
        return public.state()["Key"]["keyData"]["PubKeys"]  # type: ignore[index]

    def entry(name: str) -> dict[str, str]:
        return {crypto.hash_id_alias(name).hex(): base64.b64encode(key).decode()}

    apply(run, public, "set-pub-key", *of("bob"), "--pubkey", "bob.key.pub")
    assert known() == entry("bob")
    apply(run, public, "set-pub-key", *of("carol"), "--pubkey", key.hex())
    assert known() == entry("bob") | entry("carol")
    apply(run, public, "remove-pub-key", *of("bob"))
    assert known() == entry("carol")
    apply(run, public, "reset-pub-keys")
    assert known() == {}


def test_a_new_key_of_c2(run: Run, public: Alice) -> None:
    run("keygen", "curve25519", "--out", "new.key")
    apply(run, public, "set-c2-key", "--c2-pubkey", "new.key.pub")
    public.options[public.options.index("c2.key")] = "new.key"
    apply(run, public, "reset-topics")


@pytest.mark.parametrize("source", ["option", "file", "environment"])
@pytest.mark.parametrize("mode", ["symkey", "pubkey"])
def test_the_key_from_the_clients_password(
    run: Run, monkeypatch: pytest.MonkeyPatch, source: str, mode: str
) -> None:
    run("keygen", "curve25519", "--out", "c2.key")
    config: e4.SymNameAndPassword | e4.PubNameAndPassword = e4.SymNameAndPassword("alice", PASSWORD)
    options = ["--to", "alice"]
    if mode == "pubkey":
        config = e4.PubNameAndPassword("alice", PASSWORD, Path("c2.key.pub").read_bytes())
        options += ["--c2-key", "c2.key"]
    if source == "option":
        options += ["--password", PASSWORD]
    elif source == "file":
        Path("password").write_text(PASSWORD)
        options += ["--password-file", "password"]
    else:
        monkeypatch.setenv("E4_PASSWORD", PASSWORD)
    store = e4.MemoryStore()
    alice = Alice(e4.Client.create(config, store), store, options, [PASSWORD.encode()])
    apply(run, alice, "reset-topics")


def test_a_key_file_goes_before_the_environment(
    run: Run, symmetric: Alice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("E4_PASSWORD", PASSWORD)
    apply(run, symmetric, "reset-topics")


def test_the_client_by_its_id(run: Run, symmetric: Alice) -> None:
    symmetric.options[:2] = ["--to-id", crypto.hash_id_alias("alice").hex()]
    apply(run, symmetric, "reset-topics")


def test_every_form_holds_the_command(symmetric: Alice, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    from e4.cli import main

    def printed(*options: str) -> bytes:
        assert main(["command", "reset-topics", *symmetric.options, *options]) == 0
        return capfdbinary.readouterr().out

    topic = crypto.topic_for_id(crypto.hash_id_alias("alice"))
    key = symmetric.secrets[0]
    forms = {
        "hex": bytes.fromhex(printed("--print", "hex").decode()),
        "base64": base64.b64decode(printed("--print", "base64")[:-1], validate=True),
        "raw": printed("--print", "raw"),
    }
    assert printed("--out", "command.bin") == b""
    forms["file"] = Path("command.bin").read_bytes()
    for form in ("hex", "base64"):
        document = json.loads(printed("--print", form, "--json"))
        text = document.pop("message")
        forms[f"json {form}"] = bytes.fromhex(text) if form == "hex" else base64.b64decode(text)
        assert document == {
            "command": "reset-topics",
            "client": "alice",
            "id": crypto.hash_id_alias("alice").hex(),
            "topic": topic,
            "published": False,
            "file": None,
        }
    document = json.loads(printed("--out", "other.bin", "--json"))
    assert document["file"] == "other.bin"
    assert base64.b64decode(document["message"]) == Path("other.bin").read_bytes()
    for name, message in forms.items():
        assert crypto.unprotect_sym_key(message, key) == commands.reset_topics().encode(), name


SYM = ["--to", "alice", "--client-key", "sym.key"]
PUB = ["--to", "alice", "--c2-key", "c2.key", "--client-pubkey", "alice.pub"]
SET = ["set-topic-key", "--topic", "room", "--key-file", "sym.key"]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["set-topic-keys"], 2, "no such command 'set-topic-keys'. Did you mean 'set-topic-key'"),
        (["set-topic-key", "--key-file", "sym.key", *SYM], 2, "missing option '--topic'"),
        (["set-topic-key", "--topic", "room", *SYM], 2, "missing option '--key-file'"),
        ([*SET, "--client-key", "sym.key"], 2, "not clear: give one of --to NAME or --to-id HEX"),
        ([*SET, *SYM, "--to-id", "00" * 16], 2, "give one of --to NAME or --to-id HEX"),
        ([*SET, "--to-id", "xyz", "--client-key", "sym.key"], 2, "an id is 32 hex digits"),
        ([*SET, "--to", "", "--client-key", "sym.key"], 2, "name must be 1 to 255 bytes"),
        ([*SET, "--to", "x" * 256, "--client-key", "sym.key"], 2, "name must be 1 to 255 bytes"),
        (["remove-topic", "--topic", "", *SYM], 2, "topic must be 1 to 65535 bytes"),
        (["remove-topic", "--topic", "a/#", *SYM], 2, "without NUL, '+' or '#'"),
        (["remove-topic", "--topic", "+/a", *SYM], 2, "without NUL, '+' or '#'"),
        (["remove-topic", "--topic", "x" * 65536, *SYM], 2, "topic must be 1 to 65535 bytes"),
        ([*SET[:-1], "none.key", *SYM], 1, "make it with 'e4 keygen symmetric --out none.key'"),
        ([*SET[:-1], "short.key", *SYM], 1, "short.key holds 31 bytes, not the 32 of a raw key"),
        ([*SET[:-1], "pair.key", *SYM], 1, "pair.key holds 64 bytes, not the 32 of a raw key"),
        ([*SET[:-1], "zero.key", *SYM], 1, "zero"),
        ([*SET[:-1], ".", *SYM], 1, "cannot read .: Is a directory"),
        ([*SET, "--to", "alice", "--client-key", "none.key"], 1, "none.key does not exist"),
        ([*SET, "--to", "alice", "--client-key", "zero.key"], 1, "zero"),
        ([*SET, "--to", "alice"], 2, "no password: give --password-file, or set E4_PASSWORD"),
        ([*SET, "--to", "alice", "--password", "short"], 2, "password must be at least 16 bytes"),
        ([*SET, "--to", "alice", "--password-file", "none"], 1, "none: No such file"),
        ([*SET, *SYM, "--password", "x" * 16], 2, "exclude each other"),
        ([*SET, *PUB, "--password", "x" * 16], 2, "exclude each other"),
        ([*SET, *SYM, "--c2-key", "c2.key"], 2, "--client-key is for symmetric-key mode"),
        ([*SET, "--to", "alice", "--client-pubkey", "alice.pub"], 2, "give C2's private key too"),
        ([*SET, *PUB[:4]], 2, "no password"),
        ([*SET, *PUB[:-1], "none.pub"], 1, "none.pub does not exist"),
        ([*SET, *PUB[:-1], "short.key"], 1, "holds 31 bytes"),
        ([*SET, *PUB[:-1], "00" * 32], 1, "key"),
        ([*SET, *PUB[:-1], "02" + "00" * 31], 1, "key"),
        ([*SET, *PUB[:2], "--c2-key", "none.key", *PUB[4:]], 1, "'e4 keygen curve25519 --out none.key'"),
        (["set-id-key", "--key-file", "pair.key", *SYM], 1, "holds 64 bytes, not the 32"),
        (["set-id-key", "--key-file", "sym.key", *PUB], 1, "holds 32 bytes, not the 64"),
        (["set-id-key", "--key-file", "pair.key", *PUB], 1, "key"),
        (["set-id-key", "--key-file", "none.key", *PUB], 1, "'e4 keygen ed25519 --out none.key'"),
        (["set-pub-key", *PUB, "--pubkey", "alice.pub"], 2, "give one of --of NAME or --of-id HEX"),
        (["set-pub-key", *PUB, "--of", "bob"], 2, "missing option '--pubkey'"),
        (["set-pub-key", *PUB, "--of", "bob", "--pubkey", "none.pub"], 1, "none.pub does not exist"),
        (["set-pub-key", *PUB, "--of", "bob", "--pubkey", "00" * 32], 1, "key"),
        (["remove-pub-key", *PUB], 2, "give one of --of NAME or --of-id HEX"),
        (["set-c2-key", *PUB, "--c2-pubkey", "00" * 32], 1, "key"),
        (["set-c2-key", *PUB, "--c2-pubkey", "none.pub"], 1, "none.pub does not exist"),
        ([*SET, *SYM, "--print", "json"], 2, "--print is hex, base64 or raw"),
        ([*SET, *SYM, "--print", "raw", "--json"], 2, "--json holds no raw bytes"),
        ([*SET, *SYM, "--out", "no/such/folder/x"], 1, "no/such/folder/x: No such file"),
        ([*SET, *SYM, "--broker", "host:port"], 2, "--broker is HOST or HOST:PORT"),
        ([*SET, *SYM, "--mqtt-version", "4"], 2, "--mqtt-version is 3.1.1 or 5"),
        ([*SET, *SYM, "--key", "k.pem"], 2, "--key goes with --cert"),
        ([*SET, *SYM, "--mqtt-password-file", "p"], 2, "--mqtt-password-file goes with --mqtt-user"),
        ([*SET, *SYM, "--mqtt-user", "u", "--mqtt-password-file", "none"], 1, "none: No such file"),
        ([*SET, *SYM, "--timeout", "soon"], 2, "invalid value for '--timeout'"),
        ([*SET, *SYM, "--timeout", "0"], 2, "invalid value for '--timeout'"),
        ([*SET, *SYM, "--ca", "none.pem"], 1, "none.pem"),
        ([*SET, *SYM, "--cert", "none.pem"], 1, "none.pem"),
    ],
)  # fmt: skip
def test_wrong_input_has_its_error(run: Run, arguments: list[str], code: int, text: str) -> None:
    for name, data in {
        "sym.key": KEY,
        "short.key": KEY[:31],
        "zero.key": bytes(32),
        "pair.key": KEY + KEY,
    }.items():
        Path(name).write_bytes(data)
    Path("c2.key").write_bytes(crypto.random_curve25519_private_key())
    Path("alice.pub").write_bytes(crypto.ed25519_public_key(KEY))
    before = sorted(os.listdir())
    result = run("command", *arguments)
    result.refused(code, text)
    assert_no_secret(result.err, KEY)
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize("name", PUB_ONLY)
def test_a_command_of_public_key_mode_is_not_sent_to_a_client_in_the_other(run: Run, name: str) -> None:
    options = {
        "set-pub-key": ["--of", "bob", "--pubkey", "00" * 32],
        "remove-pub-key": ["--of", "bob"],
        "set-c2-key": ["--c2-pubkey", "00" * 32],
    }.get(name, [])
    run("command", name, *SYM, *options).refused(
        2, f"{name} is for clients in public-key mode: give --c2-key and --client-pubkey"
    )
