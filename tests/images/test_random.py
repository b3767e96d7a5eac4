"""`broken/random:layers-X_size-Y[_seed-Z]` over HTTP, and the reserved prefix `broken/`."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import httpx
import pytest

from tests.registry.pushing import digest_of, error_of, stored
from tests.server import brokenreg

URL = "/v2/broken/random/manifests"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


async def pull(http: httpx.AsyncClient, tag: str) -> list[bytes]:
    """Pull an image like a client, checking each digest and size, and return its layers."""
    response = await http.get(f"{URL}/{tag}")
    assert response.status_code == 200
    assert response.headers["docker-content-digest"] == digest_of(response.content)
    manifest = response.json()
    layers = []
    for each in [manifest["config"], *manifest["layers"]]:
        blob = await http.get(f"/v2/broken/random/blobs/{each['digest']}")
        assert (blob.status_code, digest_of(blob.content)) == (200, each["digest"])
        assert len(blob.content) == each["size"]
        layers.append(blob.content)
    return layers[1:]


async def test_an_image(http: httpx.AsyncClient) -> None:
    response = await http.get(f"{URL}/layers-3_size-2048")
    assert response.headers["content-type"] == DOCKER_MANIFEST
    assert response.json()["mediaType"] == DOCKER_MANIFEST
    assert [layer["mediaType"] for layer in response.json()["layers"]] == [DOCKER_LAYER] * 3
    contents = set()
    for layer in await pull(http, "layers-3_size-2048"):
        with tarfile.open(fileobj=io.BytesIO(layer), mode="r:gz") as archive:
            (member,) = archive.getmembers()
            file = archive.extractfile(member)
            assert file is not None
            contents.add(hashlib.sha256(file.read()).hexdigest())
            assert member.size == 2048
    assert len(contents) == 3


async def test_an_image_without_layers(http: httpx.AsyncClient) -> None:
    """It is served as by the predecessor, and its digest is unique to the tag."""
    digests = set()
    for tag in ("layers-0_size-10", "layers-0_size-0", "layers-0_size-10_seed-1"):
        response = await http.get(f"{URL}/{tag}")
        assert response.json()["layers"] == []
        digests.add(response.headers["docker-content-digest"])
        assert await pull(http, tag) == []
        config = await http.get(f"/v2/broken/random/blobs/{response.json()['config']['digest']}")
        assert config.json()["rootfs"] == {"type": "layers", "diff_ids": []}
    assert len(digests) == 3


async def test_a_fault_on_an_image_without_layers(http: httpx.AsyncClient) -> None:
    """The manifest is unique to each tag, so that the digest leads back to the parameters of the fault."""
    told = []
    for status in (503, 429):
        tag = f"layers-0_status-{status}_endpoint-config"
        manifest = (await http.get(f"/v2/broken/error/manifests/{tag}")).json()
        told.append((await http.get(f"/v2/broken/error/blobs/{manifest['config']['digest']}")).status_code)
    assert told == [503, 429]


async def test_head_is_get(http: httpx.AsyncClient) -> None:
    got = await http.get(f"{URL}/layers-1_size-100")
    head = await http.head(f"{URL}/layers-1_size-100")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "content-length", "docker-content-digest", "etag"):
        assert head.headers[name] == got.headers[name]
    url = f"/v2/broken/random/blobs/{got.json()['layers'][0]['digest']}"
    got, head = await http.get(url), await http.head(url)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "docker-content-digest", "accept-ranges", "etag"):
        assert head.headers[name] == got.headers[name]


async def test_the_seed_makes_another_image_and_0_is_the_default(http: httpx.AsyncClient) -> None:
    seeds = ("", "_seed-0", "_seed-1", "_seed--1")
    plain, zero, one, minus = [await pull(http, f"layers-1_size-500{seed}") for seed in seeds]
    assert plain == zero
    assert len({plain[0], one[0], minus[0]}) == 3


@pytest.mark.parametrize(("first", "last"), [(0, 0), (500, 70_000), (99_000, 100_000)])
async def test_ranges_of_a_layer(http: httpx.AsyncClient, first: int, last: int) -> None:
    (layer,) = await pull(http, "layers-1_size-100000")
    url = f"/v2/broken/random/blobs/{digest_of(layer)}"
    response = await http.get(url, headers={"range": f"bytes={first}-{last}"})
    assert response.status_code == 206
    assert response.content == layer[first : last + 1]
    assert response.headers["content-range"] == f"bytes {first}-{last}/{len(layer)}"
    outside = await http.get(url, headers={"range": f"bytes={len(layer)}-"})
    assert error_of(outside, 416)["code"] == "RANGE_INVALID"


@pytest.mark.parametrize(
    ("tag", "told"),
    [
        ("latest", "layers"),
        ("layers-3", "size missing"),
        ("size-3", "layers missing"),
        ("seed-3", "layers and size missing"),
        ("layers-x_size-1", 'layers "x"'),
        ("layers-1_size-x", "size"),
        ("layers-1.5_size-1", 'layers "1.5"'),
        ("layers-1_size--1", "size"),
        ("layers-1_size-1_seed-x", 'seed "x"'),
        ("layers--1_size-1", "layers"),
        ("layers-128_size-1", "127"),
        ("layers-1_size-1_sed-1", "did you mean seed?"),
        ("layers-1_layers-2_size-1", "twice"),
        ("layers-1_size-1_seed-9223372036854775808", "seed"),
        ("layers-127_size-2GiB", "at most"),
    ],
)
async def test_a_tag_that_describes_no_image(http: httpx.AsyncClient, tag: str, told: str) -> None:
    error = error_of(await http.get(f"{URL}/{tag}"), 400)
    assert error["code"] == "BAD_REQUEST"
    assert told in error["message"].replace(tag, "", 1)
    assert (await http.head(f"{URL}/{tag}")).status_code == 400


async def test_the_most_layers(http: httpx.AsyncClient) -> None:
    assert len(await pull(http, "layers-127_size-0")) == 127


async def test_the_limit_is_layers_times_size(tmp_path: Path) -> None:
    with brokenreg(tmp_path / "data", "--fabricate-limit", "30KiB") as running:
        async with httpx.AsyncClient(base_url=running.url) as http:
            assert (await http.get(f"{URL}/layers-3_size-10KiB")).status_code == 200
            beyond = error_of(await http.get(f"{URL}/layers-3_size-10241"), 400)
            assert beyond["code"] == "BAD_REQUEST"
            assert "30 KiB" in beyond["message"]
            image_of_a_fault = await http.get("/v2/broken/error/manifests/endpoint-layer_layers-31_size-1KiB")
            assert error_of(image_of_a_fault, 400)["code"] == "BAD_REQUEST"


def test_its_digests_stay_after_a_restart(tmp_path: Path) -> None:
    """After a restart, images that were requested by tag before are served by digest."""
    tag = "layers-2_size-5000_seed-7"
    with brokenreg(tmp_path / "data") as running, httpx.Client(base_url=running.url) as http:
        before = http.get(f"{URL}/{tag}")
        layer = before.json()["layers"][1]["digest"]
        content = http.get(f"/v2/broken/random/blobs/{layer}").content
        assert stored(running) == set()  # a recipe, not files
        running.stop()
    with brokenreg(tmp_path / "data") as running, httpx.Client(base_url=running.url) as http:
        assert http.get(f"/v2/broken/random/blobs/{layer}").content == content
        by_digest = http.get(f"{URL}/{before.headers['docker-content-digest']}")
        assert by_digest.content == before.content
        assert http.get(f"{URL}/{tag}").content == before.content


async def test_a_digest_that_was_never_made(http: httpx.AsyncClient) -> None:
    unknown = digest_of(b"never made")
    assert error_of(await http.get(f"{URL}/{unknown}"), 404)["code"] == "MANIFEST_UNKNOWN"
    blob = await http.get(f"/v2/broken/random/blobs/{unknown}")
    assert error_of(blob, 404)["code"] == "BLOB_UNKNOWN"
    assert (await http.get("/v2/broken/random/tags/list")).json()["tags"] == []


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("eror", "error"),
        ("timeuot", "timeout"),
        ("radom", "random"),
        ("preparde", "prepared"),
        ("errors", "error"),
    ],
)
@pytest.mark.parametrize("path", ["manifests/latest", f"blobs/{digest_of(b'x')}", "tags/list"])
async def test_an_unknown_fault_names_the_nearest(
    http: httpx.AsyncClient, name: str, nearest: str, path: str
) -> None:
    error = error_of(await http.get(f"/v2/broken/{name}/{path}"), 404)
    assert error["code"] == "NAME_UNKNOWN"
    assert f"broken/{nearest}?" in error["message"]


async def test_an_unknown_fault_that_is_near_to_none(http: httpx.AsyncClient) -> None:
    for name in ("zzzzzz", "error/deeper/still", "preparedness-of-mind"):
        error = error_of(await http.get(f"/v2/broken/{name}/manifests/latest"), 404)
        assert error["code"] == "NAME_UNKNOWN"


@pytest.mark.parametrize(
    "name", ["error", "timeout", "random", "nonsense", "in/ns/broken/error", "preparedness"]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "manifests/404"),
        ("POST", "blobs/uploads/"),
        ("POST", f"blobs/uploads/?digest={digest_of(b'denied')}"),
        ("PATCH", f"blobs/uploads/{'0' * 32}"),
        ("PUT", f"blobs/uploads/{'0' * 32}?digest={digest_of(b'denied')}"),
        ("DELETE", "manifests/404"),
        ("DELETE", f"blobs/{digest_of(b'denied')}"),
    ],
)
async def test_broken_is_reserved(http: httpx.AsyncClient, name: str, method: str, path: str) -> None:
    response = await http.request(method, f"/v2/broken/{name}/{path}", content=b"denied")
    assert error_of(response, 403)["code"] == "DENIED"


async def test_a_timeout_in_a_tag_does_not_apply_to_pushes(http: httpx.AsyncClient) -> None:
    """`broken/timeout` is an image that can only be pulled, so a push is refused immediately."""
    response = await http.put("/v2/broken/timeout/manifests/dur-1h", content=b"{}", timeout=2)
    assert error_of(response, 403)["code"] == "DENIED"


async def test_prepared_takes_pushes_and_knows_only_those(http: httpx.AsyncClient) -> None:
    for name in ("broken/prepared", "broken/prepared/deeper/still"):
        missing = await http.get(f"/v2/{name}/manifests/thing")
        assert error_of(missing, 404)["code"] == "MANIFEST_UNKNOWN"
        assert (await http.put(f"/v2/{name}/manifests/thing", content=b"anything")).status_code == 201
        assert (await http.get(f"/v2/{name}/manifests/thing")).content == b"anything"
