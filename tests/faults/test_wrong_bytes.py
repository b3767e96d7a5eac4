"""The filter wrong-bytes: which faults change the content."""

from __future__ import annotations

import httpx
import pytest

from tests.server import Brokenreg


@pytest.mark.parametrize(
    ("fault", "is_wrong"),
    [("corrupt", 1), ("corrupt_offset-5000", 0), ("swap", 1), ("truncate_after-10", 0),
     ("range_form-shift", 1), ("range_form-ignore", 0), ("wrong-length_form-absent", 0)],
)  # fmt: skip
def test_wrong_bytes(registry: Brokenreg, fault: str, is_wrong: int) -> None:
    httpx.post(f"{registry.control}/v1/reset")
    image = "broken/random"
    manifest = httpx.get(f"{registry.url}/v2/{image}/manifests/layers-2_size-1000").json()
    digest = manifest["layers"][0]["digest"]
    headers = {"range": "bytes=0-9"} if fault.startswith("range") else {}
    try:
        httpx.get(f"{registry.url}/v2/broken/with/{fault}/{image}/blobs/{digest}", headers=headers)
    except httpx.RemoteProtocolError:
        assert fault.startswith("truncate")
    found = httpx.get(f"{registry.control}/v1/exchanges", params={"filter": "wrong-bytes:true"}).json()
    assert len(found) == is_wrong
