"""An upstream with responses that a test sets, which no real registry sends on demand.

```python
with scripted() as upstream:
    upstream.answers["/v2/org/image/manifests/v1"] = Answer(body=b"<html>")
    ...
    assert upstream.asked == [("GET", "/v2/org/image/manifests/v1")]
```
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """A response. It has a Content-Length unless it is `chunked`, or `headers` define the framing.

    If `headers` announce a longer body, the connection is closed after it.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    chunked: bool = False


@dataclass(frozen=True)
class Received:
    """A received request, with header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


Script = Answer | Callable[[Received], Answer]

NOT_FOUND = Answer(404, {"content-type": "application/json"}, b'{"errors":[]}')


@dataclass
class Scripted:
    """A running upstream. Keys of `answers` are `HEAD <path>`, a path with query, or a path."""

    url: str
    answers: dict[str, Script] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Method, and path with query."""

    def answer(self, received: Received) -> Answer:
        self.asked.append((received.method, received.target))
        path = received.target.partition("?")[0]
        for key in (f"{received.method} {path}", received.target, path):
            if key in self.answers:
                found = self.answers[key]
                return found if isinstance(found, Answer) else found(received)
        return NOT_FOUND


@contextmanager
def scripted() -> Iterator[Scripted]:
    """Run an upstream in its own thread within the block."""
    handler = type("_Handler", (_Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        handler.upstream = Scripted(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield handler.upstream
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    upstream: Scripted
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one piece: no waiting for an acknowledgement between them

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # whoever has read enough leaves
            super().handle()

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.upstream.answer(Received(self.command, self.path, headers, body))
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.chunked:
            self.send_header("transfer-encoding", "chunked")
        elif {"content-length", "transfer-encoding"} & answer.headers.keys():
            self.close_connection = True
        else:
            self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        body = answer.body
        if answer.chunked:
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *arguments: Any) -> None:
        """Print nothing: requests are recorded in `asked`."""
