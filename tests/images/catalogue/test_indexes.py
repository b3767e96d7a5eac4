"""Indexes that are odd."""

from __future__ import annotations

from tests.images.catalogue.reading import read


def test_index_empty() -> None:
    assert read("index-empty").root["manifests"] == []


def test_index_missing_child() -> None:
    image = read("index-missing-child")
    (child,) = image.root["manifests"]
    assert child["digest"] not in image.image.manifests
