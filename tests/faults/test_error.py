"""`broken/error:<status>`: the responses of the predecessor, and any status from 400 to 599."""

from __future__ import annotations

import httpx
import pytest

from tests.registry.pushing import error_of, image, push_blob, push_manifest


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, "MANIFEST_INVALID", None),
        (403, "FORBIDDEN", "Fakereg: Access to this resource is forbidden"),
        (404, "MANIFEST_UNKNOWN", "Looking for something?"),
        (405, "UNAUTHORIZED", "Method not allowed"),
        (500, "INTERNAL_SERVER_ERROR", None),
    ],
)
async def test_the_predecessor_s_answers(
    http: httpx.AsyncClient, status: int, code: str, message: str | None
) -> None:
    url = f"/v2/broken/error/manifests/{status}"
    response = await http.get(url)
    error = error_of(response, status)
    assert error["code"] == code
    assert message is None or error["message"] == message
    head = await http.head(url)
    assert (head.status_code, head.content) == (status, b"")
    for name in ("content-type", "content-length", "docker-distribution-api-version"):
        assert head.headers[name] == response.headers[name]


@pytest.mark.parametrize("status", range(400, 600, 7))
async def test_any_status_from_400_to_599(http: httpx.AsyncClient, status: int) -> None:
    error_of(await http.get(f"/v2/broken/error/manifests/{status}"), status)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "UNAUTHORIZED"),
        (408, "TIMEOUT"),
        (429, "TOOMANYREQUESTS"),
        (503, "UNAVAILABLE"),
        (599, "UNKNOWN"),
    ],
)
async def test_the_usual_code_of_others(http: httpx.AsyncClient, status: int, code: str) -> None:
    assert error_of(await http.get(f"/v2/broken/error/manifests/{status}"), status)["code"] == code


@pytest.mark.parametrize(
    "tag", ["200", "399", "600", "0", "99999999999999999999", "abc", "4o4", "_", "status-x"]
)
async def test_a_tag_that_is_no_status(http: httpx.AsyncClient, tag: str) -> None:
    """The error says which tags are valid."""
    error = error_of(await http.get(f"/v2/broken/error/manifests/{tag}"), 400)
    assert error["code"] == "MANIFEST_INVALID"
    assert "400 to 599" in error["message"]
    assert tag in error["message"]
    assert (await http.head(f"/v2/broken/error/manifests/{tag}")).status_code == 400


async def test_latest_is_all_defaults(http: httpx.AsyncClient) -> None:
    error = error_of(await http.get("/v2/broken/error/manifests/latest"), 500)
    assert error["code"] == "INTERNAL_SERVER_ERROR"


async def test_its_own_code_in_the_tag(http: httpx.AsyncClient) -> None:
    error = error_of(await http.get("/v2/broken/error/manifests/status-418_code-TEA_POT"), 418)
    assert error["code"] == "TEA_POT"


@pytest.mark.parametrize(
    ("tag", "told"),
    [
        ("status-503_layers-x", "layers"),
        ("status-503_size-x", "size"),
        ("status-503_seed-x", "seed"),
        ("status-503_layers-128", "layers"),
        ("status-503_endpoint-kitchen", "kitchen"),
        ("status-503_endpont-layer", "did you mean endpoint?"),
        ("status-503_status-504", "twice"),
        ("status-", "no value"),
        ("status-404_code-lower", "code"),
    ],
)
async def test_a_bad_parameter_is_named(http: httpx.AsyncClient, tag: str, told: str) -> None:
    message = error_of(await http.get(f"/v2/broken/error/manifests/{tag}"), 400)["message"]
    assert told in message.partition(tag)[2]


async def test_on_layers_alone(http: httpx.AsyncClient) -> None:
    """Manifest and configuration of a fabricated image are served, also by digest, but not its layers."""
    tag = "status-503_endpoint-layer_layers-2_size-1000"
    by_tag = await http.get(f"/v2/broken/error/manifests/{tag}")
    assert by_tag.status_code == 200
    digest = by_tag.headers["docker-content-digest"]
    by_digest = await http.get(f"/v2/broken/error/manifests/{digest}")
    assert (by_digest.status_code, by_digest.content) == (200, by_tag.content)
    manifest = by_tag.json()
    config = await http.get(f"/v2/broken/error/blobs/{manifest['config']['digest']}")
    assert (config.status_code, len(config.content)) == (200, manifest["config"]["size"])
    assert len(manifest["layers"]) == 2
    for layer in manifest["layers"]:
        url = f"/v2/broken/error/blobs/{layer['digest']}"
        assert error_of(await http.get(url), 503)["code"] == "UNAVAILABLE"
        assert (await http.head(url)).status_code == 503


