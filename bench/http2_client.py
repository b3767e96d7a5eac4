"""An HTTP/2 client that misbehaves: it stalls, resets streams, disconnects in the middle, or floods.

Real clients do this when they are stopped or killed. curl cannot be made to do it at a chosen moment.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from types import TracebackType
from typing import Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes, Settings

Fields = tuple[tuple[str, str], ...]


class HTTP2Client:
    """A connection. The server may send `window` bytes of each response before an update."""

    def __init__(self, host: str, context: ssl.SSLContext | None, window: int | None = None) -> None:
        name, port = host.rsplit(":", 1)
        connection = socket.create_connection((name, int(port)), timeout=10)
        self._socket: socket.socket = (
            context.wrap_socket(connection, server_hostname=name) if context else connection
        )
        self._authority = host
        self._scheme = "https" if context else "http"
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        if window is not None:
            values = {SettingCodes.INITIAL_WINDOW_SIZE: window}
            self._h2.local_settings = Settings(client=True, initial_values=values)
        self._h2.initiate_connection()
        self._flush()
        self.statuses: dict[int, int] = {}
        self.ended: set[int] = set()
        """Streams whose response is complete, or which the server has reset."""

        self._unacknowledged = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def request(self, path: str, method: str = "GET", fields: Fields = (), *, end: bool = True) -> int:
        """Send the head of a request, and return its stream."""
        stream = self._h2.get_next_available_stream_id()
        pseudo = ((":method", method), (":path", path), (":authority", self._authority))
        self._h2.send_headers(stream, (*pseudo, (":scheme", self._scheme), *fields), end_stream=end)
        self._flush()
        return stream

    def send(self, stream: int, size: int) -> None:
        """Send up to that many bytes of a request's body, as far as the windows allow."""
        while size > 0:
            step = min(size, self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
            if step <= 0:
                return
            self._h2.send_data(stream, b"x" * step)
            self._flush()
            size -= step

    def read(self, seconds: float, *, acknowledges: bool = True) -> None:
        """Read for some time, or until all responses have ended. Without acknowledgement, windows run out."""
        deadline = time.monotonic() + seconds
        while len(self.ended) < len(self.statuses) or not self.statuses:
            if not self._receive(deadline - time.monotonic(), acknowledges=acknowledges):
                return

    def read_all(self, streams: list[int], seconds: float = 20) -> None:
        """Read until these responses are complete. Raise `ConnectionError` if that takes too long."""
        deadline = time.monotonic() + seconds
        while not self.ended.issuperset(streams):
            if not self._receive(deadline - time.monotonic(), acknowledges=True):
                left = len(set(streams) - self.ended)
                raise ConnectionError(f"{left} of {len(streams)} responses are not complete")

    def reset(self, stream: int) -> None:
        """Cancel a stream (RST_STREAM), and open the window of the connection again."""
        self._h2.reset_stream(stream, 8)
        if self._unacknowledged:
            self._h2.increment_flow_control_window(self._unacknowledged)
            self._unacknowledged = 0
        self._flush()

    def ping(self, count: int) -> None:
        """Send more PINGs than a server has to accept."""
        with contextlib.suppress(OSError):
            for _ in range(count):
                self._h2.ping(b"12345678")
                self._flush()

    def kill(self) -> None:
        """Disconnect with a TCP reset, like a client that is killed during a transfer."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def _receive(self, seconds: float, *, acknowledges: bool) -> bool:
        """Receive data. Return False after that time, or at the end of the connection."""
        if seconds <= 0:
            return False
        self._socket.settimeout(seconds)
        try:
            data = self._socket.recv(65536)
        except (TimeoutError, ConnectionError):
            return False
        for event in self._h2.receive_data(data):
            self._note(event, acknowledges=acknowledges)
        self._flush()
        return bool(data)

    def _note(self, event: Event, *, acknowledges: bool) -> None:
        if isinstance(event, ResponseReceived):
            self.statuses[event.stream_id or 0] = int(dict(event.headers or ())[b":status"])
        elif isinstance(event, DataReceived):
            if not acknowledges:
                self._unacknowledged += event.flow_controlled_length or 0
            elif event.flow_controlled_length:
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id or 0)
        elif isinstance(event, StreamEnded | StreamReset):
            self.ended.add(event.stream_id or 0)

    def _flush(self) -> None:
        self._socket.settimeout(10)
        self._socket.sendall(self._h2.data_to_send())
