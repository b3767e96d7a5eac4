"""Pushes a small image to a registry (OCI distribution specification, section "Push")."""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_PATIENCE = 30.0


def push(url: str, repository: str, tag: str, layers: Sequence[bytes], ca_file: Path | None = None) -> None:
    """Push an image whose layers are these bytes. Raise `httpx.HTTPError`."""
    verify = ssl.create_default_context(cafile=ca_file) if url.startswith("https:") else False
    rootfs = {"type": "layers", "diff_ids": [_digest(each) for each in layers]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _descriptor(_CONFIG, config),
        "layers": [_descriptor(_LAYER, each) for each in layers],
    }
    base = f"{url}/v2/{repository}"
    with httpx.Client(base_url=base, timeout=_PATIENCE, trust_env=False, verify=verify) as http:
        for content in (config, *layers):
            session = http.post("/blobs/uploads/").raise_for_status().headers["location"]
            location = httpx.URL(url).join(session).copy_merge_params({"digest": _digest(content)})
            http.put(location, content=content).raise_for_status()
        headers = {"content-type": _MANIFEST}
        http.put(f"/manifests/{tag}", content=json.dumps(manifest), headers=headers).raise_for_status()


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
