"""A long mixed load over HTTP/1.1, plain and TLS: whether memory settles and everything is released.

Each of two registries, one plain and one with TLS, serves clients that pull, push, disconnect in the
middle of a body, meet faults, are held, and pull through a proxy whose upstream misbehaves.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import random
import socket
import ssl
import statistics
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.peers import Ours, ours

CLIENTS = 6
"""Threads for each registry."""

SETTLED = 300.0
"""Seconds after which memory is compared with that at the end."""

_WINDOW = 60.0
"""Seconds whose median stands for memory at one time."""

_TAGS = 40
"""Images that are pushed again and again, and names that the proxy is asked for: storage must not grow."""

_QUIET = 60.0
"""Seconds that a registry has to release everything."""

_WARM_UP = 45.0
"""Seconds of load before the first look, with twice the clients: thread pools keep the threads they start."""

_OCI = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds: resident memory in MiB, and counts."""

    memory: float
    descriptors: int
    threads: int
    in_flight: int


@dataclass
class Soaked:
    """What one registry did: its state before the load, `settled` after five minutes, and after the load."""

    name: str
    start: Held | None = None
    end: Held | None = None
    samples: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since the start, MiB."""

    log: int = 0
    """Exchanges ever, after five minutes."""

    done: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def memory(self, begin: float) -> float:
        """The median of resident memory, in MiB, in the minute from `begin` on."""
        return statistics.median(mib for at, mib in self.samples if begin <= at <= begin + _WINDOW)


class Client:
    """One client of one registry; each method is a piece of work as real clients do it."""

    def __init__(self, own: Ours, context: ssl.SSLContext | None, number: int) -> None:
        self._own = own
        self._context = context
        self._number = number
        self._random = random.Random(number)
        self.works: dict[str, Callable[[], None]] = {
            "pull": self.pull,
            "push": self.push,
            "disconnect": self.disconnect,
            "cut an upload": self.cut_upload,
            "fault": self.fault,
            "hold": self.hold,
            "proxy": self.proxy,
        }

    def work(self) -> str:
        """Do one piece of work, chosen at random; its name."""
        name = self._random.choice(list(self.works))
        self.works[name]()
        return name

    def pull(self) -> None:
        """Pull a fabricated image, often one that nobody has pulled before."""
        repository = "/v2/broken/random"
        tag = f"layers-3_size-8192_seed-{self._random.randrange(1 << 30)}"
        body = self._request("GET", f"{repository}/manifests/{tag}")
        for layer in json.loads(body)["layers"]:
            blob = self._request("GET", f"{repository}/blobs/{layer['digest']}")
            if f"sha256:{hashlib.sha256(blob).hexdigest()}" != layer["digest"]:
                raise AssertionError(f"a layer of {tag} has the wrong content")

    def push(self) -> None:
        """Push one of a few images."""
        number = self._random.randrange(_TAGS)
        blob = f"content {number}".encode() * 4096
        digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
        where = self._upload()
        self._request("PATCH", where, blob)
        self._request("PUT", f"{where}{'&' if '?' in where else '?'}digest={digest}")
        layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": len(blob)}
        manifest = {"schemaVersion": 2, "mediaType": _OCI, "config": layer, "layers": [layer]}
        self._request("PUT", f"/v2/soak/app/manifests/v{number}", json.dumps(manifest).encode())
        self._request("GET", f"/v2/soak/app/manifests/v{number}")

    def disconnect(self) -> None:
        """Read some of a layer, then reset the connection."""
        path = "/v2/broken/random/manifests/layers-1_size-4mib"
        digest = json.loads(self._request("GET", path))["layers"][0]["digest"]
        with self._connection() as connection:
            connection.request("GET", f"/v2/broken/random/blobs/{digest}")
            connection.getresponse().read(65536)
            _reset(connection)

    def cut_upload(self) -> None:
        """Send half of an upload, reset the connection, and cancel the upload."""
        where = self._upload()
        with self._connection() as connection:
            connection.putrequest("PATCH", where)
            connection.putheader("Content-Length", "1000000")
            connection.endheaders(b"x" * 300_000)
            _reset(connection)
        self._request("DELETE", where, expect=(204, 404, 409))

    def fault(self) -> None:
        """Meet a fault."""
        image = "broken/random/manifests/layers-1_size-1000"
        path = self._random.choice(
            (
                "broken/error/manifests/503",
                "broken/timeout/manifests/dur-50ms",
                f"broken/with/error_status-429/{image}",
                f"broken/with/truncate_after-100_endpoint-manifest/{image}",
                f"broken/with/corrupt_endpoint-manifest/{image}",
                f"broken/with/latency_dur-20ms_endpoint-manifest/{image}",
            )
        )
        with contextlib.suppress(http.client.HTTPException, OSError):
            self._request("GET", f"/v2/{path}", expect=range(200, 600))

    def hold(self) -> None:
        """Hold one response by a rule of its own namespace, and have it go on."""
        namespace = f"soak{self._number}"
        rule = {"fault": {"type": "hold"}, "match": {"endpoint": "manifest"}, "times": 1}
        self._control("POST", f"/v1/rules?namespace={namespace}", rule)
        path = f"/v2/broken/in/{namespace}/broken/random/manifests/layers-1_size-1000"
        with self._connection() as connection:
            connection.request("GET", path)
            deadline = time.monotonic() + 5
            while not self._control("POST", f"/v1/resume?namespace={namespace}", {})["exchanges"]:
                if time.monotonic() > deadline:
                    raise AssertionError("a response was not held within 5 s")
                time.sleep(0.01)
            connection.getresponse().read()
        self._control("POST", f"/v1/reset?namespace={namespace}", {})

    def proxy(self) -> None:
        """Pull through the proxy from an upstream that misbehaves in one way of many."""
        name = f"stub/{self._random.choice(list(BROKEN))}/{self._random.randrange(_TAGS)}"
        digest = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
        kind = self._random.choice(("manifests/v1", f"blobs/{digest}", "tags/list"))
        with contextlib.suppress(http.client.HTTPException, OSError):
            self._request("GET", f"/v2/{name}/{kind}", expect=range(200, 600))

    def _upload(self) -> str:
        with self._connection() as connection:
            connection.request("POST", "/v2/soak/app/blobs/uploads/")
            response = connection.getresponse()
            response.read()
            where = response.headers["location"]
        return where if where.startswith("/") else "/" + where.split("/", 3)[3]

    def _request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        expect: range | tuple[int, ...] = range(200, 300),
    ) -> bytes:
        headers = {"Content-Type": _OCI} if body else {}
        with self._connection() as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            content = response.read()
            if response.status not in expect:
                raise AssertionError(f"{method} {path}: {response.status} {content[:200]!r}")
            return content

    def _control(self, method: str, path: str, document: object) -> Any:
        return _json(self._own.control, method, path, document)

    def _connection(self) -> contextlib.closing[http.client.HTTPConnection]:
        if self._context is None:
            return contextlib.closing(http.client.HTTPConnection(self._own.host, timeout=60))
        secure = http.client.HTTPSConnection(self._own.host, timeout=60, context=self._context)
        return contextlib.closing(secure)


def _reset(connection: http.client.HTTPConnection) -> None:
    """Close with RST, as a client that is killed does when data is under way."""
    assert connection.sock is not None
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.sock.close()


def _json(host: str, method: str, path: str, document: object = None) -> Any:
    with contextlib.closing(http.client.HTTPConnection(host, timeout=30)) as connection:
        body = None if document is None else json.dumps(document)
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        content = connection.getresponse().read()
    return json.loads(content) if content else None


def measure(folder: Path, seconds: float) -> list[Soaked]:
    """Load two registries side by side for that time, one plain, one with TLS; look before and after."""
    with _broken_upstream() as upstream, contextlib.ExitStack() as stack:
        options = ("--upstream", f"stub={upstream}", "--upstream-timeout", "2s", "--default-upstream", "stub")
        plain = stack.enter_context(ours(folder / "plain", *options))
        secure = stack.enter_context(ours(folder / "tls", *options, "--tls", "self-signed"))
        context = ssl.create_default_context(cafile=folder / "tls" / "tls" / "ca.pem")
        soaks = [(plain, None, Soaked("HTTP/1.1")), (secure, context, Soaked("HTTP/1.1, TLS"))]
        threads = [threading.Thread(target=_soak, args=(*soak, seconds)) for soak in soaks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return [soaked for *_, soaked in soaks]


def report(soaked: list[Soaked], seconds: float) -> Iterator[tuple[str, ...]]:
    """Rows of (what, a figure for each registry)."""
    last = seconds - _WINDOW
    starts, ends = [each.start for each in soaked], [each.end for each in soaked]
    yield "exchanges in the first five minutes", *(f"{each.log:,}" for each in soaked)
    yield "MiB, after five minutes", *(f"{each.memory(min(SETTLED, last)):.0f}" for each in soaked)
    yield "MiB, in the last minute", *(f"{each.memory(last):.0f}" for each in soaked)
    yield "times", *(f"{each.memory(last) / each.memory(min(SETTLED, last)):.3f}" for each in soaked)
    for name in ("descriptors", "threads", "in_flight"):
        pairs = (
            f"{getattr(start, name)}, {getattr(end, name)}" for start, end in zip(starts, ends, strict=True)
        )
        yield f"{name.replace('_', ' ')}, before and after", *pairs
    for work in sorted(soaked[0].done):
        yield work, *(f"{each.done.get(work, 0):,}" for each in soaked)
    for place, each in enumerate(soaked):
        for work, failure in each.failed.items():
            yield f"FAILED: {work}", *(failure if place == other else "" for other in range(len(soaked)))


def _soak(own: Ours, context: ssl.SSLContext | None, soaked: Soaked, seconds: float) -> None:
    _load(own, context, soaked, _WARM_UP, 2 * CLIENTS)
    soaked.start = _when_quiet(own, None)
    soaked.samples.clear()
    soaked.done.clear()
    _load(own, context, soaked, seconds, CLIENTS)
    soaked.end = _when_quiet(own, soaked.start)


def _load(own: Ours, context: ssl.SSLContext | None, soaked: Soaked, seconds: float, clients: int) -> None:
    began = time.monotonic()
    threads = [
        threading.Thread(target=_work, args=(Client(own, context, number), soaked, began + seconds))
        for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    while (at := time.monotonic() - began) < seconds:
        soaked.samples.append((at, _held(own).memory))
        if at < SETTLED:
            soaked.log = _json(own.control, "GET", "/v1/status")["exchanges"]
        time.sleep(2)
    for thread in threads:
        thread.join()


def _work(client: Client, soaked: Soaked, until: float) -> None:
    while time.monotonic() < until:
        try:
            name = client.work()
        except Exception as error:  # noqa: BLE001 -- reported at the end, and the load goes on
            soaked.failed[type(error).__name__] = str(error)[:100]
        else:
            soaked.done[name] = soaked.done.get(name, 0) + 1


def _when_quiet(own: Ours, wanted: Held | None) -> Held:
    """What the process holds once it is no more than `wanted` and nothing is in flight, or after a minute."""
    deadline = time.monotonic() + _QUIET
    while True:
        time.sleep(1 if wanted else 35)  # idle connections to upstreams are kept for 30 s
        held = _held(own)
        is_quiet = held.in_flight == 0 and (
            wanted is None or (held.descriptors <= wanted.descriptors and held.threads <= wanted.threads)
        )
        if is_quiet or time.monotonic() > deadline:
            return held


def _held(own: Ours) -> Held:
    process = Path(f"/proc/{own.process}")
    resident = int((process / "status").read_text().split("VmRSS:")[1].split()[0]) / 1024
    in_flight = _json(own.control, "GET", "/v1/status")["in_flight"]
    return Held(
        resident, len(list((process / "fd").iterdir())), len(list((process / "task").iterdir())), in_flight
    )


def _hang(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(2.5)


def _close(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


def _early_hints(handler: BaseHTTPRequestHandler) -> None:
    with contextlib.suppress(OSError):
        for _ in range(1000):
            handler.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")


def _too_much(handler: BaseHTTPRequestHandler) -> None:
    with contextlib.suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for _ in range(500):
            handler.wfile.write(b"x" * 65536)


def _bytewise(handler: BaseHTTPRequestHandler) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    with contextlib.suppress(OSError):
        handler.wfile.write(head + b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n")


def _says(status: int, body: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        head = f"HTTP/1.1 {status} Stub\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n"
        handler.wfile.write(head.encode() + body)

    return answer


BROKEN: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {
    "hang": _hang,
    "close": _close,
    "hints": _early_hints,
    "endless": _too_much,
    "bytewise": _bytewise,
    "refuse": _says(403, b""),
    "missing": _says(404, b""),
    "broken": _says(500, b"<html>oops"),
    "page": _says(200, b"<html>log in"),
}
"""How the upstream misbehaves, by the first component of the repository."""


class _Stub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        BROKEN[self.path.split("/")[2]](self)

    do_HEAD = do_GET  # noqa: N815 -- the name that the library looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library's name
        del format, args


class _StubServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing: that brokenreg closes connections to such an upstream is expected."""
        del request, client_address


@contextlib.contextmanager
def _broken_upstream() -> Iterator[str]:
    with _StubServer(("127.0.0.1", 0), _Stub) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
