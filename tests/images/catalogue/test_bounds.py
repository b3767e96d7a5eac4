"""Hostile images need little memory and time of ours, whatever they cost a client."""

from __future__ import annotations

import gc
import hashlib
import time
import tracemalloc
from collections.abc import Iterator

import httpx
import pytest

from brokenreg.images.catalogue import CATALOGUE
from brokenreg.images.catalogue.tags import kind_of
from tests.images.catalogue.reading import image_of
from tests.process import BrokenregProcess, brokenreg_process

HOSTILE = [
    "content-bomb",
    "content-gzip-bomb",
    "content-many-files",
    "content-sparse_size-1tib",
    "content-pax-bomb_size-256mib",
    "content-name-long_size-50000",
    "layers-many_count-1000",
    "config-large_size-256mib",
    "manifest-large_size-8mib",
    "manifest-deep_depth-1000000",
    "index-many_count-5000",
    "index-nested_depth-1000",
    "artifact-referrers_count-5000",
]
_PIECE = 256 * 1024
_MIB = 1024**2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokenregProcess]:
    """A brokenreg that has served a small image of each of these kinds."""
    with brokenreg_process(tmp_path_factory.mktemp("hostile")) as server:
        for tag in ("content-bomb_size-1mib", "content-gzip-bomb_size-1mib", "content-many-files_files-9000"):
            pull(server, tag)
        yield server


def pull(server: BrokenregProcess, tag: str) -> None:
    """Download blobs, manifests and lists of referrers, and check them against their digests."""
    url = f"{server.url}/v2/broken/image"
    with httpx.Client(timeout=60) as http:
        root = http.get(f"{url}/manifests/{tag}")
        pull_referrers(http, f"{url}/referrers/{root.headers['docker-content-digest']}")
        if "-deep" in tag:  # Python cannot parse it
            return
        manifest = root.json()
        while "manifests" in manifest:
            child = http.get(f"{url}/manifests/{manifest['manifests'][-1]['digest']}")
            manifest = child.json()
        for blob in (manifest["config"], *manifest["layers"][-3:]):
            hasher = hashlib.sha256()
            with http.stream("GET", f"{url}/blobs/{blob['digest']}") as response:
                for data in response.iter_raw(_MIB):
                    hasher.update(data)
            assert f"sha256:{hasher.hexdigest()}" == blob["digest"]


def pull_referrers(http: httpx.Client, url: str | None) -> None:
    while url is not None:
        page = http.get(url)
        page.raise_for_status()
        last = page.links.get("next", {}).get("url")
        url = None if last is None else str(page.url.join(last))


@pytest.mark.slow
@pytest.mark.parametrize("tag", HOSTILE)
def test_memory(server: BrokenregProcess, tag: str) -> None:
    before = server.resident()
    pull(server, tag)
    assert server.resident() - before < 20 * _MIB


@pytest.mark.parametrize("tag", HOSTILE)
def test_no_read_blocks_a_thread(tag: str) -> None:
    blob = max(image_of(tag).blobs.values(), key=lambda each: each.size)
    for offset in range(0, blob.size, max(_PIECE, blob.size // 300)):
        began = time.thread_time()
        blob.read(offset, _PIECE)
        assert time.thread_time() - began < 0.02


@pytest.mark.parametrize("tag", [*CATALOGUE, *HOSTILE])
def test_an_image_says_how_much_memory_it_needs(tag: str) -> None:
    kind_of(f"{tag}_seed-1").image()  # fills caches
    gc.collect()
    tracemalloc.start()
    try:
        image = kind_of(f"{tag}_seed-2" if "many-files" not in tag else "content-many-files_files-9").image()
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The tables of many files are in a cache of their own.
    assert used < image.memory + 64 * 1024 + ("many-files" in tag) * _MIB


@pytest.mark.parametrize("tag", HOSTILE)
def test_an_image_is_made_in_time(tag: str) -> None:
    began = time.thread_time()
    kind_of(tag).image()
    assert time.thread_time() - began < 3
