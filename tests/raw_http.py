"""Requests on bare sockets, and exactly what came back: HTTP/1.1 plain and over TLS, HTTP/2 over either.

`ask` is one request on a connection of its own; `HTTP1` and `HTTP2` are connections that live on. HTTP/2 is
read frame by frame: a library for it would refuse what a broken registry sends.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from hpack import Decoder, Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.server import Brokenreg

TIMEOUT = 5.0
"""Seconds without a byte after which an answer is taken to come no more."""

_READ = 256 * 1024
_LARGE = 2**31 - 1
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

Headers = Iterable[tuple[str, str]]


@dataclass
class Answer:
    """What came of one request. Times are seconds since it was sent.

    `ended` is how: `keep-alive` (HTTP/1.1: whole by its own framing, and the connection still open), `fin`
    (under TLS without close_notify), `close-notify`, `rst`, `timeout`; over HTTP/2 also `end-stream`,
    `rst-stream` and `goaway`, with the error `code`, and with GOAWAY the `last_stream`.
    """

    raw: bytes = b""
    """HTTP/1.1: every byte, framing and all."""
    status_line: bytes = b""
    status: int | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    """In order of arrival, names in lower case."""
    body: bytes = b""
    """Without the framing of chunks, as long as they are well-formed; then whatever follows."""
    rest: bytes = b""
    """HTTP/1.1: what came after the end that the response's own framing has."""
    is_whole: bool = False
    """All came that the framing announced."""
    ended: str = "timeout"
    code: int | None = None
    last_stream: int | None = None
    first_byte: float | None = None
    pieces: list[tuple[float, int]] = field(default_factory=list)
    """When so many bytes came at once: a read from TCP, a record of TLS, a DATA frame of HTTP/2."""
    duration: float = 0.0

    def header(self, name: str) -> str | None:
        """First value of a header (name in lower case)."""
        return next((value for key, value in self.headers if key == name), None)

    def all(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key == name]

    def may_continue(self, stream: int) -> bool:
        """Whether GOAWAY came without an error, and lets this stream end (RFC 9113, section 6.8)."""
        return self.ended == "goaway" and self.code == 0 and (self.last_stream or 0) >= stream


class Connection:
    """TCP, or TLS over it. `ended` is how the peer ended it: `fin`, `close-notify`, `rst`."""

    def __init__(
        self, running: Brokenreg, *, alpn: str = "http/1.1", receive_buffer: int = 0, source: str = ""
    ) -> None:
        self.running = running
        self.ended: str | None = None
        host, port = running.host.rsplit(":", 1)
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(TIMEOUT)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect((host, int(port)))
        self._tls: ssl.SSLObject | None = None
        if running.url.startswith("https:"):
            self._shake_hands(alpn)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send all. A connection that the peer has reset takes it silently."""
        try:
            if self._tls is None:
                self.socket.sendall(data)
            else:
                self._tls.write(data)
                self.socket.sendall(self._outgoing.read())
        except ConnectionError:
            self.ended = self.ended or "rst"

    def receive(self, timeout: float) -> bytes:
        """What comes next, at most a record of TLS; empty if nothing came in time or the peer has ended."""
        deadline = time.monotonic() + timeout
        while self.ended is None:
            if self._tls is not None and (data := self._decrypt()) is not None:
                return data
            if not select.select([self.socket], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return b""
            try:
                data = self.socket.recv(_READ)
            except ConnectionResetError:
                self.ended = "rst"
                return b""
            if self._tls is None:
                self.ended = None if data else "fin"
                return data
            self._incoming.write(data) if data else self._incoming.write_eof()
        return b""

    def _decrypt(self) -> bytes | None:
        """One record; None if more must come first."""
        assert self._tls is not None
        try:
            data = self._tls.read(_READ)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLEOFError:
            self.ended = "fin"
            return b""
        if not data:
            self.ended = "close-notify"
        return data

    def _shake_hands(self, alpn: str) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # else FIN would look like close_notify
        context.set_alpn_protocols([alpn])
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self.socket.sendall(self._outgoing.read())
                self._incoming.write(self.socket.recv(_READ))
            else:
                self.socket.sendall(self._outgoing.read())
                break
        assert self._tls.selected_alpn_protocol() == alpn


class HTTP1(Connection):
    """A connection that speaks HTTP/1.1."""

    def __init__(self, running: Brokenreg, *, receive_buffer: int = 0, source: str = "") -> None:
        super().__init__(running, receive_buffer=receive_buffer, source=source)
        self._early = b""

    def ask(
        self,
        path: str,
        method: str = "GET",
        headers: Headers = (),
        content: bytes = b"",
        *,
        timeout: float = TIMEOUT,
        linger: float = 0.0,
    ) -> Answer:
        """One request, and what came. `linger`: seconds to wait for more after a response that is whole."""
        began = time.monotonic()
        self.send(self.request(path, method, headers, content))
        return self.read(method, timeout=timeout, linger=linger, began=began)

    def request(self, path: str, method: str = "GET", headers: Headers = (), content: bytes = b"") -> bytes:
        """The bytes of a request."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.running.host}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if content or method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(content)}")
        return "\r\n".join([*lines, "", ""]).encode() + content

    def read(
        self,
        method: str = "GET",
        *,
        prefix: bytes = b"",
        timeout: float = TIMEOUT,
        linger: float = 0.0,
        began: float | None = None,
    ) -> Answer:
        """The next response, timed from `began`, else from now; `prefix` is what has been received of it."""
        answer = Answer(raw=self._early + prefix)
        began = time.monotonic() if began is None else began
        end: int | None = None
        while True:
            if end is None and (end := _end_of(answer, method)) is not None:
                linger = time.monotonic() + linger
            patience = timeout if end is None else max(0.0, linger - time.monotonic())
            data = self.receive(patience) if end is None or patience else b""
            if not data:
                break
            now = time.monotonic() - began
            answer.first_byte = now if answer.first_byte is None else answer.first_byte
            answer.pieces.append((now, len(data)))
            answer.raw += data
        answer.duration = time.monotonic() - began
        answer.is_whole = end is not None
        answer.ended = self.ended or ("timeout" if end is None else "keep-alive")
        self._early = answer.raw[end:] if end is not None else b""
        answer.rest = self._early
        answer.body = _body_of(answer, end)
        return answer