async def test_on_the_configuration_alone(http: httpx.AsyncClient) -> None:
    manifest = (await http.get("/v2/broken/error/manifests/status-500_endpoint-config_size-10")).json()
    assert (await http.get(f"/v2/broken/error/blobs/{manifest['config']['digest']}")).status_code == 500
    for layer in manifest["layers"]:
        assert (await http.get(f"/v2/broken/error/blobs/{layer['digest']}")).status_code == 200


async def test_its_digests_are_the_tag_s_alone(http: httpx.AsyncClient) -> None:
    """A digest leads back to its fault, so that 503 in one tag is not 404 in another."""
    seen = set()
    for status in (404, 503):
        tag = f"status-{status}_endpoint-layer_size-10"
        manifest = (await http.get(f"/v2/broken/error/manifests/{tag}")).json()
        for layer in manifest["layers"]:
            assert layer["digest"] not in seen
            seen.add(layer["digest"])
            assert (await http.get(f"/v2/broken/error/blobs/{layer['digest']}")).status_code == status


async def test_on_another_image(http: httpx.AsyncClient) -> None:
    """`broken/with/...` applies to its own path; the image itself is unchanged."""
    body = image(b"config", b"layer")
    await push_blob(http, "faults/error", b"layer")
    config = await push_blob(http, "faults/error", b"config")
    digest = await push_manifest(http, "faults/error", "v1", body)
    prefix = "/v2/broken/with/error_status-503"
    for reference in ("v1", digest):
        assert error_of(await http.get(f"{prefix}/faults/error/manifests/{reference}"), 503)
        assert (await http.get(f"/v2/faults/error/manifests/{reference}")).content == body
    assert (await http.get(f"{prefix}/faults/error/blobs/{config}")).content == b"config"
    layers = f"{prefix}_endpoint-layer/faults/error"
    layer = body.decode().rsplit('"digest": "', 1)[1][:71]
    assert (await http.get(f"{layers}/manifests/v1")).content == body
    assert (await http.get(f"{layers}/blobs/{config}")).content == b"config"
    assert error_of(await http.get(f"{layers}/blobs/{layer}"), 503)
    blobs = f"{prefix}_endpoint-blob/faults/error"
    assert [(await http.get(f"{blobs}/blobs/{each}")).status_code for each in (config, layer)] == [503, 503]


async def test_on_pushes_and_listings(http: httpx.AsyncClient) -> None:
    """A push with a fault stores nothing."""
    manifest = await http.put("/v2/broken/with/error_status-507/faults/pushed/manifests/v1", content=b"{}")
    assert error_of(manifest, 507)
    upload = await http.post("/v2/broken/with/error_status-500_endpoint-upload/faults/pushed/blobs/uploads/")
    assert error_of(upload, 500)
    assert (await http.get("/v2/faults/pushed/tags/list")).status_code == 404
    await push_manifest(http, "faults/pushed", "v1", b"{}")
    for endpoint, path in [("tags", "tags/list"), ("referrers", f"referrers/sha256:{'0' * 64}")]:
        applied = await http.get(f"/v2/broken/with/error_status-502_endpoint-{endpoint}/faults/pushed/{path}")
        assert error_of(applied, 502)
        assert (await http.get(f"/v2/faults/pushed/{path}")).status_code == 200


async def test_nested_and_in_a_namespace(http: httpx.AsyncClient) -> None:
    """The outermost fault comes first, each at its own endpoint."""
    body = image(b"nested")
    await push_manifest(http, "broken/in/faults/nested", "v1", body)
    both = "broken/in/faults/broken/with/error_status-418/broken/with/error_status-404/nested"
    assert error_of(await http.get(f"/v2/{both}/manifests/v1"), 418)
    tags = "broken/in/faults/broken/with/error_status-429_endpoint-tags/nested"
    assert error_of(await http.get(f"/v2/{tags}/tags/list"), 429)
    assert (await http.get(f"/v2/{tags}/manifests/v1")).content == body


@pytest.mark.parametrize(
    ("fault", "status", "told"),
    [
        ("eror", 404, "error"),
        ("error_status-200", 400, "status"),
        ("error_statsu-500", 400, "status"),
        ("timeout", 400, "dur"),
        ("timeout_dur-2", 400, "dur"),
    ],
)
async def test_a_bad_prefix(http: httpx.AsyncClient, fault: str, status: int, told: str) -> None:
    url = f"/v2/broken/with/{fault}/some/image/manifests/v1"
    for response in (await http.get(url), await http.put(url, content=b"{}")):
        error = error_of(response, status)
        assert error["code"] == ("NAME_UNKNOWN" if status == 404 else "NAME_INVALID")
        assert told in error["message"].replace(fault, "", 1)
    assert (await http.get("/v2/some/image/manifests/v1")).status_code == 404
