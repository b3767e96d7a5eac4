"""A download that is cut several times is completed, and the ranges in responses are checked."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import disks
from tests.proxy.chain import Chain, Reader, cut_after, last
from tests.proxy.scripted import Answer, Received, Scripted
from tests.registry.pushing import MIB, OCI_MANIFEST, digest_of, image
from tests.server import Brokenreg, brokenreg

STEP = 100_000
"""Bytes that each request brings before it is cut."""

Ranges = Callable[[int, bytes], Answer]
"""What is answered to a request from an offset on, of a blob."""


@pytest.fixture(scope="module")
def proxy(odd: Scripted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokenreg]:
    with brokenreg(tmp_path_factory.mktemp("proxy"), "--upstream", f"quay.io={odd.url}") as running:
        yield running


def serve(odd: Scripted, first: Answer, ranges: Ranges, blob: bytes) -> str:
    """Set the upstream's responses for a blob and for its ranges. Return the blob's path."""

    def answer(received: Received) -> Answer:
        if received.method == "HEAD" or "range" not in received.headers:
            return first
        return ranges(int(received.headers["range"].removeprefix("bytes=").removesuffix("-")), blob)

    odd.asked.clear()
    path = f"/v2/org/app/blobs/{digest_of(blob)}"
    odd.answers = {path: answer}
    return path


def cut(
    status: int, begin: int, blob: bytes, *, told: str = "", brings: int = STEP, **headers: str
) -> Answer:
    """Return a response that is cut after some bytes."""
    whole = {"content-length": str(len(blob) - begin), **headers}
    if status == 206:
        whole["content-range"] = told or f"bytes {begin}-{len(blob) - 1}/{len(blob)}"
    return Answer(status, whole, blob[begin : begin + brings])


def test_as_often_as_needed(odd: Scripted, proxy: Brokenreg) -> None:
    """Forty requests, each of which makes some progress."""
    blob = random.randbytes(40 * STEP - 5)
    path = serve(odd, cut(200, 0, blob), lambda begin, blob: cut(206, begin, blob), blob)
    assert both(proxy).get(path).content == blob
    assert len(odd.asked) == 40
    assert f"download resumed at byte {STEP}:" in timeline_of(proxy, blob)
    assert f"download resumed at byte {39 * STEP}:" in timeline_of(proxy, blob)


def test_not_without_progress(odd: Scripted, proxy: Brokenreg) -> None:
    blob = random.randbytes(3 * STEP)
    path = serve(odd, cut(200, 0, blob), lambda begin, blob: cut(206, begin, blob, brings=0), blob)
    assert cut_after(proxy, path) == STEP
    assert len(odd.asked) == 1 + 5
    assert timeline_of(proxy, blob).count(f"download resumed at byte {STEP}:") == 5


def test_little_progress_is_not_enough_without_clients(odd: Scripted, proxy: Brokenreg) -> None:
    """Otherwise an upstream could keep brokenreg busy forever with single bytes."""
    blob = random.randbytes(3 * STEP)
    has_left = threading.Event()

    def ranges(begin: int, blob: bytes) -> Answer:
        has_left.wait(10)
        return cut(206, begin, blob, brings=1)

    path = serve(odd, cut(200, 0, blob), ranges, blob)
    reader = Reader(proxy, path)
    assert reader.read(1000) == blob[:1000]
    reader.leave()
    until(lambda: last(proxy, f"reference:{digest_of(blob)}")["ended"] is not None)
    has_left.set()
    until(lambda: not list((proxy.data / "uploads").iterdir()))
    assert len(odd.asked) == 1 + 5


def until(is_so: Callable[[], bool]) -> None:
    """Wait for a condition, for a limited time."""
    limit = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_the_rest_beyond_a_full_disk_is_resumed_too(odd: Scripted, tmp_path: Path) -> None:
    blob = random.randbytes(3 * MIB)
    path = serve(odd, cut(200, 0, blob), lambda begin, blob: cut(206, begin, blob), blob)
    with (
        disks.small_disk(tmp_path / "disk", "2m") as disk,
        brokenreg(disk / "proxy", "--upstream", f"quay.io={odd.url}") as small,
    ):
        assert both(small).get(path).content == blob


HEALED: list[tuple[str, Ranges]] = [
    ("the whole in place of a range", lambda begin, blob: Answer(200, {}, blob)),
    ("a range that begins earlier", lambda begin, blob: cut(206, begin - 7, blob, brings=len(blob))),
    ("a part of the range", lambda begin, blob: cut(206, begin, blob)),
    (
        "no size",
        lambda begin, blob: cut(206, begin, blob, told=f"bytes {begin}-{len(blob) - 1}/*", brings=len(blob)),
    ),
    ("another ETag", lambda begin, blob: cut(206, begin, blob, brings=len(blob), etag='"other"')),
]


@pytest.mark.parametrize("ranges", [each for _, each in HEALED], ids=[name for name, _ in HEALED])
def test_ranges_that_can_be_used(odd: Scripted, proxy: Brokenreg, ranges: Ranges) -> None:
    blob = random.randbytes(3 * STEP)
    path = serve(odd, cut(200, 0, blob, etag='"one"'), ranges, blob)
    assert both(proxy).get(path).content == blob


LIES: list[tuple[str, Ranges, str]] = [
    (
        "a range that begins later",
        lambda begin, blob: cut(206, begin + 7, blob, brings=len(blob)),
        f"responded with bytes {STEP + 7}-.* to a request for a blob from byte {STEP} on",
    ),
    (
        "no range",
        lambda begin, blob: Answer(206, {}, blob[begin:]),
        f"responded with no range to a request for a blob from byte {STEP} on",
    ),
    (
        "another size",
        lambda begin, blob: cut(206, begin, blob, told=f"bytes {begin}-{len(blob)}/{len(blob) + 1}"),
        f"changed the size of blob .* from {3 * STEP} to {3 * STEP + 1} bytes",
    ),
    (
        "another whole",
        lambda begin, blob: Answer(200, {}, blob + b"more"),
        f"changed the size of blob .* to {3 * STEP + 4} bytes",
    ),
    (
        "other bytes and another ETag",
        lambda begin, blob: cut(206, begin, bytes(len(blob)), brings=len(blob), etag='"other"'),
        f"sent {3 * STEP} bytes with the digest sha256:.*; its ETag changed during the download",
    ),
    (
        "not satisfiable",
        lambda begin, blob: Answer(416, {"content-range": "bytes */5"}),
        "responded with 416",
    ),
]


@pytest.mark.parametrize(("ranges", "reason"), [each[1:] for each in LIES], ids=[each[0] for each in LIES])
def test_invalid_ranges(odd: Scripted, proxy: Brokenreg, ranges: Ranges, reason: str) -> None:
    blob = random.randbytes(3 * STEP)
    path = serve(odd, cut(200, 0, blob, etag='"one"'), ranges, blob)
    cut_after(proxy, path)
    told = timeline_of(proxy, blob)
    assert re.search(reason, told), told
    assert len(odd.asked) == 2


def test_a_body_of_unknown_length_is_resumed_up_to_its_described_size(
    odd: Scripted, proxy: Brokenreg
) -> None:
    """Its end looks like a cut, but a manifest gives the size."""
    blob = random.randbytes(3 * STEP)
    first = Answer(200, {}, blob[:STEP], chunked=True)
    path = serve(odd, first, lambda begin, blob: Answer(206, range_of(begin, blob), blob[begin:]), blob)
    odd.answers["/v2/org/app/manifests/v1"] = Answer(200, {"content-type": OCI_MANIFEST}, image(b"{}", blob))
    assert both(proxy).get("/v2/org/app/manifests/v1").status_code == 200
    assert both(proxy).get(path).content == blob


def range_of(begin: int, blob: bytes) -> dict[str, str]:
    return {"content-range": f"bytes {begin}-{len(blob) - 1}/{len(blob)}"}


def test_a_complete_body_without_its_last_chunk(odd: Scripted, proxy: Brokenreg) -> None:
    """A chunked body without its last chunk. The 416 for the next range shows that it was complete."""
    blob = random.randbytes(STEP)
    first = Answer(200, {"transfer-encoding": "chunked"}, b"%x\r\n%b\r\n" % (len(blob), blob))
    end = Answer(416, {"content-range": f"bytes */{len(blob)}"}, bytes(2 * MIB))
    path = serve(odd, first, lambda begin, blob: end, blob)
    assert both(proxy).get(path).content == blob


def both(proxy: Brokenreg) -> Chain:
    return Chain(proxy, proxy)


def timeline_of(proxy: Brokenreg, blob: bytes) -> str:
    return json.dumps(last(proxy, f"reference:{digest_of(blob)}")["timeline"])
