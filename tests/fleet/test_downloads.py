"""One replica downloads a blob from an upstream for all."""

from __future__ import annotations

import http.client
import random
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from brokenreg.fleet import downloads
from brokenreg.fleet.downloads import DownloadCalls
from brokenreg.proxy.cache import manifests, turns
from brokenreg.proxy.cache.download import BlobResponse
from brokenreg.proxy.cache.turns import DownloadLostError
from brokenreg.storage.shared import leases
from tests.fleet.fleets import Fleet, eventually, name_of, own_exchanges
from tests.proxy.chain import CONFIG, PLAIN, Chain, Reader, exchange
from tests.registry.pushing import MIB, digest_of
from tests.server import Brokenreg, brokenreg
from tests.storage.object_stores import S3, FailingProxy, environment, failing_proxy, s3_server

LAYER = random.Random("one download").randbytes(9 * MIB)
PATH = f"/v2/org/app/blobs/{digest_of(LAYER)}"
HELD = {"type": "hold", "at": "1MiB"}
LAYERS = "endpoint:layer"


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@dataclass
class Upstream:
    """The upstream of a fleet, with an image."""

    fleet: Fleet
    running: Brokenreg
    options: tuple[str, ...]

    def process(self, name: str) -> Any:
        """Start a replica."""
        return self.fleet.process(name, *self.options)

    def thread(self, name: str, *options: str) -> Brokenreg:
        """Start a replica in this process."""
        return self.fleet.thread(name, *self.options, *options)

    @property
    def chain(self) -> Chain:
        return Chain(self.running, self.running)

    def asked(self) -> int:
        """How often the layer was requested."""
        return len(self.chain.asked(LAYERS))

    def resume(self) -> None:
        """Resume the response that `HELD` holds."""
        eventually(lambda: bool(self.chain.asked("held:true")))
        resumed = httpx.post(f"{self.running.control}/v1/resume", verify=PLAIN)
        assert resumed.status_code == 200, resumed.text

    def ranges(self) -> list[str]:
        """The parts of the layer that were requested."""
        numbers = [each["id"] for each in self.chain.asked(LAYERS)]
        headers = [dict(exchange(self.running, each)["request_headers"]) for each in numbers]
        return [each.get("range", "") for each in headers]

    def leases(self) -> int:
        """How many downloads the replicas do."""
        return int(self.fleet.sql("SELECT count(*) FROM leases WHERE name LIKE 'download %'"))


