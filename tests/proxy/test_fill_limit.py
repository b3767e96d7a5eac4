"""A blob does not take more room than its manifest or the cache allows."""

from __future__ import annotations

import contextlib
import json
import os
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from brokenreg.oci.descriptors import described_sizes
from brokenreg.oci.digests import Digest
from brokenreg.proxy.cache.fill_limits import FillBudget
from tests import disks
from tests.proxy.chain import last
from tests.proxy.scripted import Answer, Scripted
from tests.registry.pushing import MIB, OCI_MANIFEST, digest_of, error_of, image
from tests.server import Brokenreg, brokenreg

CACHE = MIB
RIGHT = b"right" * 100


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, odd: Scripted) -> Iterator[Brokenreg]:
    arguments = ("--upstream", f"odd={odd.url}", "--cache-max-size", f"{CACHE}")
    with brokenreg(tmp_path_factory.mktemp("proxy") / "data", *arguments) as running:
        yield running


def describe(proxy: Brokenreg, odd: Scripted, name: str, blob: bytes, *sizes: int) -> str:
    """Let the proxy cache a manifest for each size of the blob, and return the blob's path."""
    for number, size in enumerate(sizes):
        document = json.loads(image(b"{}", blob, number=number))
        document["layers"][0]["size"] = size
        answer = Answer(headers={"content-type": OCI_MANIFEST}, body=json.dumps(document).encode())
        odd.answers[f"/v2/{name}/manifests/v{number}"] = answer
        assert httpx.get(f"{proxy.url}/v2/odd/{name}/manifests/v{number}").status_code == 200
    return f"/v2/{name}/blobs/{digest_of(blob)}"


def stored(proxy: Brokenreg) -> int:
    """Return the total size of all uploads and blobs. Files may disappear while this runs."""
    size = 0
    for path in [*(proxy.data / "uploads").iterdir(), *(proxy.data / "blobs" / "sha256").iterdir()]:
        with contextlib.suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


def stored_at_end(proxy: Brokenreg) -> int:
    """Return the total size of all blobs after all uploads have ended."""
    deadline = time.monotonic() + 10
    while any((proxy.data / "uploads").iterdir()):
        assert time.monotonic() < deadline, "an upload stays"
    return stored(proxy)


@pytest.mark.parametrize("is_chunked", [True, False])
def test_a_small_blob_that_is_too_long_is_an_error(proxy: Brokenreg, odd: Scripted, is_chunked: bool) -> None:
    path = describe(proxy, odd, f"small/{is_chunked}".lower(), RIGHT, len(RIGHT))
    odd.answers[path] = Answer(body=bytes(400_000), chunked=is_chunked)
    before = stored_at_end(proxy)
    error = error_of(httpx.get(f"{proxy.url}{path.replace('/v2/', '/v2/odd/')}"), 502)
    assert f"its manifest says {len(RIGHT)} bytes" in error["message"]
    assert stored_at_end(proxy) == before


def test_a_large_blob_that_is_too_long_is_cut_with_the_reason(proxy: Brokenreg, odd: Scripted) -> None:
    path = describe(proxy, odd, "large", RIGHT, 100_000)
    odd.answers[path] = Answer(body=bytes(900_000), chunked=True)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{proxy.url}{path.replace('/v2/', '/v2/odd/')}")
    reasons = [
        point["data"]["reason"]
        for point in last(proxy, "endpoint:layer")["timeline"]
        if point["kind"] == "response-cut-short"
    ]
    assert any("its manifest says 100000 bytes" in reason for reason in reasons), reasons


def test_the_largest_of_several_described_sizes_is_the_limit(proxy: Brokenreg, odd: Scripted) -> None:
    path = describe(proxy, odd, "disagree", RIGHT, 7, len(RIGHT), 70)
    odd.answers[path] = Answer(body=RIGHT, chunked=True)
    response = httpx.get(f"{proxy.url}{path.replace('/v2/', '/v2/odd/')}")
    assert (response.status_code, response.content) == (200, RIGHT)


@pytest.mark.parametrize("is_chunked", [True, False])
def test_without_a_descriptor_the_limit_is_that_of_the_cache(
    proxy: Brokenreg, odd: Scripted, is_chunked: bool
) -> None:
    path = f"/v2/bare/blobs/{digest_of(b'%d' % is_chunked)}"
    odd.answers[path] = Answer(body=bytes(4 * CACHE), chunked=is_chunked)
    before = stored_at_end(proxy)
    url = f"{proxy.url}{path.replace('/v2/', '/v2/odd/')}"
    if is_chunked:
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(url)
    else:
        assert "--cache-max-size" in error_of(httpx.get(url), 502)["message"]
    assert stored_at_end(proxy) == before


def test_a_described_blob_may_be_larger_than_the_cache(proxy: Brokenreg, odd: Scripted) -> None:
    blob = os.urandom(2 * CACHE)
    path = describe(proxy, odd, "beyond", blob, len(blob))
    odd.answers[path] = Answer(body=blob)
    assert httpx.get(f"{proxy.url}{path.replace('/v2/', '/v2/odd/')}").content == blob


