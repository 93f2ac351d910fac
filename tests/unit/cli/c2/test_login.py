"""Which server is asked and with which token: login, profiles, options, environment, data folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from unittest.mock import MagicMock, call

import pytest

from e4.cli._errors import Failed, Usage
from e4.cli.c2 import _profile
from e4.cli.c2._profile import Profile
from e4.errors import Unauthenticated, Unavailable
from tests.unit.cli._run import Run, assert_no_secret

URL = "https://c2.example:8888"
TOKEN = "e4c2_c2VjcmV0IHNlY3JldCBzZWNyZXQ"


@pytest.fixture(autouse=True)
def _a_token() -> None:
    Path("token").write_text(f"{TOKEN}\n")


def profiles() -> Path:
    return Path("config/e4/c2.toml")


def asked(connected: MagicMock) -> tuple[object, ...]:
    """Address, token and CA of the last server that was asked."""
    last = connected.call_args
    return *last.args, last.kwargs["ca"]


def test_login_keeps_address_and_token(run: Run, connected: MagicMock) -> None:
    result = run("c2", "login", "--url", URL, "--token-file", "token", "--ca", "ca.pem")
    assert (result.code, result.err) == (0, "")
    assert f"logged in to {URL} (symkey, 2 clients)" in result.out
    assert_no_secret(result.out, TOKEN.encode())
    assert stat.S_IMODE(profiles().stat().st_mode) == 0o600
    assert stat.S_IMODE(profiles().parent.stat().st_mode) == 0o700
    ca = str(Path("ca.pem").absolute())
    assert asked(connected) == (URL, TOKEN, ca)
    assert run("c2", "count").code == 0
    assert connected.mock_calls == [call(URL, TOKEN, ca=ca, certificate=None, key=None, timeout=30.0)] * 2


def test_a_token_that_is_wrong_is_not_kept(run: Run, remote: MagicMock) -> None:
    for error, text in (
        (Unauthenticated(), f"{URL} does not know this token: nothing was kept"),
        (Unavailable("nothing answers"), "nothing answers"),
    ):
        remote.info.side_effect = error
        run("c2", "login", "--url", URL, "--token-file", "token").refused(1, text)
        assert not profiles().exists()


def test_login_without_a_token(run: Run, connected: MagicMock) -> None:
    run("c2", "login", "--url", URL).refused(1, "no token: give --token-file, or --no-token")
    assert run("c2", "login", "--url", URL, "--no-token").code == 0
    assert asked(connected) == (URL, None, None)
    assert "token" not in profiles().read_text()


def test_login_asks_for_the_token(run: Run, connected: MagicMock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: f" {TOKEN} ")
    assert run("c2", "login", "--url", URL).code == 0
    assert asked(connected) == (URL, TOKEN, None)


def test_profiles_by_name(run: Run, connected: MagicMock) -> None:
    for name in ("one", "two"):
        words = "--url", f"https://{name}.example", "--token-file", "token", "--profile", name
        assert run("c2", "login", *words).code == 0
    run("c2", "count").refused(2, "which server is not clear: log in with 'e4 c2 login', or give --url")
    assert run("c2", "count", "--profile", "two").code == 0
    assert asked(connected) == ("https://two.example", TOKEN, None)
    run("c2", "count", "--profile", "three").refused(2, "no profile 'three' (there are one, two)")
    result = run("c2", "logout", "--profile", "two")
    assert (result.code, result.err) == (0, "")
    run("c2", "count", "--profile", "two").refused(2, "there is no profile 'two' (there are one)")
    run("c2", "logout", "--profile", "two").refused(1, "there is no profile two")
    run("c2", "count", "--profile", "a/b").refused(2, "a profile's name is up to 64 letters")


def test_options_count_more_than_the_environment_and_that_more_than_the_profile(
    run: Run, connected: MagicMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    _profile.save("default", Profile(URL, TOKEN, "/kept.pem"))
    assert run("c2", "count").code == 0
    assert asked(connected) == (URL, TOKEN, "/kept.pem")
    monkeypatch.setenv("E4_C2_TOKEN", "from-the-environment")
    monkeypatch.setenv("E4_C2_CA", "/environment.pem")
    assert run("c2", "count").code == 0
    assert asked(connected) == (URL, "from-the-environment", "/environment.pem")
    monkeypatch.setenv("E4_C2_URL", "https://environment.example")
    Path("other").write_text("from-an-option\n")
    assert run("c2", "count", "--token-file", "other", "--ca", "/option.pem").code == 0
    assert asked(connected) == ("https://environment.example", "from-an-option", "/option.pem")
    assert run("c2", "count", "--url", "https://option.example").code == 0
    assert asked(connected)[0] == "https://option.example"


@pytest.mark.parametrize(
    "other", ["https://other.example:8888", "https://c2.example", "http://c2.example:8888"]
)
def test_another_server_gets_nothing_of_the_profile(run: Run, connected: MagicMock, other: str) -> None:
    _profile.save("default", Profile(URL, TOKEN, "/ca.pem", "/cert.pem", "/key.pem"))
    assert run("c2", "count", "--url", other).code == 0
    connected.assert_called_once_with(other, None, ca=None, certificate=None, key=None, timeout=30.0)


@pytest.mark.parametrize("same", [URL, URL + "/", "https://C2.example:8888"])
def test_the_same_server_written_otherwise(run: Run, connected: MagicMock, same: str) -> None:
    _profile.save("default", Profile(URL, TOKEN))
    assert run("c2", "count", "--url", same).code == 0
    assert asked(connected) == (same, TOKEN, None)


def test_a_client_certificate(run: Run, connected: MagicMock) -> None:
    _profile.save("default", Profile(URL, TOKEN, None, "/kept.pem", "/kept.key"))
    run("c2", "count")
    assert connected.call_args.kwargs["certificate"] == "/kept.pem"
    assert connected.call_args.kwargs["key"] == "/kept.key"
    run("c2", "count", "--cert", "mine.pem")
    assert connected.call_args.kwargs["certificate"] == "mine.pem"
    assert connected.call_args.kwargs["key"] is None
    run("c2", "count", "--key", "k").refused(2, "--key goes with --cert")


def test_a_data_folder_has_address_and_certificate(run: Run, connected: MagicMock) -> None:
    folder = Path("c2")
    folder.mkdir()
    run("c2", "count", "--data", "c2").refused(
        1, "c2 is no data folder of a key server: it has no config.toml"
    )
    (folder / "config.toml").write_text('[http]\naddress = "0.0.0.0:9443"\n[tls]\ncertificate = "x.pem"\n')
    assert run("c2", "count", "--data", "c2", "--token-file", "token").code == 0
    url, token, ca = asked(connected)
    assert (url, token) == ("https://127.0.0.1:9443", TOKEN)
    assert Path(str(ca)).absolute() == (folder / "x.pem").absolute()
    run("c2", "count", "--data", "c2", "--url", URL).refused(2, "--data and --url exclude each other")
    (folder / "config.toml").write_text('[http]\naddress = "[::1]:0"\n')
    run("c2", "count", "--data", "c2").refused(2, "listens on any free port: give --url and --ca")
    (folder / "config.toml").write_text("[htp]\n")
    run("c2", "count", "--data", "c2").refused(1, "htp")


def test_info(run: Run, connected: MagicMock) -> None:
    result = run("c2", "info", "--url", URL)
    assert result.out == f"server\t{URL}\nversion\t1.0.0\nmode\tsymkey\nclients\t2\ntopics\t1\n"


class TestFile:
    def test_any_text_comes_back(self) -> None:
        odd = Profile("https://a", 'quote " back \\ \x7f \x01 \u2028 ü', "/a b/ü.pem")
        _profile.save("a", odd)
        _profile.save("b", Profile("https://b"))
        assert _profile.load("a") == odd
        assert _profile.load("b") == Profile("https://b")
        assert _profile.names() == ["a", "b"]
        assert os.listdir(profiles().parent) == ["c2.toml"]

    def test_no_secret_in_a_repr(self) -> None:
        assert TOKEN not in repr(Profile(URL, TOKEN))

    def test_what_is_not_utf8_is_refused(self) -> None:
        with pytest.raises(Failed, match="UTF-8"):
            _profile.save("a", Profile(URL, ca="/\udcff.pem"))
        assert not profiles().exists()

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
    def test_a_file_for_everybody_is_refused(self) -> None:
        _profile.save("a", Profile(URL, TOKEN))
        profiles().chmod(0o644)
        with pytest.raises(Failed, match="can be read by other users of this machine: run 'chmod 600"):
            _profile.load("a")

    @pytest.mark.parametrize(
        ("text", "match"),
        [
            ("[a", "is not TOML: correct it, or delete it and log in again"),
            ("\xff", "is not TOML"),
            ("a = 1", "profile 'a' is not one"),
            ("[a]", "profile 'a' is not one"),
            ("[a]\nurl = 1", "profile 'a' is not one"),
            ("[a]\nurl = 'https://a'\nurls = 'x'", "profile 'a' is not one"),
        ],
    )
    def test_a_file_that_is_none(self, text: str, match: str) -> None:
        profiles().parent.mkdir(parents=True)
        profiles().write_bytes(text.encode("latin-1"))
        profiles().chmod(0o600)
        with pytest.raises(Failed, match=match):
            _profile.load("a")
        with pytest.raises(Failed, match=match):
            _profile.save("b", Profile(URL))
        assert profiles().read_bytes() == text.encode("latin-1")

    @pytest.mark.parametrize("name", ["", "a b", "a.b", "ü", "x" * 65])
    def test_names_that_are_none(self, name: str) -> None:
        with pytest.raises(Usage, match="a profile's name"):
            _profile.save(name, Profile(URL))

    def test_where_it_is(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert _profile.profiles_path() == tmp_path / ".config/e4/c2.toml"
