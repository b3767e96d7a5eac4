"""Pushes a small image to a registry (OCI distribution specification, section "Push")."""

from __future__ import annotations

import hashlib
import json
import re
import ssl
from base64 import b64encode
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import httpx

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_PATIENCE = 30.0
_PARAMETER = re.compile(r'([a-z]+)="([^"]*)"')
"""A parameter of a challenge, as the registry writes it."""


def push(
    url: str,
    repository: str,
    tag: str,
    layers: Sequence[bytes],
    login: tuple[str, str],
    ca_file: Path | None = None,
) -> None:
    """Push an image whose layers are these bytes. Raise `httpx.HTTPError`.

    `login` is the name and the password for a registry that requires them.
    """
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
    auth = _Login(*login)
    with httpx.Client(base_url=base, timeout=_PATIENCE, trust_env=False, verify=verify, auth=auth) as http:
        for content in (config, *layers):
            session = http.post("/blobs/uploads/").raise_for_status().headers["location"]
            location = httpx.URL(url).join(session).copy_merge_params({"digest": _digest(content)})
            http.put(location, content=content).raise_for_status()
        headers = {"content-type": _MANIFEST}
        http.put(f"/manifests/{tag}", content=json.dumps(manifest), headers=headers).raise_for_status()


class _Login(httpx.Auth):
    """Logs in as the challenge of the registry says: Basic, or with a token (distribution, "Token auth")."""

    requires_response_body = True

    def __init__(self, name: str, password: str) -> None:
        self._basic = f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        response = yield request
        if response.status_code != httpx.codes.UNAUTHORIZED:
            return
        scheme, _, parameters = response.headers.get("www-authenticate", "").partition(" ")
        request.headers["authorization"] = self._basic
        if scheme.lower() == "bearer":
            said = dict(_PARAMETER.findall(parameters))
            query = {name: said[name] for name in ("service", "scope") if name in said}
            headers = {"authorization": self._basic}
            token = yield httpx.Request("GET", said.get("realm", ""), params=query, headers=headers)
            token.raise_for_status()
            request.headers["authorization"] = f"Bearer {token.json()['token']}"
        yield request


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
