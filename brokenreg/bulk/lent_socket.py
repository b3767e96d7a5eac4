"""Sockets that the event loop lends to threads, so that these transfer long bodies.

The event loop would copy each byte once more, and TLS would keep it busy. While a thread uses a socket, the
event loop does not use the part that the thread needs: the receiving side, or all of its TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import ssl
from typing import Any, cast

from brokenreg.http.asgi import ClientDisconnectedError

_PIECE = 64 * 1024
"""Number of bytes that are read from a file and encrypted at a time: they fit in the processor's cache."""

_READ = 256 * 1024
"""Number of encrypted bytes that are read from the socket at a time."""

_LOCAL_BUFFER = 128 * 1024
"""Number of bytes that the kernel buffers and sends at a time for a client on this machine.

They fit in the processor's cache until they are read. For other clients, the kernel adapts its buffer to the
network.
"""

_NOTHING = memoryview(b"")


def lend(transport: asyncio.Transport, *, to_receive: bool) -> LentSocket:
    """Lend the socket of a connection whose buffer has been sent. `give_back` ends the loan."""
    tls = getattr(transport, "_ssl_protocol", None)
    return LentSocket(transport, to_receive=to_receive) if tls is None else _LentTLS(tls)


class LentSocket:
    """A socket that one thread at a time may use. Only `stop` may be called by another thread.

    It is a copy, because the original may be closed, and its number reused, while a thread uses this one.
    """

    def __init__(self, transport: asyncio.Transport, *, to_receive: bool) -> None:
        self._transport = transport
        original: socket.socket = transport.get_extra_info("socket")
        self.socket = socket.socket(original.family, original.type, original.proto, os.dup(original.fileno()))
        self.socket.setblocking(False)
        self._is_local = not to_receive and _is_loopback(self.socket)
        if self._is_local:
            with contextlib.suppress(OSError):  # macOS: the client has disconnected
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LOCAL_BUFFER)
        self._is_paused = to_receive
        if to_receive:
            transport.pause_reading()

    def receive_into(self, buffer: memoryview) -> int | None:
        """Read available bytes. Return their number, 0 at the end, or None if none are available yet.

        Raise `OSError`.
        """
        try:
            return self.socket.recv_into(buffer)
        except BlockingIOError:
            return None

    def send_file(self, file: int, offset: int, count: int) -> int:
        """Send bytes of a file until the socket is full or the client disconnects.

        Return how many bytes the socket accepted.

        Raise `OSError` if it accepted none, and if the file is shorter.
        """
        total = 0
        most = _LOCAL_BUFFER if self._is_local else count
        while total < count:
            try:
                sent = os.sendfile(self.socket.fileno(), file, offset + total, min(most, count - total))
            except BlockingIOError:
                break
            except ConnectionError:
                if total:  # count them; the next call raises the error
                    break
                raise
            if not sent:
                raise OSError("the file became shorter")
            total += sent
        return total

    def wait(self, seconds: float | None) -> bool:
        """Wait until bytes arrive or the connection ends. Return False if neither happens in time."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return bool(poll.poll(None if seconds is None else seconds * 1000))

    def stop(self) -> None:
        """End the connection, so that the thread that uses it returns."""
        with contextlib.suppress(OSError):  # it has already ended
            self.socket.shutdown(socket.SHUT_RDWR)

    @property
    def backlog(self) -> int:
        """The number of bytes that the event loop must send before a thread may send."""
        return self._transport.get_write_buffer_size()

    def give_back(self) -> None:
        """Return the connection to the event loop. No thread may use the socket afterwards."""
        self.socket.close()
        if self._is_paused:
            self._transport.resume_reading()


class _LentTLS(LentSocket):
    """A lent socket with TLS. The TLS state is in asyncio's SSLProtocol (private, Python 3.11 to 3.14)."""

    def __init__(self, protocol: Any) -> None:
        super().__init__(cast(asyncio.Transport, protocol._transport), to_receive=True)
        self._protocol = protocol
        # Callbacks that asyncio has scheduled must neither read TLS nor resume the socket during the loan.
        self._is_reader_paused: bool = protocol._app_reading_paused
        protocol._app_reading_paused, protocol._ssl_reading_paused = True, False
        self._tls: ssl.SSLObject = protocol._sslobj
        self._incoming: ssl.MemoryBIO = protocol._incoming
        self._outgoing: ssl.MemoryBIO = protocol._outgoing
        self._encrypted = _NOTHING
        """Encrypted bytes that are not sent yet."""
        self._piece = memoryview(bytearray(_PIECE))

    def receive_into(self, buffer: memoryview) -> int | None:
        while True:
            try:
                return cast(int, self._tls.read(len(buffer), buffer))  # typed for the call without a buffer
            except ssl.SSLWantReadError:
                pass
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return 0
            except ssl.SSLError as error:
                raise ConnectionAbortedError(error.reason) from None
            if self._flush():
                self._encrypted = memoryview(self._outgoing.read())  # for example a reply to a key update
                self._flush()
            try:
                data = self.socket.recv(_READ)
            except BlockingIOError:
                return None
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()

    def send_file(self, file: int, offset: int, count: int) -> int:
        total = 0
        while self._flush() and total < count:
            read = os.preadv(file, [self._piece[: count - total]], offset + total)
            if not read:
                raise OSError("the file became shorter")
            self._tls.write(self._piece[:read])
            self._encrypted = memoryview(self._outgoing.read())
            total += read
        return total

    @property
    def backlog(self) -> int:
        size: int = self._protocol._get_write_buffer_size()
        return super().backlog + size

    def _flush(self) -> bool:
        """Send encrypted bytes. Return whether all of them were sent."""
        while self._encrypted:
            try:
                self._encrypted = self._encrypted[self.socket.send(self._encrypted) :]
            except BlockingIOError:
                return False
        return True

    def give_back(self) -> None:
        if self._encrypted:
            self._transport.write(self._encrypted)
            self._encrypted = _NOTHING
        self._protocol._app_reading_paused = self._is_reader_paused
        super().give_back()
        if not self._transport.is_closing():
            self._protocol._do_read()  # deliver bytes that have arrived and were not read


