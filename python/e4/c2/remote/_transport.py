"""One request to the server and its answer: TLS, the token, retries, and e4's errors out of answers.

A change carries an idempotency key, so that it may be sent again after a lost connection without being done
twice. Proxies named by the environment are not used: what goes to a key server goes to it directly.
"""

from __future__ import annotations

import ipaddress
import json
import os
import random
import secrets
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn
from urllib.parse import quote

import httpx

from e4 import errors
from e4.errors import C2Error, E4Error, InvalidInput, Unavailable

__all__ = ["Transport", "segment"]

_PREFIX = "/api/v1/"
_LONGEST_PAUSE = 5.0  # seconds, between two attempts
_CHANGES = frozenset({"POST", "PUT", "DELETE"})

# OpenSSL's X509_V_ERR_* numbers, in words; the others are given in OpenSSL's own.
_UNKNOWN_ISSUER = (18, 19, 20, 21)
_WRONG_HOST = (62, 64)
_EXPIRED, _NOT_YET_VALID = 10, 9


def segment(name: str) -> str:
    """A name as one segment of a path: also ``/`` is percent-encoded, and a name that is only dots."""
    return name.replace(".", "%2E") if name in (".", "..") else quote(name, safe="")


class Transport:
    """Sends requests and reads answers; threads may share one. The arguments are those of `Remote`."""

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        ca: str | os.PathLike[str] | None,
        certificate: str | os.PathLike[str] | None,
        key: str | os.PathLike[str] | None,
        timeout: float,
        retries: int,
    ) -> None:
        self.url = _checked_url(url)
        self._retries = retries
        self._timeout = timeout
        headers = {"user-agent": "e4", "accept": "application/json"}
        if token is not None:
            if not token.isascii() or not token.isprintable() or not token or " " in token:
                raise InvalidInput("the token is not one that a server gave: it holds other characters")
            headers["authorization"] = f"Bearer {token}"
        tls = _tls(ca, certificate, key) if self.url.startswith("https:") else False
        self._http = httpx.Client(headers=headers, verify=tls, timeout=timeout, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        key: str | None = None,
        again: bool = True,
        silence: float | None = None,
    ) -> Any:
        """Send a request, again after a lost connection or a 503, and read its answer.

        Args:
            path: below ``/api/v1/``; names in it are `segment`s.
            query: parameters; those that are None are left out.
            body: what `json` can write; None for no body.
            key: the idempotency key of a change; a random one if not given, none if empty.
            again: whether it may be sent again.
            silence: as for `stream`.

        Returns:
            The answer's JSON; None where it has none.

        Raises:
            E4Error: what the server answered.
            Unavailable: the server cannot be reached.
        """
        headers = {}
        if method in _CHANGES and again and key != "":
            headers["idempotency-key"] = key or secrets.token_hex(16)
        content = None
        if body is not None:
            content = json.dumps(body, ensure_ascii=False).encode()
            headers["content-type"] = "application/json"
        with self.stream(
            method, path, query=query, content=content, headers=headers, again=again, silence=silence
        ) as answer:
            data = self.read(answer)
        if not data:
            return None
        try:
            return json.loads(data)
        except ValueError:
            raise self._not_ours() from None

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        again: bool = True,
        silence: float | None = None,
    ) -> Iterator[httpx.Response]:
        """Send a request and give its answer, whose body is still to be read.

        Args:
            silence: longest wait for the next bytes of the answer, in seconds; the timeout if not given.

        Raises:
            E4Error: what the server answered, if it is an error.
            Unavailable: the server cannot be reached.
            InvalidInput: a name is too long to be part of a path.
        """
        parameters = {name: value for name, value in (query or {}).items() if value is not None}
        timeout = httpx.Timeout(self._timeout, read=silence or self._timeout)
        try:
            request = self._http.build_request(
                method,
                self.url + _PREFIX + path,
                params=parameters or None,
                content=content,
                headers=headers,
                timeout=timeout,
            )
        except httpx.InvalidURL:
            raise InvalidInput("a name is too long for an address: the batch operations take it") from None
        answer = self._send(request, self._retries if again else 0)
        try:
            if not answer.is_success:
                self._refused(answer, self.read(answer))
            yield answer
        finally:
            answer.close()

    def read(self, answer: httpx.Response) -> bytes:
        """The rest of an answer. Raises `Unavailable` if the connection ends before it does."""
        try:
            return answer.read()
        except httpx.HTTPError as error:
            raise self.unavailable(error) from None

    def lines(self, answer: httpx.Response) -> Iterator[str]:
        """The lines of an answer as they come. Raises `Unavailable` if the connection ends before it does."""
        try:
            yield from answer.iter_lines()
        except httpx.HTTPError as error:
            raise self.unavailable(error) from None

    def unavailable(self, error: httpx.HTTPError) -> Unavailable:
        """Why a request failed, in plain words. The error itself would name httpx's parts, not the user's."""
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, ssl.SSLError):
            cause = cause.__cause__ or cause.__context__
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Unavailable(f"{self.url}: {_certificate_problem(cause, self.url)}")
        if isinstance(cause, ssl.SSLError):
            reason = (cause.reason or "error").lower().replace("_", " ")
            hint = " (is it an http:// address?)" if reason == "wrong version number" else ""
            return Unavailable(f"{self.url}: TLS failed: {reason}{hint}")
        if isinstance(error, httpx.TimeoutException):
            return Unavailable(f"{self.url} did not answer within {self._timeout:g} s")
        if isinstance(error, httpx.ConnectError):
            return Unavailable(f"nothing answers at {self.url}: is the server running there?")
        return Unavailable(f"the connection to {self.url} was lost")

    def _send(self, request: httpx.Request, retries: int) -> httpx.Response:
        for attempt in range(retries + 1):
            last = attempt == retries
            try:
                answer = self._http.send(request, stream=True)
            except httpx.TransportError as error:
                reason = self.unavailable(error)
                if last or isinstance(_root(error), ssl.SSLError):
                    raise reason from None
            else:
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or last:
                    return answer
                answer.close()
            time.sleep(pause(attempt))
        raise AssertionError("unreachable")

    def _refused(self, answer: httpx.Response, data: bytes) -> NoReturn:
        try:
            problem = json.loads(data)
            code, detail = str(problem["code"]), str(problem["detail"])
        except (ValueError, KeyError, TypeError):
            raise self._not_ours(answer.status_code) from None
        kind = getattr(errors, code, None) if code in errors.__all__ else None
        if kind is None:
            where = f" (request {problem['request_id']})" if problem.get("request_id") else ""
            raise C2Error(f"{detail}{where}")
        if not issubclass(kind, E4Error):
            raise self._not_ours(answer.status_code)
        raise kind(detail)

    def _not_ours(self, status: int | None = None) -> Unavailable:
        told = f" (status {status})" if status else ""
        return Unavailable(f"what answers at {self.url} is not a key server of this version{told}")


