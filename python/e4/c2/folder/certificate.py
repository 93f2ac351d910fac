"""The certificate of the server: made, read, checked."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from e4.c2.folder.files import write_secret
from e4.errors import InvalidSettings

__all__ = ["certificate_end", "check_certificate", "fingerprint", "make_certificate"]

_RSA_BITS = 3072
_YEARS = 10


def check_certificate(certificate: Path, key: Path) -> ssl.SSLContext:
    """The server's side of TLS 1.2 or newer, with this certificate. Raises `InvalidSettings`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for file in (certificate, key):
        try:
            file.read_bytes()
        except OSError as error:
            raise InvalidSettings(f"cannot read {file}: {error.strerror}") from None
    try:
        # An encrypted key must fail, not ask on the terminal.
        context.load_cert_chain(certificate, key, lambda: "")
    except (OSError, ValueError):
        raise InvalidSettings(
            f"{certificate} and {key} are not a certificate and its key, PEM and without a password"
        ) from None
    return context


def certificate_end(certificate: Path) -> float:
    """When the first certificate in a file ends; seconds since the epoch. Raises `InvalidSettings`."""
    return _read_certificate(certificate).not_valid_after_utc.timestamp()


def fingerprint(certificate: Path) -> str:
    """SHA-256 of the first certificate in a file, as tools print it. Raises `InvalidSettings`."""
    return _read_certificate(certificate).fingerprint(hashes.SHA256()).hex(":").upper()


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        raise InvalidSettings(f"{path} does not hold a certificate") from None


def make_certificate(path: Path, key_path: Path, hosts: Sequence[str]) -> None:
    """A self-signed certificate for this machine, and its RSA key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "e4 c2")])
    now = datetime.datetime.now(datetime.UTC)
    names = [_general_name(host) for host in dict.fromkeys(["localhost", "127.0.0.1", "::1", *hosts])]
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clients' clocks differ
        .not_valid_after(now + datetime.timedelta(days=365 * _YEARS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    write_secret(path, certificate.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_secret(key_path, pem)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError:
        raise InvalidSettings(f"{host!r} is neither a host's name nor an address") from None
