"""The content of the registry, read with plain requests instead of a client."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import httpx

from tests.clients import layouts
from tests.clients.layouts import Blob, Image, Index
from tests.server import Brokenreg

_ACCEPT = ", ".join([layouts.OCI_INDEX, layouts.OCI_MANIFEST, layouts.DOCKER_LIST, layouts.DOCKER_MANIFEST])


@dataclass(frozen=True)
class Served:
    """A manifest as the registry serves it, with a verified digest."""

    digest: str
    media_type: str
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


def manifest(registry: Brokenreg, repository: str, reference: str) -> Served:
    """Return a manifest by GET, after checking its digest header and that HEAD returns the same."""
    url = f"{registry.url}/v2/{repository}/manifests/{reference}"
    answer = httpx.get(url, headers={"Accept": _ACCEPT}, timeout=30)
    assert answer.status_code == 200, (url, answer.status_code, answer.text)
    digest = layouts.sha256(answer.content)
    assert answer.headers["docker-content-digest"] == digest
    head = httpx.head(url, headers={"Accept": _ACCEPT}, timeout=30)
    assert head.headers["docker-content-digest"] == digest
    assert head.headers["content-length"] == str(len(answer.content))
    return Served(digest, answer.headers["content-type"], answer.content)


def everything(registry: Brokenreg, repository: str, reference: str) -> dict[str, bytes]:
    """Return a manifest and everything that it mentions, by digest, with verified digests and sizes."""
    found: dict[str, bytes] = {}
    top = manifest(registry, repository, reference)
    waiting = [top]
    with httpx.Client(base_url=registry.url, timeout=30) as http:
        while waiting:
            served = waiting.pop()
            found[served.digest] = served.body
            for entry in served.document.get("manifests", []):
                child = manifest(registry, repository, entry["digest"])
                assert (child.digest, child.media_type) == (entry["digest"], entry["mediaType"])
                assert len(child.body) == entry["size"]
                waiting.append(child)
            layers = [*served.document.get("layers", []), served.document.get("config")]
            for entry in filter(None, layers):
                answer = http.get(f"/v2/{repository}/blobs/{entry['digest']}")
                assert answer.status_code == 200, (entry, answer.text)
                assert layouts.sha256(answer.content) == entry["digest"]
                assert len(answer.content) == entry["size"]
                found[entry["digest"]] = answer.content
    return found


def put_manifest(registry: Brokenreg, repository: str, reference: str, blob: Blob) -> httpx.Response:
    """Push one manifest unchanged."""
    answer = httpx.put(
        f"{registry.url}/v2/{repository}/manifests/{reference}",
        content=blob.data,
        headers={"Content-Type": blob.media_type},
        timeout=30,
    )
    assert answer.status_code == 201, answer.text
    assert answer.headers["docker-content-digest"] == blob.digest
    return answer


def put(registry: Brokenreg, repository: str, tag: str, top: Image | Index) -> None:
    """Push an image or an index with plain requests, so that a client can pull it."""
    with httpx.Client(base_url=registry.url, timeout=30) as http:
        for blob in top.blobs:
            opened = http.post(f"/v2/{repository}/blobs/uploads/")
            assert opened.status_code == 202, opened.text
            location = urljoin(registry.url, opened.headers["location"])
            stored = http.put(location, params={"digest": blob.digest}, content=blob.data)
            assert stored.status_code == 201, stored.text
    for each in top.manifests:
        put_manifest(registry, repository, each.digest, each)
    put_manifest(registry, repository, tag, top.manifest)
