"""The descriptors of a manifest, read leniently."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.oci.descriptors import Descriptor, Parts, parts_of
from brokenreg.oci.digests import Digest
from brokenreg.oci.sizes import format_size

ONE = Digest.of(b"one")
KEYS = st.sampled_from(
    ["config", "layers", "manifests", "digest", "mediaType", "size", "platform", "os", "architecture"]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text()
    | st.just(str(ONE)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
)


def read(document: Any, most: int = 10) -> Parts:
    return parts_of(json.dumps(document).encode(), most)


def test_layers_manifests_and_config_in_their_order() -> None:
    two = Digest.of(b"two")
    layers = [{"digest": two, "mediaType": "b", "size": 2}, {"digest": ONE, "mediaType": "a", "size": 1}]
    parts = read({"config": {"digest": ONE}, "layers": layers})
    assert parts == Parts(
        Descriptor(ONE, "", None, ""), (Descriptor(two, "b", 2, ""), Descriptor(ONE, "a", 1, ""))
    )
    assert read({"manifests": layers}, most=1) == Parts(manifests=(Descriptor(two, "b", 2, ""),), left_out=1)


@pytest.mark.parametrize(
    ("platform", "told"),
    [
        ({"os": "linux", "architecture": "arm", "variant": "v7"}, "linux/arm/v7"),
        ({"os": "windows", "architecture": "amd64", "os.version": "10.0.1"}, "windows/amd64 10.0.1"),
        ({"architecture": 7, "os": "linux"}, "linux"),
        ("linux", ""),
        (None, ""),
    ],
)
def test_platforms(platform: Any, told: str) -> None:
    assert read({"manifests": [{"digest": ONE, "platform": platform}]}).manifests[0].platform == told


@pytest.mark.parametrize("size", [-1, 2**63, 10**40, True, "7", 1.5, None])
def test_invalid_sizes(size: Any) -> None:
    assert read({"config": {"digest": ONE, "size": size}}).config == Descriptor(ONE, "", None, "")


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", b"[" * 100_000, b"7", b'{"layers": 7}', b'{"config": []}']
)
def test_what_is_no_manifest_has_no_parts(body: bytes) -> None:
    assert parts_of(body, 10) == Parts()


@given(JSON, st.integers(0, 3))
def test_whatever_it_says_it_can_be_shown(document: Any, most: int) -> None:
    parts = read(document, most)
    assert len(parts.layers) <= most
    assert len(parts.manifests) <= most
    for each in (*parts.layers, *parts.manifests):
        assert Digest.parse(each.digest) == each.digest
        assert each.size is None or format_size(each.size)
