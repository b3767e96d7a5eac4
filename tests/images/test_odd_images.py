"""`broken/image:<kind>` over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from brokenreg.images.catalogue import CATALOGUE
from brokenreg.images.catalogue.tags import kind_of
from brokenreg.images.odd_images import OddImages
from brokenreg.oci.errors import OCIError
from tests.images.stores import DictStore
from tests.registry.pushing import digest_of, error_of
from tests.server import brokenreg

URL = "/v2/broken/image"
SMALL = 1024 * 1024


@pytest.mark.parametrize("name", CATALOGUE)
async def test_all_content_is_served_as_it_is(name: str, http: httpx.AsyncClient) -> None:
    image = kind_of(name).image()
    response = await http.get(f"{URL}/manifests/{name}")
    root = image.manifests[image.root]
    assert response.content == root.manifest
    assert response.headers["docker-content-digest"] == image.root
    assert response.headers["content-type"] == root.media_type
    for digest, manifest in list(image.manifests.items())[:20]:
        response = await http.get(f"{URL}/manifests/{digest}")
        assert (response.status_code, response.content) == (200, manifest.manifest)
    for digest, blob in list(image.blobs.items())[:20]:
        if blob.size > SMALL:
            response = await http.get(f"{URL}/blobs/{digest}", headers={"range": "bytes=100-199"})
            assert (response.status_code, response.content) == (206, blob.read(100, 100))
        else:
            response = await http.get(f"{URL}/blobs/{digest}")
            assert (response.status_code, response.content) == (200, blob.read(0, blob.size))


async def test_with_a_fault_in_a_namespace(http: httpx.AsyncClient) -> None:
    url = "/v2/broken/in/job/broken/with/error_status-418_times-1/broken/image/manifests/index-empty"
    assert [(await http.get(url)).status_code for _ in range(2)] == [418, 200]


async def test_layers_match_by_position(http: httpx.AsyncClient) -> None:
    manifest = (await http.get(f"{URL}/manifests/config-history-too-long")).json()
    faulty = "/v2/broken/with/error_status-418_endpoint-layer/broken/image/blobs"
    assert (await http.get(f"{faulty}/{manifest['layers'][0]['digest']}")).status_code == 418
    assert (await http.get(f"{faulty}/{manifest['config']['digest']}")).status_code == 200


async def test_a_kind_that_does_not_exist(http: httpx.AsyncClient) -> None:
    response = await http.get(f"{URL}/manifests/index-empt")
    error = error_of(response, 404)
    assert error["code"] == "MANIFEST_UNKNOWN"
    assert "did you mean broken/image:index-empty?" in error["message"]


async def test_it_cannot_be_changed(http: httpx.AsyncClient) -> None:
    assert (await http.put(f"{URL}/manifests/index-empty", content=b"{}")).status_code == 403


def test_a_digest_is_known_after_a_restart(tmp_path: Path) -> None:
    with brokenreg(tmp_path) as server:
        manifest = httpx.get(f"{server.url}{URL}/manifests/config-history-too-long")
    digests: list[Any] = [each["digest"] for each in (manifest.json()["config"], *manifest.json()["layers"])]
    with brokenreg(tmp_path) as server:
        for digest in digests:
            assert digest_of(httpx.get(f"{server.url}{URL}/blobs/{digest}").content) == digest
        by_digest = f"{server.url}{URL}/manifests/{digest_of(manifest.content)}"
        assert httpx.get(by_digest).content == manifest.content


def test_the_digest_of_a_large_index_is_known_after_a_restart(tmp_path: Path) -> None:
    with brokenreg(tmp_path) as server:
        index = httpx.get(f"{server.url}{URL}/manifests/index-many")
    with brokenreg(tmp_path) as server:
        by_digest = f"{server.url}{URL}/manifests/{digest_of(index.content)}"
        assert httpx.get(by_digest).content == index.content


async def test_memory_is_bounded() -> None:
    images = OddImages(DictStore(), memory=200_000)
    first = await images.image("index-empty")
    for seed in range(10):
        await images.image(f"config-history-too-long_seed-{seed}")
    assert not images.knows("index-empty")
    assert not images.knows(first.digest)
    assert len({each.digest for each in images.made()}) < 12
    assert (await images.image(first.digest)).manifest == first.manifest
    with pytest.raises(OCIError, match="was requested by tag"):
        await images.image(f"sha256:{'0' * 64}")
    await images.close()
