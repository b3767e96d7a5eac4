"""Blobs through the proxy: clients share one request upstream, and never get a complete wrong blob."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import disks
from tests.process import brokenreg_process
from tests.proxy.chain import PLAIN, Chain, Reader, chain, cut_after, last
from tests.proxy.scripted import Answer, scripted
from tests.registry.pushing import MIB, digest_of, error_of
from tests.server import brokenreg

SLOW = {"type": "throttle", "rate": "2MiB"}
CLIENTS = 50
LARGE = 96 * MIB
"""What `python -m bench proxy` does with 256 MiB."""

MEMORY = 150 * MIB


@dataclass
class Pulled(Chain):
    """A proxy with its upstream, and an image of one layer to pull."""

    layer: bytes

    @classmethod
    def push(cls, running: Chain) -> Pulled:
        pulled = cls(running.upstream, running.proxy, random.randbytes(3 * MIB))
        pulled.push_image("org/app", pulled.layer)
        return pulled

    @property
    def digest(self) -> str:
        return digest_of(self.layer)

    @property
    def path(self) -> str:
        return f"/v2/org/app/blobs/{self.digest}"

    def until_sent(self) -> None:
        """Wait until the upstream's exchanges for the layer have ended."""
        with httpx.stream("GET", f"{self.upstream.control}/v1/events", timeout=30) as events:
            if not [asked for asked in self.asked("endpoint:layer method:GET") if asked["ended"]]:
                next(line for line in events.iter_lines() if '"ended":"' in line and self.digest in line)

    def until_dropped(self) -> None:
        """Wait until the proxy has deleted the received bytes. The collector does so soon after the start."""
        limit = time.monotonic() + 10
        while self.is_kept():
            assert time.monotonic() < limit
            time.sleep(0.01)

    def until_kept(self) -> None:
        """Wait until the layer is in the cache, which is soon after clients got the last byte."""
        limit = time.monotonic() + 10
        while self.get(self.path) and last(self.proxy, "endpoint:layer")["cache"] != "hit":
            assert time.monotonic() < limit

    def is_kept(self) -> bool:
        """Return whether the proxy has a file with that digest, or an upload for it."""
        folder = self.proxy.data
        named = folder / "blobs" / self.digest.replace(":", "/")
        # In this order: between the two it may become the other, and never the other way round.
        return any((folder / "uploads").iterdir()) or named.exists()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A proxy with its upstream, shared by the tests that do not stop either."""
    with chain(tmp_path_factory.mktemp("chain")) as running:
        yield running


@pytest.fixture
def both(running: Chain) -> Pulled:
    """A proxy with its upstream, a new layer, no rules and empty logs."""
    running.mend()
    assert httpx.post(f"{running.proxy.control}/v1/reset").status_code == 204
    return Pulled.push(running)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Pulled]:
    """A proxy with its upstream, for a test that stops one of them."""
    with chain(tmp_path) as running:
        yield Pulled.push(running)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB, which is smaller than the layer."""
    with disks.small_disk(tmp_path / "disk", "2m") as disk:
        yield disk


@pytest.mark.slow
def test_fifty_clients_share_one_request(tmp_path: Path) -> None:
    block = random.Random("block").randbytes(MIB)
    large = block * (LARGE // MIB)
    digest = digest_of(large)
    with chain(tmp_path, start=brokenreg_process) as both, ThreadPoolExecutor(CLIENTS) as pool:
        both.push_image("org/large", large)
        del large
        path = f"/v2/org/large/blobs/{digest}"
        pulls = [pool.submit(lambda: Reader(both.proxy, path).digest()) for _ in range(CLIENTS)]
        assert {pull.result() for pull in pulls} == {digest}
        assert [asked["method"] for asked in both.asked("endpoint:layer method:GET")] == ["GET"]
        assert both.proxy.resident() < MEMORY


@pytest.mark.slow
def test_a_client_that_disconnects_does_not_stop_the_download(both: Pulled) -> None:
    both.rule(SLOW, "layer")
    reader = Reader(both.proxy, both.path)
    assert reader.read(1000) == both.layer[:1000]
    reader.leave()
    assert both.get(both.path).content == both.layer
    assert len(both.asked("endpoint:layer method:GET")) == 1
    assert last(both.proxy, "endpoint:layer")["cache"] == "joined"


@pytest.mark.slow
def test_a_download_without_clients_is_completed(own: Pulled) -> None:
    own.rule(SLOW, "layer")
    reader = Reader(own.proxy, own.path)
    reader.read(1000)
    reader.leave()
    own.until_sent()
    own.upstream.stop()
    assert own.get(own.path).content == own.layer
    assert last(own.proxy, "endpoint:layer")["cache"] in ("hit", "joined")


def test_what_was_fetched_is_served_from_disk(own: Pulled) -> None:
    assert own.get(own.path).content == own.layer
    assert last(own.proxy, "endpoint:layer")["cache"] == "miss"
    own.upstream.stop()
    own.until_kept()
    assert own.get(own.path).content == own.layer
    assert last(own.proxy, "endpoint:layer")["cache"] == "hit"
    head = httpx.head(f"{own.proxy.url}{own.path}")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(own.layer)))


