"""One connection to a broker as a stream of bytes, plain or TLS, driven by the thread that uses it.

Nothing here blocks but `open` and `wait`, and those never for longer than they are told. Knows no packet.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
import time

__all__ = ["Stream", "Waker"]

_READ = 65_536
_READS = 16  # at most so many at once, so that writing has its turn
_WRITE = 65_536
# Not everywhere. Without it, the last acknowledgements of many come 40 ms late: the broker holds them back
# until we confirm the ones before (Nagle), and our system until there is something to send with it.
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)
_NO_LINGER = struct.pack("ii", 1, 0)


class Waker:
    """Ends waits of one thread from others; what comes while it does not wait ends its next wait."""

    def __init__(self) -> None:
        self.woken = self.aborted = False
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)

    def fileno(self) -> int:
        """For `select`."""
        return self._read.fileno()

    def wake(self) -> None:
        """End the wait. From any thread."""
        # Full means that it wakes already; closed, that there is nobody to wake.
        with contextlib.suppress(OSError):
            self._write.send(b"\0")

    def abort(self) -> None:
        """End the wait, and have it known that nothing more is wanted. From any thread."""
        self.aborted = True
        self.wake()

    def drain(self) -> None:
        """Note that a wait was ended."""
        self.woken = True
        with contextlib.suppress(BlockingIOError):
            while self._read.recv(4096):
                pass

    def close(self) -> None:
        """Nobody waits any more."""
        self._read.close()
        self._write.close()


class Stream:
    """See the module; made by `open`."""

    def __init__(self, sock: socket.socket, waker: Waker) -> None:
        self.out = bytearray()  # what is to be written
        self._waker = waker
        self._sock = sock
        self._tls = sock if isinstance(sock, ssl.SSLSocket) else None
        self._failure: OSError | None = None
        self._reader_writes = self._writer_reads = False  # TLS has its own mind
        self._selector = selectors.DefaultSelector()
        self._events = selectors.EVENT_READ
        self._selector.register(sock, self._events)

    @classmethod
    def open(cls, host: str, port: int, tls: ssl.SSLContext | None, timeout: float, waker: Waker) -> Stream:
        """Connect.

        Args:
            host: name or address.
            port: of it.
            tls: for TLS, whose handshake is a part of this.
            timeout: seconds.
            waker: ends each `wait`, but not the handshake.

        Raises:
            OSError: it cannot be done, or not in time; ssl.SSLError is one.
        """
        deadline = time.monotonic() + timeout
        sock = socket.create_connection((host, port), timeout)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
            if tls is not None:
                sock = tls.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
        except BaseException:
            sock.close()
            raise
        stream = cls(sock, waker)
        try:
            stream._shake_hands(deadline)
            stream._selector.register(waker, selectors.EVENT_READ)
        except BaseException:
            stream.abort()
            raise
        return stream

    def write(self) -> bool:
        """Send what `out` holds, as far as it goes now; whether anything went.

        A failure is told by `read`, after all that came before it.
        """
        out = self.out
        went = False
        self._writer_reads = False
        while out and self._failure is None:
            view = memoryview(out)[:_WRITE]
            try:
                sent = self._sock.send(view)
            except (BlockingIOError, ssl.SSLWantWriteError):
                break
            except ssl.SSLWantReadError:
                self._writer_reads = True
                break
            except OSError as error:
                self._failure = error
                break
            finally:
                view.release()
            del out[:sent]
            went = True
        if self._failure is not None:
            out.clear()
        return went

    def read(self) -> bytes:
        """What has arrived; empty if nothing has.

        Raises:
            OSError: the connection has ended, and all that came before was read.
        """
        chunks = []
        self._reader_writes = False
        try:
            for _ in range(_READS):
                data = self._sock.recv(_READ)
                if not data:
                    self._failure = self._failure or ConnectionError("it closed the connection")
                    break
                chunks.append(data)
                if len(data) < _READ and self._tls is None:
                    break
        except ssl.SSLWantWriteError:
            self._reader_writes = True
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except OSError as error:
            self._failure = self._failure or error
        if self._failure is not None and not chunks:
            raise self._failure
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def wait(self, timeout: float) -> None:
        """Until there is something to read, or room for what is to be written; at most `timeout` seconds."""
        if self._failure is not None or (self._tls is not None and self._tls.pending()):
            timeout = 0.0
        if _QUICKACK is not None and not self.out:
            with contextlib.suppress(OSError):  # of a connection that is gone; reading says so
                self._sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        wants_write = self._reader_writes or (bool(self.out) and not self._writer_reads)
        self._select(selectors.EVENT_READ | (selectors.EVENT_WRITE if wants_write else 0), timeout)

    def close(self) -> None:
        """Close in order: what was written still arrives."""
        self._selector.close()
        with contextlib.suppress(OSError):
            self._sock.close()

    def abort(self) -> None:
        """Close at once. What has not left this machine is thrown away."""
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.close()

    def _shake_hands(self, deadline: float) -> None:
        while self._tls is not None:
            try:
                self._tls.do_handshake()
                return
            except ssl.SSLWantReadError:
                events = selectors.EVENT_READ
            except ssl.SSLWantWriteError:
                events = selectors.EVENT_WRITE
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._select(events, left)

    def _select(self, events: int, timeout: float) -> None:
        if events != self._events:
            self._selector.modify(self._sock, events)
            self._events = events
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._waker:
                self._waker.drain()
