"""Settings: file, environment, options; what is refused and how it is told; the documentation's table."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from e4.c2 import settings
from e4.c2.settings import Address, Configuration, Settings, describe, load, render_file
from e4.errors import InvalidSettings

PAGE = Path(__file__).parents[3] / "docs" / "c2.md"

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        (tmp_path / settings.FILE).write_text(text, encoding="utf-8")
        return tmp_path

    return write


def refused(
    folder: Path,
    text: str,
    environment: dict[str, str] | None = None,
    options: dict[str, tuple[str, object]] | None = None,
) -> str:
    with pytest.raises(InvalidSettings, match=re.escape(text)) as caught:
        load(folder, environment, options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_a_file_the_defaults_count(tmp_path: Path) -> None:
    configuration = load(tmp_path)
    assert configuration.settings == Settings()
    assert set(configuration.origins.values()) == {"default"}
    assert str(configuration.settings.http.address) == "127.0.0.1:8888"
    assert str(configuration.settings.grpc.address) == "127.0.0.1:5555"
    assert configuration.settings.auth.required
    assert configuration.settings.broker.retain


def test_environment_counts_more_than_the_file_and_options_more_than_both(write: Write) -> None:
    folder = write('[broker]\nhost = "file"\nport = 1\nwindow = 7\nretain = false\n')
    configuration = load(
        folder,
        {"E4_C2_BROKER_HOST": "environment", "E4_C2_BROKER_PORT": "2"},
        {"broker.host": ("--broker", "option")},
    )
    broker = configuration.settings.broker
    assert (broker.host, broker.port, broker.window, broker.retain) == ("option", 2, 7, False)
    origins = configuration.origins
    assert origins["broker.host"] == "--broker"
    assert origins["broker.port"] == "E4_C2_BROKER_PORT"
    assert origins["broker.window"] == "config.toml, line 4"
    assert origins["broker.keepalive_seconds"] == "default"


@pytest.mark.parametrize("setting", list(describe()), ids=lambda setting: setting.name)
def test_every_setting_can_come_from_the_environment(setting: settings.Setting, tmp_path: Path) -> None:
    section, _, key = setting.name.partition(".")
    assert setting.variable == f"E4_C2_{section.upper()}_{key.upper()}"
    value = getattr(getattr(Settings(), section), key)
    text = {"broker.port": "1884"}.get(setting.name, "some text here" if value is None else str(value))
    if isinstance(value, bool):
        text = text.lower()
    extra = {
        "broker.password_file": {"E4_C2_BROKER_USERNAME": "me"},
        "broker.key": {"E4_C2_BROKER_CERTIFICATE": "me.pem"},
    }.get(setting.name, {})
    assert load(tmp_path, {setting.variable: text, **extra}).origins[setting.name] == setting.variable


def test_texts_in_the_environment_need_no_quotes_and_numbers_stay_texts_where_texts_are_wanted(
    tmp_path: Path,
) -> None:
    broker = load(
        tmp_path,
        {"E4_C2_BROKER_USERNAME": "0123", "E4_C2_BROKER_CLIENT_ID": "true", "E4_C2_BROKER_TLS": "true"},
    ).settings.broker
    assert (broker.username, broker.client_id, broker.tls) == ("0123", "true", True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[broker]\n\nprot = 1", "config.toml, line 3: there is no setting broker.prot: is it broker.port?"),
        ("broker.prot = 1", "config.toml, line 1: there is no setting broker.prot"),
        ("# x\n[brokr]\nport = 1", "config.toml, line 2: there is no setting brokr: is it broker?"),
        ("colour = 1", "config.toml, line 1: there is no setting colour: there are server, http"),
        ("broker = 1", "config.toml, line 1: broker should be a section: [broker]"),
        (
            '[broker]\nport = "1883"',
            "broker.port should be a valid integer (it is set by config.toml, line 2)",
        ),
        ("[broker]\nport = 0", "broker.port should be greater than or equal to 1"),
        ("[broker]\nport = 65536", "broker.port should be less than or equal to 65535"),
        ("[broker]\nhost = 7", "broker.host should be a valid string"),
        ('[broker]\nhost = ""', "broker.host"),
        ("[broker]\nretain = 1", "broker.retain should be a valid boolean"),
        ('[broker]\nversion = "3.1"', "broker.version should be '5' or '3.1.1'"),
        ('[http]\naddress = "8888"', "http.address should be HOST:PORT"),
        ('[http]\naddress = "::1:8888"', "http.address should be HOST:PORT"),
        ('[grpc]\naddress = "localhost:99999"', "grpc.address should be HOST:PORT"),
        ("[grpc]\naddress = 5555", "grpc.address should be HOST:PORT"),
        ('[database]\nurl = "mysql://a"', "database.url should be sqlite:///FILE or postgresql://"),
        ('[database]\nurl = "sqlite://"', "database.url: should be sqlite:///FILE"),
        ('[database]\nurl = "sqlite:///:memory:"', "database.url: should be sqlite:///FILE"),
        ('[tls]\nkey = ""', "tls.key should be the name of a file"),
        ('[broker]\nkey = "k.pem"', "broker.key goes with broker.certificate"),
        ('[broker]\npassword_file = "p"', "broker.password_file goes with broker.username"),
        ("[delivery]\nretry_min_seconds = 9\nretry_max_seconds = 8", "delivery.retry_max_seconds is less"),
        ("[delivery]\npoll_seconds = 0", "delivery.poll_seconds should be greater than 0"),
        ("[delivery]\npoll_seconds = nan", "delivery.poll_seconds"),
        ("[delivery]\npoll_seconds = true", "delivery.poll_seconds should be a valid number"),
        ("[broker", "config.toml is not TOML: "),
        ("[broker]\nport = 1\nport = 2", "config.toml is not TOML: "),
    ],
)
def test_a_file_that_is_not_valid_is_refused_with_name_and_place(write: Write, text: str, said: str) -> None:
    refused(write(text), said)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / settings.FILE
    file.write_bytes(b"[broker]\nhost = '\xff'\n")
    refused(tmp_path, "is not UTF-8 text")
    file.unlink()
    file.mkdir()
    refused(tmp_path, "cannot read")


def test_an_unknown_variable_is_refused_where_it_names_a_section(tmp_path: Path) -> None:
    refused(
        tmp_path,
        "there is no setting E4_C2_BROKER_PROT: is it E4_C2_BROKER_PORT?",
        {"E4_C2_BROKER_PROT": "1"},
    )
    load(tmp_path, {"E4_C2_PASSPHRASE": "x", "E4_C2_URL": "https://localhost", "OTHER": "1"})


def test_a_variable_that_is_not_valid_is_refused_by_its_name(tmp_path: Path) -> None:
    refused(
        tmp_path,
        "broker.port should be a valid integer (it is set by E4_C2_BROKER_PORT)",
        {"E4_C2_BROKER_PORT": "x"},
    )
    refused(tmp_path, "broker.tls should be a valid boolean", {"E4_C2_BROKER_TLS": "yes"})
    refused(tmp_path, "(it is set by --broker)", options={"broker.port": ("--broker", "x")})


def test_no_value_is_repeated_in_an_error(write: Write) -> None:
    text = refused(write('[database]\nurl = "mysql://me:a-secret@host/db"'), "database.url")
    assert "a-secret" not in text


def in_force(url: str, folder: Path) -> Configuration:
    return load(folder, {"E4_C2_DATABASE_URL": url})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:a-secret@host:5432/c2", "postgresql://me:***@host:5432/c2"),
        ("postgresql://me@host/c2", "postgresql://me@host/c2"),
        ("postgresql:///c2?host=/run/x&password=a-secret", "postgresql:///c2?host=/run/x&password=***"),
        ("postgresql+psycopg://me:a%20secret@h/c2", "postgresql+psycopg://me:***@h/c2"),
    ],
)
def test_the_databases_password_is_not_shown(url: str, shown: str, tmp_path: Path) -> None:
    configuration = in_force(url, tmp_path)
    assert configuration.in_force()["database.url"] == shown
    assert "secret" not in repr(configuration)
    assert configuration.database_url() == url
    assert configuration.database_file() is None


def test_files_are_relative_to_the_folder(tmp_path: Path) -> None:
    configuration = load(tmp_path)
    assert configuration.database_url() == f"sqlite:///{tmp_path / 'c2.db'}"
    assert configuration.database_file() == tmp_path / "c2.db"
    assert configuration.path(configuration.settings.tls.certificate) == tmp_path / "server.pem"
    assert configuration.path(Path("/etc/x.pem")) == Path("/etc/x.pem")
    assert in_force("sqlite:////var/x.db", tmp_path).database_file() == Path("/var/x.db")


def test_broker_port_follows_tls(tmp_path: Path) -> None:
    assert load(tmp_path).settings.broker.address() == ("localhost", 1883)
    assert load(tmp_path, {"E4_C2_BROKER_TLS": "true"}).settings.broker.address()[1] == 8883
    assert load(tmp_path, {"E4_C2_BROKER_CA": "ca.pem"}).settings.broker.address()[1] == 8883
    both = {"E4_C2_BROKER_TLS": "true", "E4_C2_BROKER_PORT": "1"}
    assert load(tmp_path, both).settings.broker.address()[1] == 1


@pytest.mark.parametrize(
    ("text", "host", "port", "shown"),
    [
        ("127.0.0.1:0", "127.0.0.1", 0, "127.0.0.1:0"),
        ("[::1]:8888", "::1", 8888, "[::1]:8888"),
        ("c2.example:65535", "c2.example", 65535, "c2.example:65535"),
    ],
)
def test_address(text: str, host: str, port: int, shown: str) -> None:
    address = Address.parse(text)
    assert (address.host, address.port, str(address)) == (host, port, shown)


def test_the_file_of_a_new_folder_says_the_defaults(write: Write) -> None:
    text = render_file()
    folder = write(text)
    assert load(folder).settings == Settings()
    # With every line that is commented out put in force, nothing but the empty ones changes.
    whole = re.sub(r"^# (\w+ = (?!\"\"|0$).*)$", r"\1", text, flags=re.MULTILINE)
    configuration = load(write(whole))
    assert configuration.settings == Settings()
    named = set(re.findall(r"^#? ?(\w+) = ", text, flags=re.MULTILINE))
    assert named == {setting.name.partition(".")[2] for setting in describe()}


def test_the_file_of_a_new_folder_takes_values(write: Write) -> None:
    url = 'postgresql://me:"\\\x7f\u20ac\U0001f600@host/c2'
    folder = write(render_file({"database.url": url, "tls.key": Path("/a b/c.key")}))
    configuration = load(folder)
    assert configuration.settings.database.url == url
    assert configuration.settings.tls.key == Path("/a b/c.key")
    assert tomllib.loads(render_file({"server.threads": 4}))["server"] == {"threads": 4}


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().http.keep_alive_seconds = 1  # type: ignore[misc]


def test_the_documentation_has_every_setting_and_its_default() -> None:
    documented = {
        match[1]: (match[2].strip("`"), match[3])
        for match in re.finditer(
            r"^\| `([a-z]+\.[a-z_]+)` \| (.*?) \| (.*?) \|$", PAGE.read_text("utf-8"), re.M
        )
    }
    assert documented == {s.name: (s.default, s.meaning) for s in describe()}