class HTTP2(Connection):
    """A connection that speaks HTTP/2, with prior knowledge where there is no TLS."""

    def __init__(self, running: Brokenreg, *, source: str = "", window: int = _LARGE) -> None:
        """`window` is that of each stream."""
        super().__init__(running, alpn="h2", source=source)
        self._encoder, self._decoder = Encoder(), Decoder()
        self._buffer = b""
        self._block = b""
        self._stream = -1
        settings = SettingsFrame(settings={SettingsFrame.INITIAL_WINDOW_SIZE: window})
        connection = WindowUpdateFrame(0, window_increment=_LARGE - 65535)
        self.send(_PREFACE + settings.serialize() + connection.serialize())

    def ask(
        self,
        path: str,
        method: str = "GET",
        headers: Headers = (),
        content: bytes = b"",
        *,
        timeout: float = TIMEOUT,
        linger: float = 0.0,
    ) -> Answer:
        """One request on the next stream, and what came; `linger` waits for an end of the connection too."""
        began = time.monotonic()
        stream = self.begin(path, method, headers, content)
        return self.read(stream, timeout=timeout, linger=linger, began=began)

    def begin(
        self,
        path: str,
        method: str = "GET",
        headers: Headers = (),
        content: bytes = b"",
        *,
        end: bool = True,
    ) -> int:
        """Send a request and return its stream; without `end`, DATA may follow the headers."""
        self._stream += 2
        scheme = self.running.url.partition(":")[0]
        named = [(":method", method), (":scheme", scheme), (":authority", self.running.host), (":path", path)]
        if content or (end and method in ("POST", "PUT", "PATCH")):
            named.append(("content-length", str(len(content))))
        block = self._encoder.encode([*named, *((name.lower(), value) for name, value in headers)])
        flags = ["END_HEADERS"] if content or not end else ["END_HEADERS", "END_STREAM"]
        data = HeadersFrame(self._stream, block, flags=flags).serialize()
        for start in range(0, len(content), 16384):
            is_last = start + 16384 >= len(content)
            part = content[start : start + 16384]
            data += DataFrame(self._stream, part, flags=["END_STREAM"] if is_last else []).serialize()
        self.send(data)
        return self._stream

    def read(
        self, stream: int, *, timeout: float = TIMEOUT, linger: float = 0.0, began: float | None = None
    ) -> Answer:
        """What comes on that stream until it or its connection ends; timed from `began`, else from now."""
        answer = Answer()
        began = time.monotonic() if began is None else began
        while not answer.is_whole and (answer.ended == "timeout" or answer.may_continue(stream)):
            frame = self._frame(timeout)
            if frame is None:
                answer.ended = answer.ended if answer.ended == "goaway" else self.ended or "timeout"
                break
            self._take(frame, stream, answer, time.monotonic() - began)
        if linger:
            while (frame := self._frame(linger)) is not None:
                self._take(frame, stream, answer, time.monotonic() - began)
        answer.duration = time.monotonic() - began
        return answer

    def is_alive(self) -> bool:
        """Whether a PING is answered."""
        self.send(PingFrame(0, b"still on").serialize())
        while (frame := self._frame(TIMEOUT)) is not None:
            if isinstance(frame, PingFrame) and "ACK" in frame.flags:
                return True
        return False

    def _take(self, frame: Frame, stream: int, answer: Answer, now: float) -> None:
        if isinstance(frame, GoAwayFrame):
            answer.ended, answer.code, answer.last_stream = "goaway", frame.error_code, frame.last_stream_id
        elif isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
            self.send(SettingsFrame(flags=["ACK"]).serialize())
        elif isinstance(frame, HeadersFrame | ContinuationFrame):
            self._block += frame.data
            if "END_HEADERS" in frame.flags:
                headers = [(str(name), str(value)) for name, value in self._decoder.decode(self._block)]
                self._block = b""
                if frame.stream_id == stream:
                    answer.first_byte = now
                    answer.headers = [pair for pair in headers if not pair[0].startswith(":")]
                    answer.status = int(dict(headers)[":status"])
        if frame.stream_id != stream:
            return
        if isinstance(frame, DataFrame):
            answer.body += frame.data
            answer.pieces.append((now, len(frame.data)))
        if isinstance(frame, RstStreamFrame):
            answer.ended, answer.code = "rst-stream", frame.error_code
        elif "END_STREAM" in frame.flags:
            answer.ended, answer.is_whole = "end-stream", True

    def _frame(self, timeout: float) -> Frame | None:
        """The next frame; None if none came in time or the connection has ended."""
        deadline = time.monotonic() + timeout
        while True:
            if len(self._buffer) >= 9:
                (length,) = struct.unpack(">I", b"\0" + self._buffer[:3])
                if len(self._buffer) >= 9 + length:
                    frame, _ = Frame.parse_frame_header(memoryview(self._buffer[:9]))
                    frame.parse_body(memoryview(self._buffer[9 : 9 + length]))
                    self._buffer = self._buffer[9 + length :]
                    return frame
            data = self.receive(max(0.0, deadline - time.monotonic()))
            if not data:
                return None
            self._buffer += data


