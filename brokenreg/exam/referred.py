"""An image with referrers, for clients that list them. It is pushed before the client starts.

The registry lists the referrers, and the fallback tag names them as well, as clients leave it in a registry
without such a list (distribution-spec, "Referrers Tag Schema").
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import httpx

from brokenreg.exam.errors import RunError
from brokenreg.oci.mediatypes import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from brokenreg.traffic.matching import OR

IMAGE = "exam/referred:v1"
"""A scenario whose `client.image` is this one gets the image with its referrers."""

_NAMES = ("example.sbom", "example.signature", "example.provenance")
_ARTIFACT_TYPES = tuple(f"application/vnd.{each}" for each in _NAMES)

ALL_LISTED = OR.join("*".join(("", *each, "")) for each in permutations(_NAMES))
"""A glob on output that names the types of all referrers, in any order."""

_TIME = 30.0
_LAYER_SIZE = 1024
_EMPTY = b"{}"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"


@dataclass(frozen=True, slots=True)
class ReferredImage:
    """What is pushed: blobs, then manifests, each with its reference and media type."""

    blobs: tuple[bytes, ...]
    manifests: tuple[tuple[str, str, bytes], ...]
    digest: str


def referred_image(seed: int) -> ReferredImage:
    """Return an image with three referrers. Each seed has its own content."""
    layer = random.Random(seed).randbytes(_LAYER_SIZE)  # noqa: S311 - content, not a secret
    config = _json({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
    image = _manifest(_descriptor(config, OCI_CONFIG), [_descriptor(layer, OCI_LAYER)])
    subject = _descriptor(image, OCI_MANIFEST)
    artifacts = [_artifact(subject, each) for each in _ARTIFACT_TYPES]
    listed = [
        {**_descriptor(each, OCI_MANIFEST), "artifactType": kind}
        for each, kind in zip(artifacts, _ARTIFACT_TYPES, strict=True)
    ]
    index = _json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed})
    digest = str(subject["digest"])
    manifests = [
        (IMAGE.partition(":")[2], OCI_MANIFEST, image),
        *((_digest(each), OCI_MANIFEST, each) for each in artifacts),
        (digest.replace(":", "-"), OCI_INDEX, index),
    ]
    return ReferredImage((layer, config, _EMPTY), tuple(manifests), digest)


async def push_referred(registry_url: str, repository: str, seed: int) -> None:
    """Push the image, its referrers and the fallback tag. Raise `RunError`."""
    image, base = referred_image(seed), f"{registry_url}/v2/{repository}"
    try:
        async with httpx.AsyncClient(timeout=_TIME, trust_env=False) as http:
            for each in _requests(base, image):
                (await http.send(each)).raise_for_status()
    except httpx.HTTPError as error:
        raise RunError(f"the image with referrers cannot be pushed: {error}") from None


def _requests(base: str, image: ReferredImage) -> Iterator[httpx.Request]:
    for blob in image.blobs:
        url = f"{base}/blobs/uploads/?digest={_digest(blob)}"
        yield httpx.Request("POST", url, content=blob, headers={"content-type": "application/octet-stream"})
    for reference, media_type, document in image.manifests:
        url = f"{base}/manifests/{reference}"
        yield httpx.Request("PUT", url, content=document, headers={"content-type": media_type})


def _artifact(subject: dict[str, Any], artifact_type: str) -> bytes:
    empty = _descriptor(_EMPTY, _EMPTY_TYPE)
    return _manifest(empty, [empty], artifactType=artifact_type, subject=subject)


def _manifest(config: dict[str, Any], layers: list[dict[str, Any]], **more: Any) -> bytes:
    known = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}
    return _json({**known, **more})


def _descriptor(content: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