def _is_loopback(connected: socket.socket) -> bool:
    try:
        host = str(connected.getpeername()[0])
    except OSError:  # the client has disconnected
        return False
    return host.startswith(("127.", "::ffff:127.")) or host == "::1"


class LentBody:
    """The body of a request, which a thread reads: bytes that have arrived, and `left` more in the socket."""

    def __init__(self, lent: LentSocket, arrived: list[bytes], left: int) -> None:
        self._lent = lent
        self._arrived = memoryview(b"".join(arrived))
        self.left = left
        """The number of bytes that must still be read from the socket."""
        self.received = 0
        """The number of bytes that were read."""
        self.is_cut_short = False
        """True if the client closed its sending side before the end."""
        self.is_lost = False
        """True if the connection has failed, because the client disconnected."""

    @property
    def is_complete(self) -> bool:
        """True if the whole body was read."""
        return not (self._arrived or self.left)

    def read_into(self, buffer: memoryview) -> int | None:
        """Read available bytes. Return their number, 0 at the end, or None if none are available yet.

        The end is early if the client closes its sending side. Raise `ClientDisconnectedError`.
        """
        if self._arrived:
            count: int | None = min(len(buffer), len(self._arrived))
            buffer[:count] = self._arrived[:count]
            self._arrived = self._arrived[count:]
        elif not self.left:
            return 0
        else:
            try:
                count = self._lent.receive_into(buffer[: self.left])
            except OSError as error:
                self.is_lost = True
                raise ClientDisconnectedError from error
            self.is_cut_short = count == 0
            self.left -= count or 0
        self.received += count or 0
        return count

    def wait(self, seconds: float | None) -> bool:
        """Wait for bytes or the end. Return False if neither comes within `seconds`."""
        return self._lent.wait(seconds)

    def stop(self) -> None:
        """Make the thread that reads return soon."""
        self._lent.stop()

    def give_back(self) -> None:
        """Return the connection to the event loop. No thread may read the body afterwards."""
        self._lent.give_back()