def pause(attempt: int) -> float:
    """Seconds to wait before another attempt: 0.2 and rising, never all clients at once."""
    return min(_LONGEST_PAUSE, 0.2 * float(2**attempt)) * random.uniform(0.5, 1)


def _root(error: BaseException) -> BaseException:
    cause = error
    while not isinstance(cause, ssl.SSLError) and (below := cause.__cause__ or cause.__context__) is not None:
        cause = below
    return cause


def _checked_url(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        raise InvalidInput("the server's address is not a URL") from None
    if parsed.scheme not in ("https", "http") or not parsed.host:
        raise InvalidInput("the server's address must be like https://c2.example:8888")
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise InvalidInput("the server's address must hold no credentials, query or fragment")
    if parsed.scheme == "http" and not _is_loopback(parsed.host):
        raise InvalidInput("http:// is for this machine alone: over a network keys need https://")
    return str(parsed).rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _tls(
    ca: str | os.PathLike[str] | None,
    certificate: str | os.PathLike[str] | None,
    key: str | os.PathLike[str] | None,
) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise InvalidInput(f"cannot read certificates from {ca}: {_file_problem(error)}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        try:
            # An encrypted key without a password must fail, not ask on the terminal.
            context.load_cert_chain(certificate, key, "")
        except OSError as error:
            raise InvalidInput(
                f"cannot read the certificate in {certificate}: {_file_problem(error)}"
            ) from None
    elif key is not None:
        raise InvalidInput("a private key needs its certificate")
    return context


def _file_problem(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "not PEM, or of another kind"
    return error.strerror or "cannot be read"


def _certificate_problem(error: ssl.SSLCertVerificationError, url: str) -> str:
    code = error.verify_code
    if code in _UNKNOWN_ISSUER:
        return (
            "its certificate is signed by nobody whom this machine trusts; "
            "give the server's certificate, or that of its authority, as ca"
        )
    if code in _WRONG_HOST:
        return f"its certificate is for another name than {httpx.URL(url).host!r}"
    if code == _EXPIRED:
        return "its certificate has expired"
    if code == _NOT_YET_VALID:
        return "its certificate is not valid yet: check this machine's clock"
    return f"its certificate is refused: {error.verify_message}"
