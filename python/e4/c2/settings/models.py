"""The settings as types: sections, names, defaults, limits and what each means. Reads nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

__all__ = [
    "Address",
    "Auth",
    "Broker",
    "Database",
    "Delivery",
    "Grpc",
    "Health",
    "Http",
    "Log",
    "Server",
    "Settings",
    "Tls",
]


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: ``HOST:PORT``; port 0 is any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: object) -> Address:
        """Of ``HOST:PORT`` or ``[IPv6]:PORT``. Raises `ValueError`."""
        if isinstance(text, Address):
            return text
        if isinstance(text, str):
            host, _, port = text.rpartition(":")
            if host.startswith("[") and host.endswith("]"):
                host = host[1:-1]
            elif ":" in host:
                host = ""
            if host and port.isascii() and port.isdigit() and int(port) < 65536:
                return cls(host, int(port))
        raise ValueError("should be HOST:PORT, as in 127.0.0.1:8888 or [::1]:8888")

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _path(value: object) -> object:
    if isinstance(value, str):
        if not value or "\0" in value:
            raise ValueError("should be the name of a file")
        return Path(value)
    return value


_Address = Annotated[Address, BeforeValidator(Address.parse), PlainSerializer(str)]
_Path = Annotated[Path, BeforeValidator(_path), PlainSerializer(str)]
_Seconds = Annotated[float, Field(ge=0, le=86400 * 365, allow_inf_nan=False)]
_Some = Annotated[float, Field(gt=0, le=86400 * 365, allow_inf_nan=False)]


def _listen(text: str, meaning: str) -> Any:
    return Field(default=Address.parse(text), description=meaning)


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class Server(_Section):
    """The process."""

    passphrase_file: _Path | None = Field(
        default=None,
        description="a file whose first line is the passphrase, where no option or variable gives it",
    )
    threads: int = Field(
        default=16, ge=2, le=256, description="operations that are worked on at the same time"
    )
    drain_seconds: _Seconds = Field(
        default=10.0,
        description="after SIGTERM: how long requests and publishes under way may take to finish",
    )


class Http(_Section):
    """The HTTP API."""

    address: _Address = _listen("127.0.0.1:8888", "where it listens; port 0 is any free one")
    keep_alive_seconds: int = Field(
        default=30, ge=1, le=3600, description="how long a connection may stay open without a request"
    )


class Grpc(_Section):
    """The gRPC API."""

    address: _Address = _listen("127.0.0.1:5555", "where it listens; port 0 is any free one")


class Tls(_Section):
    """TLS of both APIs; files are relative to the data folder."""

    certificate: _Path = Field(
        default=Path("server.pem"), description="PEM file of the server's certificate chain"
    )
    key: _Path = Field(
        default=Path("server.key"), description="PEM file of its private key, without a password"
    )
    client_ca: _Path | None = Field(
        default=None,
        description="PEM file of authorities: every client must have a certificate of one of them",
    )


class Database(_Section):
    """Where clients, topics, keys and the outbox are kept."""

    url: str = Field(
        default="sqlite:///c2.db",
        repr=False,
        pattern=r"^(sqlite|postgresql(\+psycopg)?)://",
        description="sqlite:///FILE, relative to the data folder, or postgresql://USER@HOST/NAME",
    )


class Auth(_Section):
    """Who may call."""

    required: bool = Field(
        default=True,
        description="ask for tokens; false lets anybody do everything, and only on loopback addresses",
    )
    max_failed: int = Field(
        default=10, ge=1, le=10_000, description="wrong tokens from one address before it has to wait"
    )
    failed_window_seconds: _Some = Field(
        default=60.0, description="the time in which these count, and the wait"
    )


class Broker(_Section):
    """The MQTT broker that carries the commands."""

    host: str = Field(default="localhost", min_length=1, description="name or address")
    port: int | None = Field(
        default=None, ge=1, le=65535, description="port; without it 1883, or 8883 with TLS"
    )
    tls: bool = Field(default=False, description="use TLS; the other TLS settings imply it")
    ca: _Path | None = Field(
        default=None, description="PEM file of the authorities to trust; without it the system's"
    )
    certificate: _Path | None = Field(
        default=None, description="PEM file of C2's own certificate at the broker"
    )
    key: _Path | None = Field(default=None, description="PEM file of its private key, without a password")
    username: str | None = Field(default=None, description="the user name that the broker asks for")
    password_file: _Path | None = Field(default=None, description="a file whose first line is its password")
    version: Literal["5", "3.1.1"] = Field(default="5", description="the version of MQTT")
    client_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=23,
        description="MQTT client id; without it a random one per process",
    )
    keepalive_seconds: int = Field(default=60, ge=1, le=65535, description="MQTT keep-alive")
    connect_timeout_seconds: _Some = Field(default=10.0, description="how long connecting may take")
    window: int = Field(
        default=1000,
        ge=1,
        le=65535,
        description="publishes in flight, within what the broker allows (Receive Maximum)",
    )
    unadvertised_window: int = Field(
        default=20,
        ge=1,
        le=65535,
        description="the same with MQTT 3.1.1, whose brokers cannot say what they allow, and drop the rest",
    )
    retain: bool = Field(
        default=True, description="have the broker keep the last command of each client, for one that is away"
    )

    def uses_tls(self) -> bool:
        """Whether any setting asks for TLS."""
        return self.tls or self.ca is not None or self.certificate is not None

    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port or (8883 if self.uses_tls() else 1883)


class Delivery(_Section):
    """How the outbox is sent, and how long what was done is kept."""

    batch: int = Field(default=1000, ge=1, le=65535, description="commands taken from the outbox at once")
    poll_seconds: _Some = Field(
        default=1.0, description="how often to look for commands that another process has queued"
    )
    stall_seconds: _Some = Field(
        default=30.0, description="a broker that acknowledges nothing for so long is connected to anew"
    )
    retry_min_seconds: _Some = Field(
        default=1.0, description="the first wait for a broker that is away or refuses"
    )
    retry_max_seconds: _Some = Field(
        default=60.0, description="the longest; each is twice the one before, with jitter"
    )
    keep_commands_days: float = Field(
        default=30.0, ge=0, le=36500, description="how long sent and superseded commands are kept"
    )
    keep_events_days: float = Field(default=30.0, ge=0, le=36500, description="how long events are kept")
    keep_idempotency_hours: float = Field(
        default=24.0,
        ge=0,
        le=8760,
        description="how long a repeated request is recognised by its idempotency key",
    )


class Health(_Section):
    """When ``/readyz`` answers 503."""

    max_outbox_age_seconds: _Some = Field(
        default=900.0,
        description="age of the oldest command in the outbox from which the server is not ready",
    )
    max_broker_away_seconds: _Some = Field(
        default=60.0, description="how long the broker may be away before the server is not ready"
    )
    warn_certificate_days: int = Field(
        default=30, ge=0, le=3650, description="warn so many days before the server's certificate ends"
    )


class Log(_Section):
    """What is logged, as JSON lines on stdout."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the least level that is logged: debug, info, warning or error"
    )


class Settings(_Section):
    """Everything that can be set."""

    server: Server = Server()
    http: Http = Http()
    grpc: Grpc = Grpc()
    tls: Tls = Tls()
    database: Database = Database()
    auth: Auth = Auth()
    broker: Broker = Broker()
    delivery: Delivery = Delivery()
    health: Health = Health()
    log: Log = Log()