@pytest.mark.slow
def test_a_range_waits_for_its_offset(both: Pulled) -> None:
    both.rule(SLOW, "layer")
    begin = 2 * MIB + 5
    reader = Reader(both.proxy, both.path)
    part = both.get(both.path, headers={"range": f"bytes={begin}-{begin + 99}"})
    assert (part.status_code, part.content) == (206, both.layer[begin : begin + 100])
    assert reader.digest() == both.digest
    assert len(both.asked("endpoint:layer method:GET")) == 1


def test_a_download_that_is_cut_is_resumed(both: Pulled) -> None:
    both.rule({"type": "truncate", "after": "1MiB"}, "layer", times=1)
    assert both.get(both.path).content == both.layer
    first, second = both.asked("endpoint:layer method:GET")
    assert (first["status"], second["status"]) == (200, 206)


@pytest.mark.parametrize(
    "fault",
    [
        {"type": "truncate", "after": 0},
        {"type": "truncate", "after": 0, "end": "rst"},
        {"type": "corrupt", "offset": 5},
        {"type": "corrupt", "offset": 3 * MIB - 1},
        {"type": "wrong-length", "form": "longer", "by": 10},
        {"type": "wrong-length", "form": "shorter", "by": 10},
    ],
    ids=str,
)
def test_a_wrong_blob_is_never_complete_and_the_next_attempt_succeeds(
    both: Pulled, fault: dict[str, object]
) -> None:
    both.rule(fault, "layer")
    cut_after(both.proxy, both.path)
    assert not both.is_kept()
    both.mend()
    assert both.get(both.path).content == both.layer
    assert both.is_kept()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"type": "corrupt", "offset": 5}, f"quay.io sent {3 * MIB} bytes with the digest sha256:"),
        (
            {"type": "truncate", "after": 0},
            f"quay.io (at {{}}) violated HTTP: peer closed connection without sending "
            f"complete message body (received 0 bytes, expected {3 * MIB})",
        ),
    ],
    ids=["wrong digest", "no progress"],
)
def test_the_timeline_has_the_reason_for_a_cut(tmp_path: Path, fault: dict[str, object], reason: str) -> None:
    with chain(tmp_path) as running:
        own = Pulled.push(running)
        own.rule(fault, "layer")
        cut_after(own.proxy, own.path)
        timeline = json.dumps(last(own.proxy, "endpoint:layer")["timeline"])
        own.proxy.stop()
    told = reason.format(own.upstream.host)
    assert f"cut short: {told}" in timeline
    assert told in own.proxy.warnings


def test_the_error_names_the_sender_of_a_wrong_blob(tmp_path: Path) -> None:
    path = f"/v2/org/app/blobs/{digest_of(b'other bytes')}"
    with scripted() as upstream, scripted() as cdn:
        upstream.answers[path] = Answer(307, {"location": f"{cdn.url}/blob?signature=s1gned"})
        cdn.answers["/blob"] = Answer(body=bytes(MIB))
        with brokenreg(tmp_path, "--upstream", f"quay.io={upstream.url}") as proxy:
            cut_after(proxy, path)
            timeline = json.dumps(last(proxy, "endpoint:layer")["timeline"])
    cut = f"cut short: {cdn.url.removeprefix('http://')} (to which quay.io redirects) sent {MIB} bytes"
    assert cut in timeline
    assert "s1gned" not in timeline


@pytest.mark.slow
def test_clients_share_a_request_for_a_size(both: Pulled) -> None:
    assert both.get("/v2/org/app/manifests/v1").status_code == 200
    both.rule({"type": "latency", "dur": "3s"}, "layer")
    with ThreadPoolExecutor(4) as pool:
        url = f"{both.proxy.url}/quay.io{both.path}"  # for names without a host nobody waits as long
        heads = list(pool.map(lambda _: httpx.head(url, timeout=30, verify=PLAIN), range(4)))
    assert {int(head.headers["content-length"]) for head in heads} == {len(both.layer)}
    assert len(both.asked("endpoint:layer method:HEAD")) == 1


