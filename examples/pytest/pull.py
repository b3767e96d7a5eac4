"""Downloads images from a container registry, and verifies every digest."""

from __future__ import annotations

import hashlib
import http.client
import json
import time
import urllib.error
import urllib.request

MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
)


class WrongBytesError(OSError):
    """A blob whose bytes do not match its digest."""


def pull(image: str, *, attempts: int = 4, backoff: float = 0.1) -> list[bytes]:
    """Return the layers of an image: HOST/NAME:TAG."""
    host, _, rest = image.partition("/")
    name, _, tag = rest.rpartition(":")
    url = f"http://{host}/v2/{name}"
    manifest = json.loads(_get(f"{url}/manifests/{tag}", "", attempts, backoff))
    digests = [layer["digest"] for layer in manifest["layers"]]
    return [_get(f"{url}/blobs/{digest}", digest, attempts, backoff) for digest in digests]


def _get(url: str, digest: str, attempts: int, backoff: float) -> bytes:
    """Send a request up to `attempts` times. Wait for `backoff` seconds, then twice as long, and so on."""
    for attempt in range(1, attempts + 1):
        wait = 0.0
        try:
            return _get_once(url, digest)
        except urllib.error.HTTPError as error:
            if attempt == attempts or (error.code != 429 and error.code < 500):
                raise
            wait = _seconds(error.headers.get("Retry-After"))
        except (OSError, http.client.HTTPException):
            if attempt == attempts:
                raise
        time.sleep(max(wait, backoff * 2 ** (attempt - 1)))
    raise ValueError("attempts must be at least 1")


def _get_once(url: str, digest: str) -> bytes:
    request = urllib.request.Request(url, headers={"Accept": MANIFEST_TYPES})
    with urllib.request.urlopen(request) as response:
        body = response.read()
    got = f"sha256:{hashlib.sha256(body).hexdigest()}"
    if digest and got != digest:
        raise WrongBytesError(f"{url}: wrong bytes: their digest is {got}")
    return body


def _seconds(retry_after: str | None) -> float:
    return float(retry_after) if retry_after and retry_after.isdigit() else 0.0
