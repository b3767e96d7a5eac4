"""`_catalog`: all repositories in pages, and the predecessor's variables that make it slow and long."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from tests.registry.pushing import error_of, follow, image, push_blob, push_manifest
from tests.server import Brokenreg, brokenreg


async def test_it_lists_what_was_pushed(own_registry: Brokenreg) -> None:
    async with httpx.AsyncClient(base_url=own_registry.url) as http:
        empty = await http.get("/v2/_catalog")
        assert (empty.status_code, empty.json()) == (200, {"repositories": []})
        for name in ("b/manifest", "a", "broken/prepared", "broken/in/apart/c"):
            await push_manifest(http, name, "v1", image(b"catalog"))
        await push_blob(http, "b/blob", b"a repository of one blob")
        listed = await http.get("/v2/_catalog")
        names = ["a", "b/blob", "b/manifest", "broken/prepared"]
        assert listed.json() == {"repositories": names}
        assert listed.headers["docker-distribution-api-version"] == "registry/2.0"
        assert await follow(http, "/v2/_catalog?n=3", "repositories") == [names[:3], names[3:]]
        assert (await http.get("/v2/_catalog?last=a&n=1")).json() == {"repositories": ["b/blob"]}
        assert (await http.get("/v2/_catalog?n=0")).json() == {"repositories": []}
        assert (await http.get("/v2/_catalog?n=&last=")).json() == {"repositories": names}
        bad = await http.get("/v2/_catalog?n=many")
        assert error_of(bad, 400)["code"] == "PAGINATION_NUMBER_INVALID"


async def test_an_empty_repository_is_not_listed(own_registry: Brokenreg) -> None:
    async with httpx.AsyncClient(base_url=own_registry.url) as http:
        blob = await push_blob(http, "emptied", b"blob")
        manifest = await push_manifest(http, "emptied", "v1", image(b"emptied"))
        await http.delete(f"/v2/emptied/manifests/{manifest}")
        assert (await http.get("/v2/_catalog")).json() == {"repositories": ["emptied"]}
        await http.delete(f"/v2/emptied/blobs/{blob}")
        assert (await http.get("/v2/_catalog")).json() == {"repositories": []}


@pytest.mark.slow
async def test_fabricated_repositories_and_a_delay(tmp_path: Path) -> None:
    settings = {"V2_CATALOG_DELAY": "300ms", "V2_CATALOG_NUM_REPOS": "250"}
    with brokenreg(tmp_path / "data", **settings) as running:
        async with httpx.AsyncClient(base_url=running.url) as http:
            await push_manifest(http, "zebra", "v1", image(b"pushed"))
            began = time.monotonic()
            names = (await http.get("/v2/_catalog")).json()["repositories"]
            assert time.monotonic() - began >= 0.3
            assert len(set(names)) == 251
            assert names == sorted(names)
            assert names[-1] == "zebra"
            pages = await follow(http, "/v2/_catalog?n=100", "repositories")
            assert [len(page) for page in pages] == [100, 100, 51]
            assert [name for page in pages for name in page] == names


def test_only_the_catalog_is_delayed(tmp_path: Path) -> None:
    with brokenreg(tmp_path / "data", V2_CATALOG_DELAY="1h") as running:
        assert httpx.get(f"{running.url}/v2/", timeout=30).status_code == 200
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{running.url}/v2/_catalog", timeout=0.2)
