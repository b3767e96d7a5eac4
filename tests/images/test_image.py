"""The documents of fabricated images, and the permanent digests of recipe 1."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from brokenreg.images.hashing import hash_layers
from brokenreg.images.image import FabricatedImage, build_image
from brokenreg.images.progress import Progress
from brokenreg.images.spec import ImageSpec


def build(spec: ImageSpec) -> FabricatedImage:
    with ThreadPoolExecutor(1) as helper:
        return build_image(spec, hash_layers(spec.recipes, helper, Progress(spec)))


GOLDEN = [
    (
        ImageSpec(3, 1024),
        "ad7c09b23a671701a31b97fa4e42c5b686d5facb6db3f58b1704e2b8ad1754d8",
        "b4a670e23017b35b5eb99510e6935ecd7c55034c6473c42bf3778c5b49de64cc",
        [
            "c69b27f49eaa5531bbc6db2af726ec9ae2712c8d668fed95b82a62ca666f6c4b",
            "e697a25dbdafb46010e3fdc422a037e8e8be2bff422a87e4fa7474f6294d049e",
            "354eaaa58dc37da3211ff16a9d6a0627ef20b396b0ae9c6b47daa53433d40856",
        ],
    ),
    (
        ImageSpec(1, 0),
        "7da78ceb0895c3049c2bc735fc77f11ffcc9e1abc3ad652bde0878ef3ba15a5f",
        "7d8f17dbb622106175e80a5ba70725f9014cb85cc1fbbfb47fb27151ce00278a",
        ["ca7985df0049cadb039d70033d0cf029b77d11b3b97cf97ec7f1e4595f7ea779"],
    ),
    (
        ImageSpec(2, 65535, 7),
        "7254a2be78f4b0efe460486658c865b0d809151d317e86f4163b2c4af0f79946",
        "4e9195b55351329a561bdc537f50d9ffa2205b1f2785b53365915c1696d3c88a",
        [
            "42cc430f8226ec8e7e02c351c311185633e03e35987001d4b95c8ed54513d0a2",
            "7b341b0b39017b7f394a15a2d9eba70bfd5b8a64597a8bbc1fa1d0d3d922c816",
        ],
    ),
    (
        ImageSpec(1, 100, -9),
        "1e3f7f82d7fc42f4ab209c0c8520cc44ff196ce0e03f709682dfa29544a4009a",
        "660d999ee6fdddcc795891a496104b2a7b79cd83e234e595732b8ef302a25d12",
        ["bfeb3cc956af097f16f89e2a46689e3ff7d79e06012117913fec44a368235aba"],
    ),
    (
        ImageSpec(0, 10),
        "b580f1f42f92165bb21a0068f53041166052f677154ccee96692cc0da37ba991",
        "e91cf092e73a0b475d1c5469dd5b9aaaf6f9b90c1d42dac444e7919bd642345c",
        [],
    ),
    (
        ImageSpec(1, 1024, 0, "truncate;after=512"),
        "3fda79c34ee3f3b5c1a851b81b9777570c6b75aa1413e871f55466a814ff5ff8",
        "3d460267e36436b08aa3c2c0e8cce4e38f487b8d308481f0a9316a5b6efb620e",
        ["8d4b1bb4936644f090c14b72e4261c217b58268814f9a346c4c497afc7572662"],
    ),
]
"""If this fails, recipe 1 was changed: give the change another recipe number instead."""


@pytest.mark.parametrize(("spec", "manifest", "config", "layers"), GOLDEN)
def test_digests_are_for_ever(spec: ImageSpec, manifest: str, config: str, layers: list[str]) -> None:
    image = build(spec)
    assert [layer.digest for layer in image.layers] == [f"sha256:{digest}" for digest in layers]
    assert image.config_digest == f"sha256:{config}"
    assert image.digest == f"sha256:{manifest}"


def test_the_documents_name_what_there_is() -> None:
    image = build(ImageSpec(2, 700, 3))
    manifest, config = json.loads(image.manifest), json.loads(image.config)
    assert manifest["mediaType"] == image.media_type
    assert manifest["schemaVersion"] == 2
    assert manifest["config"]["size"] == len(image.config)
    assert manifest["config"]["digest"] == f"sha256:{hashlib.sha256(image.config).hexdigest()}"
    for described, layer in zip(manifest["layers"], image.layers, strict=True):
        stream = layer.layer.read(0, layer.size)
        assert described["size"] == len(stream)
        assert described["digest"] == f"sha256:{hashlib.sha256(stream).hexdigest()}"
        assert described["mediaType"] == "application/vnd.docker.image.rootfs.diff.tar.gzip"
    assert config["rootfs"]["diff_ids"] == [layer.sums.diff_id for layer in image.layers]
    assert len(config["history"]) == 2
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    assert image.manifest == json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()


def test_images_that_differ_in_layer_count_share_layers_and_others_do_not() -> None:
    two, three, other = build(ImageSpec(2, 100)), build(ImageSpec(3, 100)), build(ImageSpec(3, 100, 1))
    assert three.layers[:2] == two.layers
    assert not {layer.digest for layer in three.layers} & {layer.digest for layer in other.layers}
    assert len({layer.digest for layer in three.layers}) == 3
