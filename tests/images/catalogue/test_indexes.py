"""Indexes that are odd."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from tests.images.catalogue.reading import Reader, diff_id, read

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
AMD64 = {"architecture": "amd64", "os": "linux"}


def child(image: Reader, descriptor: dict[str, Any]) -> Any:
    """Return a manifest that an index names, which has the size and the type of its descriptor."""
    digest = descriptor["digest"]
    assert len(image.manifest_bytes(digest)) == descriptor["size"]
    assert image.media_type(digest) == descriptor["mediaType"]
    return image.manifest(digest)


def config(image: Reader, manifest: Any) -> Any:
    return json.loads(image.blob(manifest["config"]))


def assert_valid(image: Reader, manifest: Any) -> None:
    """Check that an image has all its content."""
    assert [len(image.blob(each)) for each in manifest["layers"]] == [
        each["size"] for each in manifest["layers"]
    ]
    assert config(image, manifest)["os"]


@pytest.mark.parametrize(
    ("form", "expected"), [("empty", {"manifests": []}), ("null", {"manifests": None}), ("absent", {})]
)
def test_empty(form: str, expected: dict[str, Any]) -> None:
    image = read(f"index-empty_form-{form}")
    assert {key: value for key, value in image.root.items() if key == "manifests"} == expected
    assert image.root["mediaType"] == image.media_type(image.image.root) == OCI_INDEX


@pytest.mark.parametrize("count", [2, 1000])
def test_many(count: int) -> None:
    image = read(f"index-many_count-{count}")
    listed = image.root["manifests"]
    assert len({each["digest"] for each in listed}) == count
    assert len({json.dumps(each["platform"]) for each in listed}) == count
    for each in listed:
        found = config(image, child(image, each))
        assert (found["architecture"], found["os"]) == (each["platform"]["architecture"], "linux")
    assert [each["platform"] for each in listed if each["platform"]["architecture"] == "amd64"] == [AMD64]
    assert listed[-1]["platform"] == AMD64


@pytest.mark.parametrize("depth", [2, 10, 1000])
def test_nested(depth: int) -> None:
    image = read(f"index-nested_depth-{depth}")
    document, found = image.root, 0
    while document["mediaType"] == OCI_INDEX:
        (inner,) = document["manifests"]
        assert inner["platform"] == AMD64
        document, found = child(image, inner), found + 1
    assert found == depth
    assert_valid(image, document)


def test_cyclic() -> None:
    image = read("index-cyclic")
    assert_valid(image, image.root)
    (referrer,) = image.image.referrers[image.image.root]
    index = child(image, {key: referrer[key] for key in ("mediaType", "digest", "size")})
    assert index["artifactType"] == referrer["artifactType"]
    assert index["subject"]["digest"] == image.image.root
    assert [each["digest"] for each in index["manifests"]] == [image.image.root]


@pytest.mark.parametrize(("form", "found"), [("absent", None), ("manifest", OCI_MANIFEST)])
def test_media_type(form: str, found: str | None) -> None:
    image = read(f"index-media-type_form-{form}")
    assert image.root.get("mediaType") == found
    assert ("mediaType" in image.root) == (found is not None)
    assert image.media_type(image.image.root) == OCI_INDEX
    (only,) = image.root["manifests"]
    assert_valid(image, child(image, only))


def test_missing_child() -> None:
    image = read("index-missing-child")
    (only,) = image.root["manifests"]
    assert only["digest"] not in image.image.manifests
    assert only["platform"] == AMD64


def test_missing_child_of_another_platform() -> None:
    image = read("index-missing-child_platform-other")
    missing, present = image.root["manifests"]
    assert missing["digest"] not in image.image.manifests
    assert missing["platform"]["architecture"] == "s390x"
    assert present["platform"] == AMD64
    assert_valid(image, child(image, present))


@pytest.mark.parametrize("claim", ["larger", "smaller", "zero", "negative", "huge"])
def test_child_size(claim: str) -> None:
    image = read(f"index-child-size_claim-{claim}")
    (only,) = image.root["manifests"]
    actual = len(image.manifest_bytes(only["digest"]))
    claims = {"larger": actual + 1, "smaller": actual - 1, "zero": 0, "negative": -1, "huge": 2**63 - 1}
    assert only["size"] == claims[claim] != actual
    assert_valid(image, image.manifest(only["digest"]))


@pytest.mark.parametrize("order", ["first", "last"])
def test_child_unknown(order: str) -> None:
    image = read(f"index-child-unknown_order-{order}")
    listed = image.root["manifests"]
    unknown, known = listed if order == "first" else listed[::-1]
    assert child(image, unknown).keys() == {"unknown"}
    assert unknown["mediaType"] == "application/vnd.example.unknown.v1+json"
    assert_valid(image, child(image, known))
    assert [each["platform"] for each in listed] == [AMD64] * 2


@pytest.mark.parametrize(
    ("outer", "index", "manifest"),
    [("docker", DOCKER_LIST, OCI_MANIFEST), ("oci", OCI_INDEX, DOCKER_MANIFEST)],
)
def test_mixed_types(outer: str, index: str, manifest: str) -> None:
    image = read(f"index-mixed-types_outer-{outer}")
    assert image.root["mediaType"] == image.media_type(image.image.root) == index
    (only,) = image.root["manifests"]
    inner = child(image, only)
    assert inner["mediaType"] == only["mediaType"] == manifest
    maker = "docker" if manifest == DOCKER_MANIFEST else "oci"
    types = [inner["config"]["mediaType"], *(each["mediaType"] for each in inner["layers"])]
    assert all(each.startswith(f"application/vnd.{maker}.") for each in types)
    assert_valid(image, inner)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("absent", {}),
        ("null", {"platform": None}),
        ("empty", {"platform": {}}),
        ("empty-texts", {"platform": {"architecture": "", "os": ""}}),
        ("unknown", {"platform": {"architecture": "unknown", "os": "unknown"}}),
    ],
)
def test_platform(form: str, expected: dict[str, Any]) -> None:
    image = read(f"index-platform_form-{form}")
    (only,) = image.root["manifests"]
    assert {key: value for key, value in only.items() if key == "platform"} == expected
    assert_valid(image, child(image, only))


@pytest.mark.parametrize(
    ("architecture", "os"), [("s390x", "linux"), ("arm64", "linux"), ("amd64", "windows")]
)
def test_other_platform(architecture: str, os: str) -> None:
    image = read(f"index-other-platform_architecture-{architecture}_os-{os}")
    (only,) = image.root["manifests"]
    assert only["platform"] == {"architecture": architecture, "os": os}
    inner = config(image, child(image, only))
    assert (inner["architecture"], inner["os"]) == (architecture, os)


@pytest.mark.parametrize(
    ("form", "variants"),
    [
        ("descending", ["v4", "v3", "v2", "v1"]),
        ("ascending", ["v1", "v2", "v3", "v4"]),
        ("twice", [None, None]),
    ],
)
def test_variants(form: str, variants: list[str | None]) -> None:
    image = read(f"index-variants_form-{form}")
    listed = image.root["manifests"]
    assert [each["platform"].pop("variant", None) for each in listed] == variants
    assert [each["platform"] for each in listed] == [AMD64] * len(variants)
    images = [child(image, each) for each in listed]
    assert [config(image, each).get("variant") for each in images] == variants
    assert len({each["layers"][0]["digest"] for each in images}) == len(variants)


@pytest.mark.parametrize(("order", "place"), [("last", 1), ("first", 0), ("only", 0)])
def test_attestation(order: str, place: int) -> None:
    image = read(f"index-attestation_order-{order}")
    listed = image.root["manifests"]
    attestation = listed.pop(place)
    assert attestation["platform"] == {"architecture": "unknown", "os": "unknown"}
    assert attestation["annotations"]["vnd.docker.reference.type"] == "attestation-manifest"
    subject = attestation["annotations"]["vnd.docker.reference.digest"]
    assert [each["digest"] for each in listed] == [subject] * (order != "only")
    assert hashlib.sha256(image.manifest_bytes(subject)).hexdigest() == subject.removeprefix("sha256:")
    manifest = child(image, attestation)
    (layer,) = manifest["layers"]
    statement = json.loads(image.blob(layer))
    assert statement["predicateType"] == layer["annotations"]["in-toto.io/predicate-type"]
    assert f"sha256:{statement['subject'][0]['digest']['sha256']}" == subject
    assert config(image, manifest)["rootfs"]["diff_ids"] == [diff_id(image.blob(layer))]
