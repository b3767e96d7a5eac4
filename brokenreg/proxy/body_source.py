"""The rest of a body, read by a thread from the connection itself.

HTTP has nothing to say in the middle of a body whose length is known, and each layer would copy it once more.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager

import httpcore

from brokenreg.proxy.stream import as_httpcore


class BodySource:
    """The next `count` bytes of a connection that does not block.

    What is raised is what `told` makes of httpcore's errors. `patience` is for how many seconds nothing may
    come. The connection is of no use afterwards.
    """

    def __init__(
        self,
        connection: socket.socket,
        count: int,
        patience: float | None,
        told: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._connection = connection
        self._left = count
        self._patience = patience
        self._told = told
        self._events = select.POLLIN

    def read_into(self, buffer: memoryview) -> int | None:
        """How many bytes came; 0 at the end, or if there is no more, None if there are none yet."""
        if not self._left:
            return 0
        self._events = select.POLLIN
        with self._told(), as_httpcore(httpcore.ReadTimeout, httpcore.ReadError):
            try:
                count = self._connection.recv_into(buffer[: self._left])
            except (BlockingIOError, ssl.SSLWantReadError):
                return None
            except ssl.SSLWantWriteError:  # a key update
                self._events = select.POLLOUT
                return None
        self._left -= count
        return count

    def wait(self, seconds: float | None) -> bool:
        """Wait for bytes, or the end; False if there were none in time."""
        poll = select.poll()
        poll.register(self._connection, self._events)
        patience = self._patience if seconds is None else seconds
        if poll.poll(None if patience is None else patience * 1000):
            return True
        if seconds is None:
            with self._told():
                raise httpcore.ReadTimeout
        return False

    def stop(self) -> None:
        """Let whoever reads or waits see the end."""
        with contextlib.suppress(OSError):  # it has ended already
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)  # not TLS's own: it may be in use
