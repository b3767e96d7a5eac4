"""Blobs of upstreams in an object store: fetched once from the upstream, and evicted with their objects."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.proxy.chain import PLAIN, Chain, chain, last
from tests.registry.pushing import MIB, digest_of
from tests.storage.object_stores import S3, FailingProxy, environment, failing_proxy, s3_server

LAYER = random.Random("cached in an object store").randbytes(9 * MIB)
PATH = f"/v2/org/app/blobs/{digest_of(LAYER)}"


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture
def store(s3: S3) -> Iterator[FailingProxy]:
    with failing_proxy(s3) as proxy:
        yield proxy


@pytest.fixture
def pulled(tmp_path: Path, store: FailingProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chain]:
    for name, value in environment(store.port).items():
        monkeypatch.setenv(name, value)
    with chain(tmp_path, "--blobs", f"s3://blobs-of-tests/{tmp_path.name}") as running:
        running.push_image("org/app", LAYER)
        assert running.get("/v2/org/app/manifests/v1").status_code == 200
        yield running


def remove_copies(running: Chain) -> None:
    for file in (running.proxy.data / "blobs" / "sha256").iterdir():
        file.unlink()


def until_kept(running: Chain) -> None:
    """Wait until the layer is in the cache, which is soon after clients got the last byte."""
    until = time.monotonic() + 20
    while running.get(PATH) and last(running.proxy, "endpoint:layer")["cache"] != "hit":
        assert time.monotonic() < until


def test_a_blob_comes_from_its_upstream_once(pulled: Chain) -> None:
    until_kept(pulled)
    remove_copies(pulled)
    asked = len(pulled.asked("endpoint:layer"))
    assert pulled.get(PATH).content == LAYER
    assert pulled.get(PATH, headers={"range": "bytes=-5"}).content == LAYER[-5:]
    assert last(pulled.proxy, "endpoint:layer")["cache"] == "hit"
    assert len(pulled.asked("endpoint:layer")) == asked


def test_a_blob_is_served_while_the_store_is_down_but_not_cached(pulled: Chain, store: FailingProxy) -> None:
    store.is_down = True
    assert pulled.get(PATH).content == LAYER
    store.is_down = False
    until_kept(pulled)


def test_an_evicted_blob_is_removed_from_the_store(pulled: Chain, s3: S3, tmp_path: Path) -> None:
    until_kept(pulled)
    assert len(LAYER) in s3.objects(tmp_path.name).values()
    evict = f"{pulled.proxy.control}/v1/blobs/{digest_of(LAYER)}/evict"
    assert httpx.post(evict, verify=PLAIN).status_code == 204
    assert len(LAYER) not in s3.objects(tmp_path.name).values()
    assert pulled.get(PATH).content == LAYER


def test_a_lost_object_is_fetched_from_the_upstream_again(pulled: Chain, s3: S3, tmp_path: Path) -> None:
    until_kept(pulled)
    remove_copies(pulled)
    (key,) = [key for key, size in s3.objects(tmp_path.name).items() if size == len(LAYER)]
    s3.remove(tmp_path.name, key)
    lost = pulled.get(PATH)
    assert lost.status_code == 404
    assert "it is fetched again when it is requested" in lost.text
    until = time.monotonic() + 30
    while "it is no longer served" not in (warnings := pulled.proxy.warnings):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert "it is fetched again when it is requested" in warnings
    assert "push it again" not in warnings
    assert pulled.get(PATH).content == LAYER
