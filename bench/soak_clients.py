"""Clients of a soak as people use them, and as they end: they pull and push, are killed, stall and flood."""

from __future__ import annotations

import contextlib
import json
import random
import ssl
import time
from collections.abc import Callable, Iterator

from bench.http2_client import HTTP2Client
from bench.soak_curl import OCTETS, PUSHED, ContentError, Curl, Target, digest_of

_OCI = "application/vnd.oci.image.manifest.v1+json"
_TAGS = 40
"""Images that are pushed again and again: storage must not grow."""

_STREAMS = 50
"""Requests that one client has under way: half as many as servers allow."""

_RANDOM = "/v2/broken/random"
_PATIENCE = 5.0
_FAULTS = (
    "truncate_after-1000",
    "reset",
    "empty-reply",
    "malformed",
    "h2-reset_after-100000",
    "h2-goaway_after-100000",
    "stall_at-1000_dur-100ms",
    "wrong-length",
    "throttle_rate-16mib",
    "corrupt",
    "error_status-503",
    "latency_dur-50ms",
)
"""Faults of a layer's response: the connection is cut, or the response is late or wrong."""


class Client:
    """One client; each of `works` is a piece of work that begins and ends, as real clients do it."""

    def __init__(self, target: Target, number: int) -> None:
        self._target = target
        self._draw = random.Random(number)
        self._curl = Curl(target, self._draw)
        self._context = ssl.create_default_context(cafile=target.ca) if target.ca else None
        if self._context:
            self._context.set_alpn_protocols(["h2"])
        self._namespace = f"soak{number}"
        self._layer_digest = ""
        self._pushed = f"{PUSHED}/blobs/{target.digest}"
        self.works: dict[str, Callable[[], None]] = {
            "many small requests": self.request_much,
            "pull": self.pull,
            "push": self.push,
            "push an image": self.push_image,
            "killed pull": self.kill_pull,
            "killed push": self.kill_push,
            "fault": self.fault,
            "stalled streams": self.stall,
            "slow reader": self.read_slowly,
            "streams reset": self.reset_streams,
            "upload reset": self.reset_upload,
            "timeout": self.time_out,
            "held, then resumed": self.hold_and_resume,
            "held, then killed": self.hold_and_kill,
            "flood": self.flood,
        }

    def choose(self) -> str:
        """The name of a piece of work, at random."""
        return self._draw.choice(list(self.works))

    def prepare(self) -> None:
        """Push what all clients pull."""
        self.push()
        for number in range(_TAGS):
            self._push_image(number)

    def request_much(self) -> None:
        """Send small requests on many streams of one connection."""
        with self._http2() as connection:
            for _ in range(4):
                heads = [connection.request(self._pushed, "HEAD") for _ in range(_STREAMS // 5)]
                gets = [connection.request(self._small()) for _ in range(_STREAMS - len(heads))]
                connection.read_all([*heads, *gets])

    def pull(self) -> None:
        """Pull a layer by curl: pushed, or fabricated and requested by nobody before."""
        path, digest = self._pushed, self._target.digest
        if self._draw.randrange(2):
            tag = f"layers-1_size-100000_seed-{self._draw.randrange(1 << 30)}"
            manifest = json.loads(self._curl.run(f"{_RANDOM}/manifests/{tag}", status=200))
            digest = manifest["layers"][0]["digest"]
            path = f"{_RANDOM}/blobs/{digest}"
        if digest_of(self._curl.run(path, status=200)) != digest:
            raise ContentError(f"{path} has the wrong content")

    def push(self) -> None:
        """Push a layer by curl."""
        self._curl.upload(self._curl.begin_upload())

    def push_image(self) -> None:
        """Push one of a few small images by curl."""
        self._push_image(self._draw.randrange(_TAGS))

    def kill_pull(self) -> None:
        """Kill curl in the middle of a layer."""
        self._curl.killed_get(self._layer())

    def kill_push(self) -> None:
        """Kill curl in the middle of an upload, and cancel the upload."""
        where = self._curl.begin_upload()
        self._curl.killed_upload(where)
        self._curl.cancel_upload(where)

    def fault(self) -> None:
        """Have a fault applied to a layer; curl reports what it likes."""
        prefix = f"/v2/broken/with/{self._draw.choice(_FAULTS)}_endpoint-layer"
        self._curl.run(self._fabricated().replace("/v2", prefix, 1), "--output", "/dev/null")

    def stall(self) -> None:
        """Have responses wait for a window, then disconnect, or be killed."""
        with self._http2(self._draw.choice((0, 0, 1, 1000, 65535))) as connection:
            for _ in range(_STREAMS):
                connection.request(self._layer())
            connection.read(self._draw.uniform(0.1, 1), acknowledges=False)
            if self._draw.randrange(2):
                connection.kill()

    def read_slowly(self) -> None:
        """Read responses with small windows for a while, then be killed."""
        with self._http2(4096) as connection:
            for _ in range(10):
                connection.request(self._layer())
            connection.read(0.3)
            connection.kill()

    def reset_streams(self) -> None:
        """Cancel streams in the middle of their responses; the connection then serves others."""
        with self._http2() as connection:
            streams = [connection.request(self._layer()) for _ in range(20)]
            connection.read(0.1, acknowledges=False)
            for stream in streams:
                connection.reset(stream)
            connection.read_all([connection.request("/v2/")])

    def reset_upload(self) -> None:
        """Stop in the middle of an upload, then cancel the stream or be killed; cancel the upload."""
        where = self._curl.begin_upload()
        path = where.removeprefix(self._target.url)
        with self._http2() as connection:
            stream = connection.request(f"{path}digest={self._target.digest}", "PUT", end=False)
            connection.send(stream, 60_000)
            connection.read(0.2)
            if self._draw.randrange(2):
                connection.reset(stream)
                connection.read_all([connection.request("/v2/")])
            else:
                connection.kill()
        self._curl.cancel_upload(where)

    def time_out(self) -> None:
        """Wait for a response that takes long: until its end, or be killed before."""
        with self._http2() as connection:
            if self._draw.randrange(2):
                connection.read_all([connection.request("/v2/broken/timeout/manifests/dur-200ms")])
            else:
                for _ in range(10):
                    connection.request("/v2/broken/timeout/manifests/dur-30s")
                connection.read(0.2)
                connection.kill()

    def hold_and_resume(self) -> None:
        """Have a response held, and resume it."""
        with self._held() as (connection, stream):
            self._target.control("POST", f"/v1/resume?namespace={self._namespace}", {})
            connection.read_all([stream])

    def hold_and_kill(self) -> None:
        """Have a response held, and be killed."""
        with self._held() as (connection, _):
            connection.kill()

    def flood(self) -> None:
        """Send PINGs until the server ends the connection, while a response is under way."""
        with self._http2() as connection:
            connection.request("/v2/broken/timeout/manifests/dur-30s")
            connection.ping(5000)

    @contextlib.contextmanager
    def _held(self) -> Iterator[tuple[HTTP2Client, int]]:
        """Yield a connection with a stream whose response is held, by a rule of its own namespace."""
        control, namespace = self._target.control, self._namespace
        fault = {"type": "hold", "at": self._draw.choice(("headers", "64KiB"))}
        control("POST", f"/v1/rules?namespace={namespace}", {"fault": fault, "match": {"endpoint": "layer"}})
        path = self._fabricated().replace("/v2", f"/v2/broken/in/{namespace}", 1)
        with self._http2() as connection:
            stream = connection.request(path)
            deadline = time.monotonic() + _PATIENCE
            while not any(each["held"] for each in control("GET", f"/v1/exchanges?namespace={namespace}")):
                if time.monotonic() > deadline:
                    raise ContentError(f"a response was not held within {_PATIENCE:g} s")
                connection.read(0.02)
            yield connection, stream
        control("POST", f"/v1/reset?namespace={namespace}", {})

    def _http2(self, window: int | None = None) -> HTTP2Client:
        return HTTP2Client(self._target.own.host, self._context, window)

    def _push_image(self, number: int) -> None:
        blob = f"content {number}".encode() * 4096
        digest = digest_of(blob)
        path = f"{PUSHED}/blobs/uploads/?digest={digest}"
        self._curl.run(path, "-X", "POST", "-H", OCTETS, "--data-binary", "@-", body=blob, status=201)
        layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": len(blob)}
        manifest = json.dumps({"schemaVersion": 2, "mediaType": _OCI, "config": layer, "layers": [layer]})
        options = "-H", f"Content-Type: {_OCI}", "--upload-file", "-"
        self._curl.run(f"{PUSHED}/manifests/v{number}", *options, body=manifest.encode(), status=201)

    def _small(self) -> str:
        """Return the path of a ping, a manifest, one that does not exist, or tags."""
        number = self._draw.randrange(_TAGS)
        pushed = f"{PUSHED}/manifests/v{number}", f"{PUSHED}/manifests/none-{number}", f"{PUSHED}/tags/list"
        fabricated = f"{_RANDOM}/manifests/layers-1_size-100000_seed-{number}"
        return self._draw.choice(("/v2/", *pushed, fabricated))

    def _layer(self) -> str:
        """Return the path of a large layer, pushed or fabricated."""
        return self._pushed if self._draw.randrange(2) else self._fabricated()

    def _fabricated(self) -> str:
        """Return the path of a layer of 4 MiB that is fabricated while it is sent."""
        if not self._layer_digest:
            manifest = json.loads(self._curl.run(f"{_RANDOM}/manifests/layers-1_size-4mib", status=200))
            self._layer_digest = manifest["layers"][0]["digest"]
        return f"{_RANDOM}/blobs/{self._layer_digest}"
