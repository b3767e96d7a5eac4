"""An S3 server (moto) in a process of its own, and a proxy before it that fails on demand."""

from __future__ import annotations

import asyncio
import http.client
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import obstore
import pytest
from obstore.store import S3Store

from brokenreg.config.blob_location import BlobLocation

BUCKET = "blobs-of-tests"
MIB = 1 << 20

_SERVE = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class S3:
    """A running S3 server. Each test uses a prefix of its own."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def objects(self, prefix: str) -> dict[str, int]:
        """The size of each object below a prefix, by key, as the server lists them."""
        from xml.etree import ElementTree

        with urllib.request.urlopen(f"{self.url}/{BUCKET}?list-type=2&prefix={prefix}/") as response:
            tree = ElementTree.fromstring(response.read())
        space = {"s3": "http://s3.amazonaws.com/doc/2006-03-01/"}
        return {
            str(each.findtext("s3:Key", "", space)).removeprefix(f"{prefix}/"): int(
                each.findtext("s3:Size", "0", space)
            )
            for each in tree.findall("s3:Contents", space)
        }

    def open_uploads(self) -> int:
        """The number of multipart uploads that were neither completed nor ended."""
        with urllib.request.urlopen(f"{self.url}/{BUCKET}?uploads") as response:
            return response.read().decode().count("<UploadId>")

    def replace(self, prefix: str, key: str, content: bytes) -> None:
        obstore.put(self._store(prefix), key, content)

    def remove(self, prefix: str, key: str) -> None:
        obstore.delete(self._store(prefix), key)

    def _store(self, prefix: str) -> S3Store:
        keys: Any = {"access_key_id": "name", "secret_access_key": "hidden-in-tests"}
        options: Any = {"allow_http": True}
        return S3Store(BUCKET, prefix=prefix, endpoint=self.url, client_options=options, **keys)


@contextmanager
def s3_server() -> Iterator[S3]:
    """A server with one empty bucket."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        server = S3(int(process.stdout.readline()))
        urllib.request.urlopen(urllib.request.Request(f"{server.url}/{BUCKET}", method="PUT")).close()
        yield server
    finally:
        process.kill()
        process.communicate()


def environment(port: int) -> dict[str, str]:
    """The settings with which obstore reaches a server."""
    return {
        "AWS_ACCESS_KEY_ID": "name",
        "AWS_SECRET_ACCESS_KEY": "hidden-in-tests",
        "AWS_ENDPOINT": f"http://127.0.0.1:{port}",
        "AWS_REGION": "us-east-1",
    }


def use(port: int, patch: pytest.MonkeyPatch, prefix: str) -> BlobLocation:
    """Use a server within this process."""
    for name, value in environment(port).items():
        patch.setenv(name, value)
    return BlobLocation("s3", BUCKET, prefix)


@dataclass(frozen=True)
class Reply:
    """What the server responded."""

    method: str
    path: str
    status: int
    headers: list[tuple[str, str]]
    body: bytes


Failure = Callable[[BaseHTTPRequestHandler, Reply], Reply | None]
"""Changes a reply, or ends the connection itself and returns None."""


@dataclass
class FailingProxy:
    """Passes requests on to a server. `fail` decides what happens to each reply."""

    behind: int
    fail: Failure | None = None
    is_down: bool = False
    replaced: Mapping[str, str] = field(default_factory=dict[str, str])
    """Headers of requests that are replaced. Their names are in lower case."""
    requests: list[str] = field(default_factory=list)
    """Method and path of each request, in order."""
    changed: threading.Condition = field(default_factory=threading.Condition)
    port: int = 0

    async def wait_for(self, part: str) -> None:
        """Wait until a request whose method and path contain `part` has arrived."""
        await asyncio.to_thread(self._wait_for, part)

    def _wait_for(self, part: str) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: any(part in each for each in self.requests), timeout=30)

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        with self.changed:
            self.requests.append(f"{handler.command} {handler.path}")
            self.changed.notify_all()
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        if self.is_down:
            handler.close_connection = True
            handler.connection.close()
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.behind, timeout=30)
        try:
            headers = {name.lower(): value for name, value in handler.headers.items()} | dict(self.replaced)
            connection.request(handler.command, handler.path, body, headers)
            response = connection.getresponse()
            reply: Reply | None = Reply(
                handler.command, handler.path, response.status, response.getheaders(), response.read()
            )
        finally:
            connection.close()
        if self.fail is not None and reply is not None:
            reply = self.fail(handler, reply)
        if reply is not None:
            send(handler, reply, len(reply.body))


def send(handler: BaseHTTPRequestHandler, reply: Reply, announced: int) -> None:
    """Send a reply with a Content-Length of `announced` bytes."""
    handler.send_response_only(reply.status)
    for name, value in reply.headers:
        if name.lower() not in ("content-length", "transfer-encoding", "connection"):
            handler.send_header(name, value)
    length = announced
    if handler.command == "HEAD":
        length = next((int(value) for name, value in reply.headers if name.lower() == "content-length"), 0)
    handler.send_header("content-length", str(length))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(reply.body)


@contextmanager
def failing_proxy(server: S3) -> Iterator[FailingProxy]:
    """A proxy that passes everything on at first."""
    proxy = FailingProxy(server.port)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            try:
                proxy.handle(self)
            except OSError:  # the client has closed the connection
                self.close_connection = True

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        http_server.daemon_threads = True
        proxy.port = http_server.server_address[1]
        thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield proxy
        finally:
            http_server.shutdown()
            thread.join()


def one_in(count: int) -> Failure:
    """Answer every `count`-th request with 500."""
    seen = 0
    lock = threading.Lock()

    def fail(_: BaseHTTPRequestHandler, reply: Reply) -> Reply:
        nonlocal seen
        with lock:
            seen += 1
            if seen % count:
                return reply
        return Reply(reply.method, reply.path, 500, [], b"<Error><Code>InternalError</Code></Error>")

    return fail


def cut(handler: BaseHTTPRequestHandler, reply: Reply) -> Reply | None:
    """Announce the whole body of an object, but send half of it and close the connection."""
    if reply.method != "GET" or "/blobs/" not in reply.path:
        return reply
    half = Reply(reply.method, reply.path, reply.status, reply.headers, reply.body[: len(reply.body) // 2])
    send(handler, half, len(reply.body))
    handler.close_connection = True
    return None


def truncate(_: BaseHTTPRequestHandler, reply: Reply) -> Reply:
    """Send half of an object as if it were all of it."""
    if reply.method != "GET" or "/blobs/" not in reply.path:
        return reply
    return Reply(reply.method, reply.path, reply.status, reply.headers, reply.body[: len(reply.body) // 2])


def corrupt(_: BaseHTTPRequestHandler, reply: Reply) -> Reply:
    """Change a byte of an object."""
    if reply.method != "GET" or "/blobs/" not in reply.path or not reply.body:
        return reply
    body = bytes([reply.body[0] ^ 1]) + reply.body[1:]
    return Reply(reply.method, reply.path, reply.status, reply.headers, body)