class _Resumed(socketserver.StreamRequestHandler):
    """Announces 100,000 bytes and sends 70,000. Its response to the next request does not end."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            head = b"".join(iter(self.rfile.readline, b"\r\n")).lower()
            if b"range: bytes=70000-" not in head:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(70_000))
                return
            self.wfile.write(b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 70000-99999/*\r\n")
            self.wfile.write(b"Transfer-Encoding: chunked\r\n\r\n")
            for _ in range(100):
                self.wfile.write(b"10000\r\n" + bytes(65536) + b"\r\n")


def test_a_resumed_download_is_no_longer_than_it_was_announced(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Resumed))
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        url = f"http://127.0.0.1:{server.server_address[1]}"
        running = stack.enter_context(brokenreg(tmp_path / "data", "--upstream", f"odd={url}"))
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{running.url}/v2/odd/a/blobs/{digest_of(b'resumed')}")
        texts = [point["text"] for point in last(running, "endpoint:layer")["timeline"]]
        assert any("announced 100000" in text for text in texts), texts
        assert stored_at_end(running) == 0


def received(response: httpx.Response) -> int:
    """Return the number of bytes before the connection is cut."""
    count = 0
    with contextlib.suppress(httpx.RemoteProtocolError):
        for chunk in response.iter_raw():
            count += len(chunk)
    return count


def test_on_a_full_disk_the_limit_applies_to_each_reader(tmp_path: Path, odd: Scripted) -> None:
    with disks.small_disk(tmp_path / "disk", "2m") as disk:
        arguments = ("--upstream", f"odd={odd.url}")
        with brokenreg(disk / "data", *arguments) as running:
            path = describe(running, odd, "full", b"full", 3 * MIB)
            odd.answers[path] = Answer(body=bytes(8 * MIB), chunked=True)
            with httpx.stream("GET", f"{running.url}{path.replace('/v2/', '/v2/odd/')}") as response:
                came = received(response)
            assert MIB < came <= 3 * MIB


class _Pausing(socketserver.StreamRequestHandler):
    """Sends a blob of 700 KB, and its last 100 KB slowly until the test continues it."""

    blobs: ClassVar[dict[str, bytes]] = {}
    may_end = threading.Event()

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            path = self.rfile.readline().split()[1].decode()
            blob = self.blobs[path.rpartition("/")[2]]
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 700000\r\n\r\n")
            sent, size = 0, 600_000
            while part := blob[sent : sent + size]:
                self.wfile.write(part)
                sent, size = sent + len(part), 100_000 if self.may_end.wait(0.02) else 100


def test_concurrent_downloads_share_the_limit_of_the_cache(tmp_path: Path) -> None:
    """A blob that does not fit is sent but not cached, and the next one is cached again."""
    blobs = [os.urandom(700_000) for _ in range(3)]
    _Pausing.blobs = {digest_of(blob): blob for blob in blobs}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Pausing))
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        arguments = ("--upstream", f"odd=http://127.0.0.1:{server.server_address[1]}")
        limit = ("--cache-max-size", f"{CACHE}")
        running = stack.enter_context(brokenreg(tmp_path / "data", *arguments, *limit))
        stack.callback(_Pausing.may_end.set)
        urls = [f"{running.url}/v2/odd/a/blobs/{digest_of(blob)}" for blob in blobs]
        bodies = []
        for url in urls[:2]:
            body = stack.enter_context(httpx.stream("GET", url, timeout=30)).iter_raw(1000)
            bodies.append((body, [next(body) for _ in range(590)]))
        assert stored(running) <= CACHE
        _Pausing.may_end.set()
        assert [b"".join([*first, *body]) for body, first in bodies] == blobs[:2]
        deadline = time.monotonic() + 20  # clients have the last byte a moment before it is in the cache
        while httpx.get(f"{running.control}/v1/status").json()["blobs"] != 1:
            assert time.monotonic() < deadline
        assert httpx.get(urls[2], timeout=30).content == blobs[2]
        assert last(running, "endpoint:blob")["cache"] == "miss"
        assert httpx.get(urls[2], timeout=30).content == blobs[2]
        assert last(running, "endpoint:blob")["cache"] in ("hit", "joined")
        found = httpx.get(f"{running.control}/v1/exchanges?filter=endpoint:blob").json()
        timelines = [
            httpx.get(f"{running.control}/v1/exchanges/{each['id']}").json()["timeline"] for each in found
        ]
        points = [point for timeline in timelines for point in timeline]
        told = [point["text"] for point in points if point["kind"] == "not-cached"]
        assert told == ["not cached: other downloads use up --cache-max-size"]


def test_one_blob_at_a_time_is_larger_than_the_cache() -> None:
    whole = FillBudget(100)
    small, large, other = whole.reserve(), whole.reserve(), whole.reserve()
    assert small.grow_to(60)
    assert large.grow_to(30)
    assert large.grow_to(1000)
    assert small.grow_to(100)
    assert (whole.used, other.grow_to(200), other.grow_to(1), other.was_refused) == (100, False, False, True)
    for share in (small, large):
        share.release()
        share.release()
    assert (whole.used, other.grow_to(200), other.grow_to(300)) == (0, True, True)


def test_sizes_are_found_wherever_a_descriptor_is() -> None:
    digest = Digest.of(b"a")
    deep: dict[str, object] = {"digest": digest, "size": 3}
    for _ in range(5000):
        deep = {"inner": [deep]}
    document = {
        "config": {"digest": digest, "size": 1},
        "layers": [{"digest": digest, "size": 2}, {"digest": "x", "size": 9}],
    }
    assert described_sizes(json.dumps(document).encode(), digest) == {1, 2}
    for odd in (b"", b"no json", b"[" * 100_000, b'{"digest": 1, "size": "x"}', b"null"):
        assert described_sizes(odd, digest) == set()
    assert (
        described_sizes(json.dumps({"manifests": [{"digest": digest, "size": True}]}).encode(), digest)
        == set()
    )
