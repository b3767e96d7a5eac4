"""`strict`: what other registries refuse. `status`: another success."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.registry.pushing import OCI_INDEX, OCI_MANIFEST, digest_of
from tests.running_registry import Registry

ABSENT = {"mediaType": "application/octet-stream", "digest": digest_of(b"absent"), "size": 6}


def put(each: Registry, document: Any, content_type: str = OCI_MANIFEST, options: str = "") -> Any:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    path = f"/v2/broken/with/strict{options}/strict/app/manifests/v1"
    return each.ask(path, "PUT", [("content-type", content_type)], content=body)


def code(answer: Any) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["errors"][0]["code"]


def manifest(**members: Any) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": OCI_MANIFEST, **members}


@pytest.mark.parametrize(
    ("document", "content_type", "refusal", "option"),
    [
        (b"no JSON", OCI_MANIFEST, (400, "MANIFEST_INVALID"), "_json-only-false"),
        (b"[]", OCI_MANIFEST, (400, "MANIFEST_INVALID"), "_json-only-false"),
        (manifest(), "text/plain", (400, "MANIFEST_INVALID"), "_media-types-false"),
        (manifest(), OCI_INDEX, (400, "MANIFEST_INVALID"), "_media-types-false"),
        (manifest(config=ABSENT), OCI_MANIFEST, (404, "MANIFEST_BLOB_UNKNOWN"), "_blobs-false"),
        (manifest(layers=[ABSENT]), OCI_MANIFEST, (404, "MANIFEST_BLOB_UNKNOWN"), "_blobs-false"),
        (
            {"mediaType": OCI_INDEX, "manifests": [ABSENT]},
            OCI_INDEX,
            (404, "MANIFEST_BLOB_UNKNOWN"),
            "_blobs-false",
        ),
    ],
)
def test_a_refused_manifest(
    each: Registry, document: Any, content_type: str, refusal: tuple[int, str], option: str
) -> None:
    assert code(put(each, document, content_type)) == refusal
    assert put(each, document, content_type, option).status == 201


@pytest.mark.parametrize(
    "document",
    [
        manifest(),
        manifest(layers=[{**ABSENT, "urls": ["https://elsewhere.invalid/"]}]),
        manifest(config="odd", layers={"not": "a list"}),
    ],
)
def test_an_accepted_manifest(each: Registry, document: Any) -> None:
    assert put(each, document).status == 201


def test_a_whole_push(each: Registry) -> None:
    pushed = each.push(10, 20)
    path = pushed.manifest_path("broken/with/strict/", "v2")
    headers = [("content-type", OCI_MANIFEST)]
    assert each.ask(path, "PUT", headers, content=pushed.manifest).status == 201
    assert each.ask(pushed.manifest_path(reference="v2")).body == pushed.manifest
    assert each.exchange(path, "PUT")["faults"] == []


def test_a_mount(each: Registry) -> None:
    pushed = each.push(10)
    query = f"?mount={digest_of(pushed.layers[0])}&from={pushed.repository}"
    path = "/v2/broken/with/strict{}/strict/mounted/blobs/uploads/" + query
    assert each.ask(path.format(""), "POST").status == 202
    assert each.ask(path.format("_mounts-false"), "POST").status == 201


def test_a_large_body_that_is_no_manifest(http1: Registry) -> None:
    assert put(http1, b"x" * (5 * 1024 * 1024)).status == 413


@pytest.mark.parametrize(("method", "status"), [("PATCH", 204), ("PUT", 200)])
def test_another_success(each: Registry, method: str, status: int) -> None:
    content = b"content"
    with each.rule(fault={"type": "status", "status": status}, match={"method": method}) as rule:
        location = each.ask("/v2/status/app/blobs/uploads/", "POST").header("location") or ""
        digest = digest_of(content)
        answer = each.ask(
            location if method == "PATCH" else f"{location}?digest={digest}", method, content=content
        )
        assert each.rule_state(rule)["applied"] == 1
    assert answer.status == status
    assert answer.header("location")
    assert answer.header("content-length") == (None if status == 204 else "0")
    assert answer.ended in ("keep-alive", "end-stream")


def test_a_failure_stays_one(http1: Registry) -> None:
    with http1.rule(fault={"type": "status", "status": 201}, match={"endpoint": "manifest"}) as rule:
        assert http1.ask("/v2/status/app/manifests/absent").status == 404
        pushed = http1.push(10)
        assert http1.ask(pushed.manifest_path()).status == 201
        assert http1.ask(pushed.manifest_path("broken/in/other/")).status == 404
        assert http1.rule_state(rule)["applied"] == 1


def test_no_content_has_no_body(each: Registry) -> None:
    pushed = each.push(10)
    rule = each.rule(fault={"type": "status", "status": 204}, match={"endpoint": "manifest"})
    with rule, each.connect() as connection:
        answer = connection.ask(pushed.manifest_path())
        assert (answer.status, answer.body) == (204, b"")
        assert connection.ask(pushed.layer_path()).body == pushed.layers[0]
