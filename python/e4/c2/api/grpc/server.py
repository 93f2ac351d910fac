"""The gRPC server: listens, admits, calls the service in a thread, and answers.

Takes the calls from the table of operations; the event stream alone is its own.
"""

from __future__ import annotations

import asyncio
import contextvars
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote

import grpc
import grpc.aio

from e4.c2.api import access
from e4.c2.api.errors import MAX_REQUEST, logged_answer
from e4.c2.api.feed import Feed
from e4.c2.api.grpc.events import render
from e4.c2.api.grpc.operations import OPERATIONS, STREAM, Operation
from e4.c2.auth import Authenticator
from e4.c2.model import Call, Event
from e4.c2.service import Service

if TYPE_CHECKING:
    from e4.c2.metrics import Metrics

__all__ = ["GrpcServer", "Tls"]

T = TypeVar("T")
_Context = grpc.aio.ServicerContext[bytes, bytes]
_Admit = Callable[[], Call]

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_PEER = re.compile(r"ipv[46]:\[?(.*?)\]?:\d+")
_EVENTS = 500  # read at once
_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_REQUEST),
    ("grpc.so_reuseport", 0),  # two servers on one port would share its calls
]


@dataclass(frozen=True, slots=True)
class Tls:
    """The server's certificate and its chain, its private key, and who signs clients' certificates, in PEM.

    Args:
        client_ca: if given, clients must show a certificate signed by it.
    """

    certificate: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None = None


class GrpcServer:
    """The deployed gRPC interface on one address.

    Args:
        service: does the operations.
        authenticator: tells who calls.
        feed: for the event stream; `stop` closes it.
        metrics: count the calls.
        tls: None listens without TLS.
        workers: most calls that are in the service at once.
    """

    def __init__(
        self,
        service: Service,
        authenticator: Authenticator,
        feed: Feed,
        metrics: Metrics,
        *,
        tls: Tls | None,
        workers: int = 16,
    ) -> None:
        self._service = service
        self._authenticator = authenticator
        self._feed = feed
        self._metrics = metrics
        self._tls = tls
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="e4-grpc")
        self._server: grpc.aio.Server | None = None

    async def start(self, address: str) -> int:
        """Listen, and answer from now on.

        Args:
            address: ``host:port``; port 0 takes a free one.

        Returns:
            The port.

        Raises:
            OSError: it cannot listen there.
        """
        server = grpc.aio.server(options=_OPTIONS)
        server.add_generic_rpc_handlers([self._handlers()])
        try:
            if self._tls is None:
                port = server.add_insecure_port(address)
            else:
                port = server.add_secure_port(address, _credentials(self._tls))
        except RuntimeError:
            raise OSError(f"cannot listen on {address} for gRPC") from None
        await server.start()
        self._server = server
        return port

    async def stop(self, grace_seconds: float) -> None:
        """Take no more calls, end the event streams, and give the calls under way that long to end."""
        self._feed.close()
        if self._server is not None:
            await self._server.stop(grace_seconds)
        await asyncio.to_thread(self._workers.shutdown)

    def _handlers(self) -> grpc.GenericRpcHandler:
        handlers = {name: self._unary(operation) for name, operation in OPERATIONS.items()}
        handlers[STREAM] = grpc.unary_stream_rpc_method_handler(self._follow)
        return grpc.method_handlers_generic_handler("pb.C2", handlers)

    def _unary(self, operation: Operation) -> grpc.RpcMethodHandler[bytes, bytes]:
        async def handle(data: bytes, context: _Context) -> bytes:
            async with self._answering(operation.name, context) as admit:

                def work() -> bytes:
                    call = admit()
                    return operation(self._service, call, operation.parse(data)).SerializeToString()

                return await self._in_thread(work)
            raise AssertionError("unreachable: an error ends the call")

        return grpc.unary_unary_rpc_method_handler(handle)

    async def _follow(self, data: bytes, context: _Context) -> None:
        async with self._answering(STREAM, context) as admit:

            async def read(after: int) -> Sequence[Event]:  # admits each time: tokens are revoked
                return await self._in_thread(
                    lambda: self._service.events.read_events(admit(), after, _EVENTS)
                )

            last = await self._in_thread(lambda: self._service.events.last_event(admit()))
            await context.send_initial_metadata(())  # the caller knows that nothing escapes it from now on
            async with aclosing(self._feed.follow(read, last)) as batches:
                async for events in batches:
                    for message in filter(None, map(render, events)):
                        await context.write(message.SerializeToString())

    @asynccontextmanager
    async def _answering(self, operation: str, context: _Context) -> AsyncIterator[_Admit]:
        """Around one call: its id, its errors as status codes, its place in the metrics."""
        request_id = access.request_number(_metadata(context, access.REQUEST_ID))
        context.set_trailing_metadata(((access.REQUEST_ID, request_id),))
        header, peer = _metadata(context, "authorization"), _host(context.peer())
        answer, outcome, start, seconds = None, "Cancelled", time.perf_counter(), 0.0
        try:
            with access.request_log(request_id):
                try:
                    yield lambda: access.admit(self._authenticator, header, peer, request_id)
                    outcome = "ok"
                except Exception as error:
                    answer = logged_answer(error, operation)
                    outcome = answer.code
                finally:
                    seconds = time.perf_counter() - start
                    access.log_request("grpc", operation, outcome, seconds, peer)
        finally:
            self._metrics.request("grpc", operation, outcome, seconds)
        if answer is not None:
            await context.abort(_CODES[answer.grpc], answer.text)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, contextvars.copy_context().run, work)


def _credentials(tls: Tls) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials(
        [(tls.key, tls.certificate)], tls.client_ca, require_client_auth=tls.client_ca is not None
    )


def _metadata(context: _Context, name: str) -> str | None:
    """The first value of that name."""
    for key, value in context.invocation_metadata() or ():
        if key == name:
            return value.decode("latin-1") if isinstance(value, bytes) else value
    return None


def _host(peer: str) -> str:
    """The address without the port, of what gRPC calls ``ipv4:127.0.0.1:5000`` or ``ipv6:[::1]:5000``."""
    found = _PEER.fullmatch(unquote(peer))
    return found[1] if found else peer