@pytest.mark.parametrize(
    "fault",
    [
        *({"type": "error", "status": status} for status in (401, 403, 404, 405)),
        {"type": "redirect", "form": "expired"},
    ],
    ids=str,
)
def test_a_get_follows_a_refused_head(both: Pulled, fault: dict[str, Any]) -> None:
    """For a blob that another repository has cached, and for a HEAD."""
    other = f"/v2/org/other-{both.digest[-8:]}"
    both.push_image(other.removeprefix("/v2/"), both.layer)
    assert both.get(f"{other}/manifests/v1").status_code == 200
    both.rule(fault, "layer", match={"method": "HEAD"})
    other = f"{other}/blobs/{both.digest}"
    head = httpx.head(f"{both.proxy.url}{other}", timeout=30, verify=PLAIN)
    assert (head.status_code, int(head.headers["content-length"])) == (200, len(both.layer))
    assert both.get(both.path).content == both.layer
    assert both.get(other).content == both.layer
    both.push_image("org/third", both.layer)
    both.rule({"type": "error", "status": 403}, "layer")
    named = f"/quay.io/v2/org/third/blobs/{both.digest}"  # which is in the cache, and not for this one
    assert error_of(both.get(named), 403)["code"] == "DENIED"


def test_an_unknown_length(both: Pulled) -> None:
    """Without a Content-Length from the upstream, clients get none, but the end is still detected."""
    both.push_image("org/app", both.layer, tag="length")
    assert both.get("/v2/org/app/manifests/length").status_code == 200  # which names the layer
    both.rule({"type": "wrong-length", "form": "absent"}, "layer")
    head = httpx.head(f"{both.proxy.url}{both.path}", timeout=30, verify=PLAIN)
    assert head.status_code == 200
    assert "content-length" not in head.headers
    assert both.get(both.path).content == both.layer


@pytest.mark.slow
def test_killed_in_the_middle(tmp_path: Path) -> None:
    with chain(tmp_path, start=brokenreg_process) as running:
        killed_in_the_middle(Pulled.push(running))


def killed_in_the_middle(own: Pulled) -> None:
    own.rule(SLOW, "layer")
    reader = Reader(own.proxy, own.path)
    assert reader.read(1000) == own.layer[:1000]
    own.proxy.stop(signal.SIGKILL)
    own.until_sent()  # else it is in the log still
    own.mend()
    with brokenreg(own.proxy.data, "--upstream", f"quay.io={own.upstream.url}") as again:
        own.until_dropped()
        assert httpx.get(f"{again.url}{own.path}").content == own.layer
        assert last(again, "endpoint:layer")["cache"] == "miss"
    assert [asked["status"] for asked in own.asked("endpoint:layer method:GET")] == [200]


def test_stopped_in_the_middle(own: Pulled) -> None:
    own.rule({"type": "stall", "at": "2MiB"}, "layer")
    reader = Reader(own.proxy, own.path)
    assert reader.read(MIB) == own.layer[:MIB]
    assert own.proxy.stop() == 0
    reader.leave()
    assert not own.is_kept()


def test_an_upstream_that_stalls_in_the_middle(tmp_path: Path) -> None:
    with chain(tmp_path, "--upstream-timeout", "300ms") as running:
        both = Pulled.push(running)
        both.rule({"type": "stall", "at": "2MiB"}, "layer")
        assert both.get(both.path).content == both.layer
        assert [asked["status"] for asked in both.asked("endpoint:layer method:GET")] == [200, 206]
        timeline = str(last(both.proxy, "endpoint:layer")["timeline"])
        who = f"quay.io (at {both.upstream.host})"
        assert (
            f"download resumed at byte {2 * MIB}: "
            f"{who} did not respond in time, or stopped during its response" in timeline
        )


def test_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    """Clients are served, nothing is cached, a warning is logged, and a wrong blob is never complete."""
    with brokenreg(tmp_path / "upstream", "--offline") as upstream:
        options = ("--upstream", f"quay.io={upstream.url}")
        with brokenreg(small_disk / "proxy", *options) as proxy, ThreadPoolExecutor(4) as pool:
            both = Pulled.push(Chain(upstream, proxy))
            assert all(
                content == both.layer for content in pool.map(lambda _: both.get(both.path).content, range(4))
            )
            begin = len(both.layer) - 10
            part = both.get(both.path, headers={"range": f"bytes={begin}-"})
            assert (part.status_code, part.content) == (206, both.layer[begin:])
            assert not both.is_kept()
            both.rule({"type": "corrupt", "offset": 5}, "layer")
            cut_after(proxy, both.path)
            assert both.get("/v2/org/app/manifests/v1").status_code == 200
            assert "the data folder is full" in proxy.warnings