def ask(
    running: Brokenreg,
    path: str,
    method: str = "GET",
    headers: Headers = (),
    content: bytes = b"",
    *,
    protocol: str = "http/1.1",
    timeout: float = TIMEOUT,
    linger: float = 0.0,
) -> Answer:
    """One request on a connection of its own; `protocol` is `http/1.1` or `h2`."""
    with HTTP2(running) if protocol == "h2" else HTTP1(running) as connection:
        return connection.ask(path, method, headers, content, timeout=timeout, linger=linger)


def _end_of(answer: Answer, method: str) -> int | None:
    """Where in `raw` the response ends by its own framing; None while that has not come, or never will."""
    if answer.status is None and not _read_head(answer):
        return None
    begin = answer.raw.index(b"\r\n\r\n") + 4
    if method == "HEAD" or answer.status in (204, 304):
        return begin
    if answer.header("transfer-encoding") == "chunked":
        return _chunks(answer.raw, begin)[1]
    length = answer.header("content-length")
    end = begin + int(length) if length is not None and length.isdigit() else None
    return end if end is not None and len(answer.raw) >= end else None


def _read_head(answer: Answer) -> bool:
    """Take status line and headers apart, if they have come and are well-formed."""
    head, end, _ = answer.raw.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    if not end or not line.startswith(b"HTTP/1.1 ") or not line[9:12].isdigit():
        return False
    pairs = [each.decode("latin-1").partition(": ") for each in lines]
    if not all(colon for _, colon, _ in pairs):
        return False
    answer.status_line, answer.status = line, int(line[9:12])
    answer.headers = [(name.lower(), value) for name, _, value in pairs]
    return True


def _chunks(raw: bytes, position: int) -> tuple[bytes, int | None]:
    """The body in chunks from `position` on, and where it ends; what is no chunk stands as it came."""
    body = b""
    while True:
        size, line_end, _ = raw[position:].partition(b"\r\n")
        if not line_end:
            return body + size, None
        try:
            length = int(size, 16)
        except ValueError:
            return body + raw[position:], None
        begin = position + len(size) + 2
        if not length:  # then trailers, if there are any, and an empty line
            end = raw.find(b"\r\n\r\n", begin - 2)
            return body, None if end < 0 else end + 4
        body += raw[begin : begin + length]
        position = begin + length + 2


def _body_of(answer: Answer, end: int | None) -> bytes:
    if answer.status is None:
        return b""
    begin = answer.raw.index(b"\r\n\r\n") + 4
    if answer.header("transfer-encoding") == "chunked":
        return _chunks(answer.raw, begin)[0]
    return answer.raw[begin:end]
