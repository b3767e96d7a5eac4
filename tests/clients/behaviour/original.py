"""The image that is pulled, as a registry without faults serves it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.clients import wire
from tests.server import brokenreg

REPOSITORY, TAG = "broken/random", "layers-2_size-16mib"


@dataclass(frozen=True)
class Original:
    """Its digests; `diff_ids` are those of the unpacked layers."""

    manifest: str
    config: str
    layers: list[str]
    diff_ids: list[str]


def fetch_original(data: Path) -> Original:
    """From a brokenreg of our own."""
    with brokenreg(data) as registry:
        served = wire.manifest(registry, REPOSITORY, TAG)
        config = served.document["config"]["digest"]
        read = httpx.get(f"{registry.url}/v2/{REPOSITORY}/blobs/{config}", timeout=30).json()
    return Original(
        manifest=served.digest,
        config=config,
        layers=[layer["digest"] for layer in served.document["layers"]],
        diff_ids=read["rootfs"]["diff_ids"],
    )