@pytest.fixture
def store(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[FailingProxy]:
    """The object store of the fleet."""
    with failing_proxy(s3) as proxy:
        for name, value in environment(proxy.port).items():
            monkeypatch.setenv(name, value)
        yield proxy


@pytest.fixture
def upstream(store: FailingProxy, fleet: Fleet, tmp_path: Path) -> Iterator[Upstream]:
    with brokenreg(tmp_path / "upstream", "--offline") as running:
        blobs = f"s3://blobs-of-tests/{tmp_path.name}"
        upstream = Upstream(fleet, running, ("--upstream", f"quay.io={running.url}", "--blobs", blobs))
        upstream.chain.push_image("org/app", LAYER)
        yield upstream


def pull(at: Brokenreg) -> str:
    """Pull the layer, and return its digest or the status of the response."""
    response = httpx.get(at.url + PATH, timeout=60, verify=PLAIN)
    return digest_of(response.content) if response.status_code == 200 else str(response.status_code)


def test_twenty_clients_at_three_replicas_cause_one_request(upstream: Upstream) -> None:
    replicas = [upstream.process(name) for name in "abc"]
    with ThreadPoolExecutor(20) as threads:
        found = list(threads.map(pull, [replicas[number % 3] for number in range(20)]))
    assert found == [digest_of(LAYER)] * 20
    assert upstream.asked() == 1
    used = [each["cache"] for replica in replicas for each in own_exchanges(replica, LAYERS)]
    assert used.count("miss") == 1
    eventually(lambda: upstream.leases() == 0)


def test_clients_of_others_read_what_has_arrived(upstream: Upstream) -> None:
    first, second = (upstream.thread(name) for name in "ab")
    upstream.chain.rule({"type": "stall", "at": "1MiB"}, "layer")
    readers = [Reader(first, PATH)]
    assert readers[0].read(MIB) == LAYER[:MIB]
    readers.append(Reader(second, PATH))
    assert readers[1].length == len(LAYER)
    assert readers[1].read(MIB) == LAYER[:MIB]
    for reader in readers:
        reader.leave()
    eventually(lambda: bool(own_exchanges(second, LAYERS)[0]["ended"]))
    source = [
        each["data"]["source"]
        for each in exchange(second, own_exchanges(second, LAYERS)[0]["id"])["timeline"]
        if each["kind"] == "shared-download"
    ]
    assert source == [f"replica {name_of(first)}"]
    assert upstream.asked() == 1


def test_an_image_is_requested_once(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its manifest by tag, and its blobs, by 20 clients at three replicas."""
    monkeypatch.setattr(manifests, "PATIENCE", 60.0)
    replicas = [upstream.thread(name) for name in "abc"]

    def pull_image(at: Brokenreg) -> list[str]:
        with httpx.Client(base_url=at.url, timeout=60, verify=PLAIN) as http:
            manifest = http.get("/v2/org/app/manifests/v1").json()
            wanted = [each["digest"] for each in (manifest["config"], *manifest["layers"])]
            found = [digest_of(http.get(f"/v2/org/app/blobs/{each}").content) for each in wanted]
        assert found == wanted
        return found

    with ThreadPoolExecutor(20) as threads:
        found = list(threads.map(pull_image, [replicas[number % 3] for number in range(20)]))
    assert found == [[digest_of(CONFIG), digest_of(LAYER)]] * 20
    requested = sorted(each["endpoint"] for each in upstream.chain.asked("method:GET|HEAD"))
    assert requested == ["config", "layer", "manifest"]


@pytest.mark.slow
def test_another_continues_what_a_killed_replica_has_begun(upstream: Upstream) -> None:
    replicas = {name: upstream.process(name) for name in "abc"}
    upstream.chain.rule({"type": "stall", "at": "1MiB"}, "layer", times=1)
    reader = Reader(replicas["a"], PATH)
    assert reader.read(MIB)
    waiting = [Reader(replicas[name], PATH) for name in "bcbc"]
    begun = [each.read(MIB) for each in waiting]
    replicas["a"].process.send_signal(signal.SIGKILL)
    with ThreadPoolExecutor(4) as threads:
        rest = list(threads.map(lambda each: each.read(len(LAYER)), waiting))
    assert [first + second for first, second in zip(begun, rest, strict=True)] == [LAYER] * 4
    reader.leave()
    assert upstream.ranges() == ["", f"bytes={MIB}-"]


def test_another_continues_a_download_that_makes_no_progress(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "PATIENCE", 1)
    replicas = [upstream.thread(name) for name in "ab"]
    upstream.chain.rule({"type": "stall", "at": "1MiB"}, "layer", times=1)
    first = Reader(replicas[0], PATH)
    assert first.read(MIB)
    second = Reader(replicas[1], PATH)
    assert second.read(MIB)
    # Not shorter: the second download must not look stalled too on a busy machine.
    monkeypatch.setattr(turns, "STALLED", 1.0)
    monkeypatch.setattr(leases, "BEAT", 0.1)
    assert second.read(len(LAYER)) == LAYER[MIB:]
    first.leave()
    assert upstream.ranges() == ["", f"bytes={MIB}-"]


def test_an_upstream_that_fails(upstream: Upstream) -> None:
    """All clients get the error, and the next request tries it again."""
    replicas = [upstream.thread(name) for name in "abc"]
    upstream.chain.rule({"type": "error", "status": 500}, "layer")
    with ThreadPoolExecutor(9) as threads:
        assert set(threads.map(pull, replicas * 3)) == {"502"}
    eventually(lambda: upstream.leases() == 0)
    upstream.chain.mend()
    assert pull(replicas[1]) == digest_of(LAYER)


def test_a_wrong_blob_is_complete_nowhere(upstream: Upstream) -> None:
    """It is wrong in its first byte, and the response is cut before its last one."""
    replicas = [upstream.thread(name) for name in "ab"]
    upstream.chain.rule([{"type": "corrupt"}, HELD], "layer", times=1)
    readers = [Reader(each, PATH) for each in replicas]
    assert all(each.read(1) for each in readers)
    upstream.resume()
    assert all(1 + rest(each) < len(LAYER) for each in readers)
    assert pull(replicas[1]) == digest_of(LAYER)


def rest(reader: Reader) -> int:
    """The number of bytes until the response is cut, or 0 if that is not known."""
    try:
        return len(reader.read(len(LAYER)))
    except (http.client.IncompleteRead, ConnectionError):
        return 0


def test_a_client_that_disconnects_stops_waiting(upstream: Upstream) -> None:
    first, second = (upstream.thread(name) for name in "ab")
    upstream.chain.rule(HELD, "layer")
    reader = Reader(first, PATH)
    host, port = second.host.split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(f"GET {PATH} HTTP/1.1\r\nhost: {second.host}\r\n\r\n".encode())
        eventually(lambda: len(own_exchanges(second, LAYERS)) == 1)
    eventually(lambda: own_exchanges(second, LAYERS)[-1]["ended"] == "disconnected")
    upstream.resume()
    assert reader.digest() == digest_of(LAYER), "the download continues"
    assert upstream.asked() == 1


def test_a_blob_that_cannot_be_stored_is_still_shared(upstream: Upstream, store: FailingProxy) -> None:
    replicas = [upstream.thread(name) for name in "ab"]
    store.is_down = True
    upstream.chain.rule(HELD, "layer")
    readers = [Reader(each, PATH) for each in replicas]
    upstream.resume()
    assert {each.digest() for each in readers} == {digest_of(LAYER)}
    assert upstream.asked() == 1
    store.is_down = False


def test_replicas_that_cannot_call_each_other_wait_until_the_blob_is_stored(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DownloadCalls, "open", unreachable)
    replicas = [upstream.thread(name) for name in "ab"]
    upstream.chain.rule(HELD, "layer")
    first = Reader(replicas[0], PATH)
    with ThreadPoolExecutor(1) as threads:
        pulling = threads.submit(pull, replicas[1])
        eventually(lambda: len(own_exchanges(replicas[1], LAYERS)) == 1)
        upstream.resume()
        assert pulling.result(60) == first.digest() == digest_of(LAYER)
    assert upstream.asked() == 1


@asynccontextmanager
async def unreachable(*_: object) -> AsyncIterator[BlobResponse]:
    raise DownloadLostError("it cannot be reached")
    yield
