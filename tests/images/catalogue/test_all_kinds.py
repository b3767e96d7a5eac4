"""What holds for every kind of odd image."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.images.catalogue import CATALOGUE, ImageKind
from brokenreg.images.catalogue.tags import kind_of
from brokenreg.images.computed import digest_of
from brokenreg.images.image import Document
from brokenreg.images.kind_descriptions import describe_image
from brokenreg.images.unpacked import Content
from brokenreg.oci.errors import OCIError
from brokenreg.oci.names import check_tag
from tests.images.catalogue.pins import PINS
from tests.images.catalogue.reading import image_of

LARGE = 8 * 1024 * 1024
each_kind = pytest.mark.parametrize("name", CATALOGUE)

SHARED = {
    f"sha256:{hashlib.sha256(b'').hexdigest()}",  # layer-zero-bytes
    "sha256:b08193cf43a91db41bab4fe3cb9221c8e3ab5ecc9c6ece59e4990c7da59a13fc",  # layer-tar-empty
    f"sha256:{hashlib.sha256(b'{}').hexdigest()}",  # artifacts
}
"""Digests that images of two seeds may have in common, because the kind is about this content."""

PAYLOAD = "manifest-schema1"
"""The kind whose digest covers a part of its manifest. It has a test of its own."""


def test_all_kinds_are_pinned_and_nothing_else() -> None:
    assert list(PINS) == list(CATALOGUE)


@each_kind
def test_digest(name: str) -> None:
    assert image_of(name).root == PINS[name]


@each_kind
def test_blobs_have_the_digests_under_which_they_are_served(name: str) -> None:
    image = image_of(name)
    for digest, manifest in image.manifests.items():
        assert digest == manifest.digest
        assert name == PAYLOAD or digest == digest_of(Document(manifest.manifest), digest.algorithm)
    for digest, blob in image.blobs.items():
        assert digest == digest_of(blob, digest.algorithm)
        assert blob.size <= LARGE or not isinstance(blob, Document)


@each_kind
def test_another_seed_is_another_image_of_the_same_kind(name: str) -> None:
    first, second = image_of(name), image_of(f"{name}_seed-7")
    shared = (first.manifests.keys() & second.manifests.keys()) | (first.blobs.keys() & second.blobs.keys())
    assert {str(each) for each in shared} <= SHARED
    assert len(first.manifests) == len(second.manifests)
    assert len(first.blobs) == len(second.blobs)


@each_kind
def test_description(name: str) -> None:
    told = describe_image(CATALOGUE[name])
    assert told.summary.endswith(".")
    assert told.clients.endswith(".")
    assert told.sources
    assert all(each.description and not each.required for each in told.parameters)
    check_tag(told.example.partition(":")[2])
    assert kind_of(told.example.partition(":")[2]).name == name


@each_kind
def test_the_tag_is_canonical(name: str) -> None:
    kind: ImageKind = kind_of(f"{name}_seed-7")
    assert kind.tag == f"{name}_seed-7"
    assert kind_of(f"{name}_seed-0").tag == name


@pytest.mark.parametrize("name", CATALOGUE)
@given(data=st.data())
def test_any_range_is_a_part_of_the_whole(name: str, data: st.DataObject) -> None:
    blobs: list[Content] = [each for each in image_of(name).blobs.values() if each.size <= LARGE]
    for blob in blobs[:4]:
        whole = blob.read(0, blob.size)
        begin = data.draw(st.integers(0, blob.size))
        length = data.draw(st.integers(0, blob.size + 10))
        assert blob.read(begin, length) == whole[begin : begin + length]


@pytest.mark.parametrize(
    ("tag", "status", "words"),
    [
        ("index-empt", 404, "did you mean broken/image:index-empty?"),
        ("v1.2.3", 404, 'run "brokenreg images" for the list'),
        ("index-empty_size-3", 400, 'unknown parameter "size"'),
        ("index-empty_seed-x", 400, 'seed: invalid value "x"'),
    ],
)
def test_a_wrong_tag(tag: str, status: int, words: str) -> None:
    with pytest.raises(OCIError) as caught:
        kind_of(tag)
    assert caught.value.status == status
    assert words in caught.value.message
